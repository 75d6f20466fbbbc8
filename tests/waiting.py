"""Waiting for a condition with a deadline: tests never sleep for luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds before which no condition is given up, whatever deadline is asked for: the machine is shared with the other
tests, and perhaps with more, so a shorter one says nothing about the product. Only a failure takes as long."""


FIRST, LONGEST = 0.001, 0.02
"""Seconds between two looks: at first often, for what is quick; then seldom, for whoever is looked at works too."""
DEAREST = 0.25
"""Seconds between two looks at most where a look itself takes long: most of the time nobody looks."""


def until(condition: Callable[[], T], deadline: float = PATIENCE, what: str = "") -> T:
    """The first true value of the condition; fails with `what` after `deadline` seconds, at least PATIENCE."""
    looks = _Looks(deadline, what or repr(condition))
    while not (value := condition()):
        time.sleep(looks.pause(value))
    return value


async def eventually(condition: Callable[[], T | Awaitable[T]], deadline: float = PATIENCE, what: str = "") -> T:
    """As `until`, for conditions that may be awaited, without stopping the loop."""
    looks = _Looks(deadline, what or repr(condition))
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        await asyncio.sleep(looks.pause(value))


class _Looks:
    """How long to wait before the next look."""

    def __init__(self, deadline: float, what: str) -> None:
        self._deadline, self._what = max(deadline, PATIENCE), what
        self._end, self._pause, self._looked = time.monotonic() + self._deadline, FIRST, time.monotonic()

    def pause(self, value: object) -> float:
        """After a look that found `value`. Raises AssertionError when it is too late for another."""
        now = time.monotonic()
        if now > self._end:
            raise AssertionError(f"not within {self._deadline:g} s: {self._what}; last value {value!r}")
        pause, self._pause = max(self._pause, min(2 * (now - self._looked), DEAREST)), min(self._pause * 1.5, LONGEST)
        self._looked = now + pause
        return pause
