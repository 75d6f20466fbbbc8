"""One keeper on one directory, whatever is removed under it."""

from __future__ import annotations

import os
import shutil
import stat
import sys

import pytest

from bhtui.keeper import client, places
from tests.keeper.support import IDLE, Running, is_alive
from tests.waiting import until


def _empty(keeper: Running) -> None:
    for path in keeper.run.iterdir():
        path.unlink()


def _healed(keeper: Running) -> None:
    until(lambda: _answers(keeper), 30, "the socket to come back")
    assert client.stats(keeper.run)["pid"] == keeper.pid
    assert (keeper.run / "keeper.lock").read_text() == f"{keeper.pid}\n"


def _answers(keeper: Running) -> bool:
    """A socket is there a moment before it listens."""
    try:
        return bool(client.stats(keeper.run))
    except client.NoKeeper:
        return False


def test_an_emptied_run_directory_is_mended(keeper: Running) -> None:
    for _ in range(3):
        _empty(keeper)
        _healed(keeper)
    assert stat.S_IMODE((keeper.run / "keeper.sock").stat().st_mode) == 0o600
    keeper.ask("stats")  # connections stay


def test_a_removed_run_directory_is_mended(keeper: Running) -> None:
    shutil.rmtree(keeper.run)
    _healed(keeper)
    _empty(keeper)
    _healed(keeper)


def test_a_second_keeper_is_refused_although_the_pid_file_is_gone(keeper: Running) -> None:
    os.kill(keeper.pid, 19)  # so that it cannot mend
    try:
        _empty(keeper)
        with pytest.raises(client.KeeperError, match=f"a keeper runs there already: process {keeper.pid}"):
            client.start(keeper.run, keeper.logs, IDLE)
    finally:
        os.kill(keeper.pid, 18)
    _healed(keeper)


def test_the_locks_survive_an_upgrade(keeper: Running) -> None:
    service = keeper.spawn("a-1#1", IDLE)
    keeper.ask("upgrade", argv=[sys.executable, "-m", "bhtui.keeper"])
    for folder in (keeper.run, keeper.logs):
        with pytest.raises(BlockingIOError):
            places.lock_folder(str(folder))
    held = [os.readlink(f"/proc/{service['pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{service['pid']}/fd")]
    assert str(keeper.run) not in held
    _empty(keeper)
    _healed(keeper)
    assert is_alive(service["pid"])
    after = keeper.sh("b-1#1", "ls -l /proc/self/fd")
    assert after["pid"] and not [text for text in _texts(keeper, "b-1#1") if str(keeper.run) in text]


def _texts(keeper: Running, key: str) -> list[str]:
    keeper.ended(key)
    return keeper.texts(key)


def test_an_emptied_run_directory_lifts_no_hold(keeper: Running) -> None:
    keeper.ask("emergency")
    _empty(keeper)
    _healed(keeper)
    until(lambda: (keeper.run / "hold").exists(), 30, "the mark to come back, for another keeper")
    with pytest.raises(client.KeeperError, match="held since an emergency stop"):
        keeper.spawn("a-1#1", IDLE)
    keeper.ask("resume")
    assert keeper.spawn("a-1#1", IDLE)["pid"]
