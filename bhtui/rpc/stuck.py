"""Whether an agent that gives no answer is stuck, or only busy. Standard library only.

An agent that works uses the processor, or waits for a disk. One that does neither and gives no answer is stuck; one
that somebody has stopped (SIGSTOP) goes on as soon as somebody lets it.
"""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path

from bhtui.keeper import places, proc

IDLE_S = 2.0
"""Seconds without an answer and without any work, after which it is stuck."""


class How(Enum):
    """What an agent does that gives no answer."""

    GONE = "gone"
    STOPPED = "stopped"
    DISK = "disk"
    BUSY = "busy"
    IDLE = "idle"


class Watch:
    """Looks at the agent of a run folder from time to time."""

    def __init__(self, run: Path | str) -> None:
        self.pid = agent_pid(run)
        self.how = How.BUSY
        self._ticks = _ticks(self.pid)
        self._worked = time.monotonic()

    def is_hopeless(self) -> bool:
        """Looks again; whether it is no use to wait any longer."""
        now, found, ticks = time.monotonic(), proc.stat(self.pid) if self.pid else None, _ticks(self.pid)
        if found is None or found.is_dead:
            self.how = How.GONE
            return False  # another is on its way; the connection ends by itself
        if ticks != self._ticks or found.state in (b"R", b"D"):
            self._ticks, self._worked = ticks, now
            self.how = How.DISK if found.state == b"D" else How.BUSY
        else:
            self.how = How.STOPPED if found.state == b"T" else How.IDLE
        return self.how is How.STOPPED or now - self._worked >= IDLE_S

    def text(self, seconds: float) -> str:
        """Why there is no answer after so many seconds, and what to do."""
        if self.how is How.GONE or not self.pid:
            return "cannot get an answer: the agent ended; its keeper starts another, try again"
        if self.how is How.STOPPED:
            return stopped_text(self.pid)
        if self.how is How.IDLE:
            return f"cannot get an answer: the agent, process {self.pid}, is stuck: it does nothing; {_ends(self.pid)}"
        does = "waits for a disk" if self.how is How.DISK else "is busy"
        return (
            f"cannot get an answer: the agent, process {self.pid}, {does}, and gave none in {seconds:.0f} s; "
            f"try again; the services run on. If it stays so: {_ends(self.pid)}"
        )


def agent_pid(run: Path | str) -> int:
    """The process that holds the agent's lock, as the lock says; 0: nobody knows."""
    lock = Path(run).resolve() / "agent.lock"
    text = proc.read(str(lock)).strip()
    return int(text) if text.isdigit() and int(text) in places.holders(lock) else 0


def stopped_pid(run: Path | str) -> int:
    """The agent's process, if somebody has stopped it (SIGSTOP); else 0. Costs two small files when nobody has."""
    text = proc.read(f"{run}/agent.lock").strip()
    found = proc.stat(int(text)) if text.isdigit() else None
    return agent_pid(run) if found is not None and found.state == b"T" else 0


def stopped_text(pid: int) -> str:
    """Of an agent that somebody has stopped, and what to do."""
    return (
        f"cannot get an answer: the agent, process {pid}, was stopped (SIGSTOP); the services run on, unwatched; "
        f"`kill -CONT {pid}` lets it go on; {_ends(pid)}"
    )


def _ends(pid: int) -> str:
    return (
        f"`kill -9 {pid}` ends it alone, and its keeper starts another; "
        "`blackhole agent stop` ends it with its services"
    )


def _ticks(pid: int) -> int:
    """Ticks of processor time that a process has used."""
    text = proc.read(f"/proc/{pid}/stat")
    fields = text[text.rindex(b")") + 2 :].split() if text else []
    return int(fields[11]) + int(fields[12]) if fields else 0
