"""Folders of cgroups whose installation is gone: which are removed, and which never."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bhtui.agent.rooms.limits import leftovers
from bhtui.agent.rooms.limits.detect import base_name
from bhtui.agent.rooms.limits.room import Limits
from tests.live.home import home
from tests.live.require import missing
from tests.waiting import until

OLD = 10 * leftovers.SETTLED_S


def test_only_our_names_that_nobody_lives_in_and_that_are_not_new(tmp_path: Path) -> None:
    names = ["blackhole-01234567", "blackhole-89abcdef", "blackhole-0123456", "blackhole-ours0000", "system.slice"]
    for name in names:
        (tmp_path / name).mkdir()
    ours = tmp_path / "blackhole-ffffffff"
    ours.mkdir()
    found = leftovers.candidates([ours], {"blackhole-89abcdef"}, time.time() + OLD)
    assert found == [tmp_path / "blackhole-01234567"]
    assert leftovers.candidates([ours], (), time.time()) == []


def test_who_has_a_socket_lives() -> None:
    unix = (
        "Num RefCount Protocol Flags Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 12345 /home/a b/run/agent.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0005 01 12346 /run/blackhole/keeper.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 12347 /run/other/sshd.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 12348\n"
    )
    homes = (Path("/home/a b/run"), Path("/run/blackhole"))
    assert leftovers.lived_in(unix) == {base_name(run) for run in homes}


def test_what_an_agent_has_locked_stays(tmp_path: Path) -> None:
    folder = tmp_path / "blackhole-01234567"
    (claimed,) = leftovers.claim([folder])
    assert not leftovers.remove(folder) and folder.is_dir()
    os.close(claimed)
    (folder / "api-1").mkdir()
    assert leftovers.remove(folder) and not folder.exists()
    assert not leftovers.remove(folder)


@pytest.fixture
def real(tmp_path: Path):
    limits = Limits(tmp_path)
    if not limits.hierarchies.folders:
        missing("cgroups cannot be made here")
    yield limits
    limits.close()


def test_one_with_a_process_stays(real: Limits) -> None:
    parent = real.hierarchies.folders[0].parent
    folder = parent / "blackhole-0000beef"
    (folder / "api-1").mkdir(parents=True)
    try:
        with subprocess.Popen(["sleep", "1000"]) as process:
            (folder / "api-1/cgroup.procs").write_text(str(process.pid))
            assert not leftovers.remove(folder)
            process.kill()
        until(lambda: leftovers.remove(folder), what="it is empty")
    finally:
        for group in (folder / "api-1", folder):
            with suppress(OSError):
                group.rmdir()


def test_what_killed_ones_left_is_removed_and_made_again(real: Limits) -> None:
    parent = real.hierarchies.folders[0].parent
    with home("services: {api: {command: [sleep, '1000']}}") as dead:
        dead.cli("start")
        left = parent / base_name(dead.paths.run)
        pids = [each["pid"] for each in dead.status().values()]
        assert left.is_dir() and not leftovers.remove(left)
        os.kill(dead.keeper_pid(), signal.SIGSTOP)  # so that neither starts the other again
        for pid in (dead.agent_pid(), dead.keeper_pid(), *pids):
            os.kill(pid, signal.SIGKILL)
        until(lambda: leftovers.remove(left), what="nobody lives there")
        dead.cli("start")
        assert left.is_dir()
