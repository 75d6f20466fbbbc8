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


def until(condition: Callable[[], T], deadline: float = PATIENCE, what: str = "", pause: float = 0.01) -> T:
    """The first true value of the condition, asked every `pause`; fails with `what` after `deadline` seconds, at least
    PATIENCE."""
    deadline = max(deadline, PATIENCE)
    end = time.monotonic() + deadline
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what or condition}; last value {value!r}")
        time.sleep(pause)


async def eventually(condition: Callable[[], T | Awaitable[T]], deadline: float = PATIENCE, what: str = "") -> T:
    """As `until`, for conditions that may be awaited, without stopping the loop."""
    deadline = max(deadline, PATIENCE)
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what or condition}; last value {value!r}")
        await asyncio.sleep(0.01)
