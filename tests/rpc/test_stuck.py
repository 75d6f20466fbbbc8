"""An agent that gives no answer: stopped, stuck, or only busy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bhtui.rpc import stuck
from bhtui.rpc.stuck import How, Watch, agent_pid, stopped_pid
from tests.waiting import until

HOLD = """
import os, sys, time
file = open(sys.argv[1], "w")
file.write(f"{os.getpid()}\\n")
file.flush()
while True:
    sys.argv[2] == "busy" or time.sleep(60)
"""


@contextmanager
def holder(run: Path, does: str) -> Iterator[int]:
    """A process that has the lock of an agent open, and is busy or idle."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run / "agent.lock"), does]) as process:
        try:
            until(lambda: agent_pid(run) == process.pid, what="it has the lock")
            yield process.pid
        finally:
            process.kill()


def test_one_that_does_nothing_is_stuck(tmp_path: Path) -> None:
    with holder(tmp_path, "idle") as pid:
        watch = Watch(tmp_path)
        until(watch.is_hopeless, what="it is seen to do nothing")
        assert watch.how is How.IDLE
        assert f"process {pid}, is stuck: it does nothing; `kill -9 {pid}`" in watch.text(3)


def test_one_that_works_is_not_called_stuck(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stuck, "IDLE_S", 0.2)
    with holder(tmp_path, "busy") as pid:
        watch = Watch(tmp_path)
        looks = iter(range(60))
        until(lambda: watch.is_hopeless() or next(looks, None) is None, what="enough looks")
        assert next(looks, None) is None and watch.how is How.BUSY
        assert f"process {pid}, is busy, and gave none in 10 s; try again" in watch.text(10)


def test_one_that_is_stopped_is_told_at_once_and_goes_on(tmp_path: Path) -> None:
    with holder(tmp_path, "busy") as pid:
        watch = Watch(tmp_path)
        assert stopped_pid(tmp_path) == 0
        os.kill(pid, signal.SIGSTOP)
        until(lambda: stopped_pid(tmp_path) == pid, what="it is stopped")
        assert watch.is_hopeless() and watch.how is How.STOPPED
        assert f"`kill -CONT {pid}` lets it go on" in watch.text(1)
        os.kill(pid, signal.SIGCONT)
        until(lambda: not watch.is_hopeless(), what="it goes on")
        assert stopped_pid(tmp_path) == 0


def test_a_lock_that_nobody_holds_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "agent.lock").write_text(f"{os.getpid()}\n")
    watch = Watch(tmp_path)
    assert (watch.pid, watch.is_hopeless(), stopped_pid(tmp_path)) == (0, False, 0)
    assert "try again" in watch.text(10)
