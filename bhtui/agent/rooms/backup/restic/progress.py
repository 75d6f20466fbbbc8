"""What a long task says while it runs: how far it is, what it noticed; and how it hears that it shall end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from .errors import EngineError

Phase = Literal["scan", "backup", "restore", "verify", "prune", "repair", "heal"]
INTERVAL = 0.25
"""Seconds between two words of progress."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is. A total of 0 is not known yet; `current` is a path or a name that may be shown."""

    phase: Phase
    bytes: int = 0
    bytes_total: int = 0
    files: int = 0
    files_total: int = 0
    current: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about one path that the one who asked must hear, though the task goes on."""

    path: str
    problem: str
    is_left_out: bool = False
    """Whether the path is not in what was made: a file that could not be read."""


class Flag(Protocol):
    """A `threading.Event`, or what is asked like one."""

    def is_set(self) -> bool:
        """Whether the task shall end."""


class Pace:
    """Says progress at most every `INTERVAL` seconds, and the last word always."""

    def __init__(self, say: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._next = 0.0

    def due(self) -> bool:
        """Whether it is time for a word: ask before making a costly one."""
        return self._clock() >= self._next

    def say(self, progress: Progress, is_last: bool = False) -> None:
        """Passes it on when it is time."""
        if is_last or self.due():
            self._next = self._clock() + INTERVAL
            self._say(progress)


def refuse_cancelled(cancelled: Flag) -> None:
    """Raises EngineError: cancelled."""
    if cancelled.is_set():
        raise EngineError("cancelled", "cannot go on: it was cancelled; the next run finds what was stored so far")


def silent(_: object) -> None:
    """For one who wants to hear nothing."""
