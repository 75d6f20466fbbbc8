"""Sees to a keeper that is there and does not answer: wakes it, replaces it, or says what it waits for.

The agent holds a duplicate of every pipe and a pidfd of every process, so a keeper that is killed for this loses no
service; but the exit codes of what it had started cannot be known any more, so that is done only after a minute.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from bhtui.agent.events.log import EventLog
from bhtui.core.event import EventKind
from bhtui.keeper import proc

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
REPLACE_SECONDS = 60.0
"""Without an answer for so long: what it does will not end by itself."""


class Deed(StrEnum):
    """What is done about a keeper that does not answer."""

    WAIT = "wait"
    WAKE = "wake"
    REPLACE = "replace"


def decide(state: str, silent: float) -> tuple[Deed, str]:
    """What to do about a keeper in this state (as in proc(5)), `silent` seconds without an answer, and why. Pure."""
    match state:
        case "T":
            return Deed.WAKE, "it was stopped (SIGSTOP)"
        case "t":
            return Deed.WAIT, "a debugger holds it"
        case "D":
            return Deed.WAIT, "it waits for a disk or a network file system"
        case _ if silent < REPLACE_SECONDS:
            return Deed.WAIT, "it is busy with something"
        case _:
            return Deed.REPLACE, f"it has not answered for {silent:.0f} s"


class Answering(Protocol):
    """The keeper, as far as it is watched."""

    pid: int

    async def answers(self, timeout: float) -> bool:
        """Whether it answers in so many seconds; one that is just being replaced counts as answering."""


class KeeperWatch:
    """Asks every LOOK_SECONDS. `trouble` is what to say of it now, or empty."""

    def __init__(
        self,
        keeper: Answering,
        events: EventLog,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock` gives seconds and is never set."""
        self.trouble = ""
        self._keeper, self._events, self._clock, self._sleep = keeper, events, clock, sleep
        self._answered = clock()

    async def watch(self) -> None:
        """Runs for as long as the agent does."""
        while True:
            await self.look()
            await self._sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Asks once."""
        pid = self._keeper.pid
        asked = self._clock()
        if await self._keeper.answers(LOOK_SECONDS):
            self._answered = asked
            if self.trouble:
                self._tell("answers", f"the keeper, process {self._keeper.pid}, answers again")
                self.trouble = ""
            return
        found = proc.stat(pid)
        if found is None or found.is_dead or pid != self._keeper.pid:
            return  # its death is noticed elsewhere
        deed, why = decide(found.state.decode(), self._clock() - self._answered)
        told = f"the keeper, process {pid}, does not answer: {why}"
        if deed is Deed.WAKE:
            told += "; it is woken"
            proc.send(pid, found.start, signal.SIGCONT)
        elif deed is Deed.REPLACE:
            told += "; it is killed and replaced"
            proc.send(pid, found.start, signal.SIGKILL)
        if told != self.trouble:
            self._tell(str(deed), told)
            self.trouble = told

    def _tell(self, done: str, message: str) -> None:
        log.warning("%s", message)
        self._events.append(EventKind.KEEPER_STUCK, message=message, data={"pid": self._keeper.pid, "done": done})
