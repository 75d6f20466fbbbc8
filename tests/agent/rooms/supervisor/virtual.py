"""An event loop whose clock goes only when there is nothing to do: hours pass in a moment, and in the same order."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any


class Idle(Exception):
    """Everything waits for something that no timer will bring about: a deadlock."""


class _Jumping(selectors.DefaultSelector):
    """Never sleeps: where another would, the loop's time goes forward."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise Idle("nothing is left to do, and somebody waits")
        if not ready and timeout:
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual, and threads are not: what was to run in one runs at once, in its place."""

    def __init__(self) -> None:
        selector = _Jumping()
        selector.loop = self
        self.now = 1000.0
        self.wall_ns = time.time_ns()
        """What `clock` said when `now` was 1000; tests set it to make the wall clock jump."""
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def clock(self) -> int:
        """The wall clock, Unix nanoseconds."""
        return self.wall_ns + int((self.now - 1000.0) * 1e9)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it
            future.set_exception(error)
        return future
