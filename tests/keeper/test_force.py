"""Ending everything without a keeper that answers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from bhtui.keeper import client, force
from tests.keeper.support import IDLE, Running, is_alive, kill_now, python
from tests.waiting import until

DEAF = """
import os, socket, time
os.open("keeper.lock", os.O_RDWR | os.O_CREAT)
if os.path.lexists("keeper.sock"):
    os.unlink("keeper.sock")
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind("keeper.sock")
listener.listen()
print("there")
time.sleep(1000)
"""


@contextmanager
def deaf_keeper(keeper: Running) -> Iterator[int]:
    """In the place of the real one, which is killed: a process that accepts and says nothing."""
    agent = until(lambda: keeper.ask("stats")["agent"]["pid"], 20, "its agent, which is spared")
    kill_now(keeper.pid)
    until(lambda: not is_alive(keeper.pid), 20, "the keeper to end")
    with subprocess.Popen(python(DEAF), cwd=keeper.run, stdout=subprocess.PIPE) as deaf:
        try:
            assert deaf.stdout and deaf.stdout.readline() == b"there\n"
            yield deaf.pid
        finally:
            deaf.kill()
            kill_now(agent)


def test_a_stopped_keeper_is_woken(keeper: Running) -> None:
    os.kill(keeper.pid, signal.SIGSTOP)
    assert not force.is_stuck(keeper.run)
    assert client.stats(keeper.run)["pid"] == keeper.pid


def test_nothing_is_stuck_where_nothing_runs(keeper: Running) -> None:
    client.shutdown(keeper.run, force=True)
    until(lambda: not is_alive(keeper.pid), 20, "the keeper to end")
    assert not force.is_stuck(keeper.run)
    assert not force.keepers(keeper.run)


def test_everything_is_killed_without_the_keeper(keeper: Running) -> None:
    plain = keeper.spawn("a-1#1", IDLE)["pid"]
    away = keeper.log("b-1#1").parent / "pid"
    keeper.sh("b-1#1", f"setsid sh -c 'echo $$ >{away}.part; mv {away}.part {away}; exec sleep 1000' & exit 0")
    daemon = int(until(lambda: away.exists() and away.read_text(), 20, "the daemon"))
    with deaf_keeper(keeper) as deaf:
        assert force.keepers(keeper.run) == [deaf]
        assert force.is_stuck(keeper.run)
        report = force.end_everything(keeper.run)
        assert report["killed"] >= 2 and not report["remaining"]
        assert not is_alive(plain) and not is_alive(daemon) and not is_alive(deaf)
    assert (keeper.run / "hold").exists()
