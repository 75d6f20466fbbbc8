"""Batches of several hosts on their way to a view: a bounded number waits, and a thread makes them ready to be shown.

Who may not be given more, because a reader would lose the lines under his eyes, holds the hosts up and not the screen:
what waits for too long stays in the files of its host.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from bhtui.rpc.blackhole.v1 import logs_pb2

T = TypeVar("T")
Sent = tuple[str, logs_pb2.LogBatch]

TICK = 0.02
"""Seconds between steps; a step for each batch would cost more than the lines in it."""
WAITING = 4
"""Batches of a host that wait here at most."""
STEP = 5_000
"""Lines after which a step takes no further batch in."""


class Intake(Generic[T]):
    """`step` makes batches ready, in a thread; `is_holding` says whether it has lines for which it waits itself."""

    def __init__(
        self, hosts: Iterable[str], step: Callable[[Sequence[Sent]], T], is_holding: Callable[[], bool]
    ) -> None:
        self._waiting: dict[str, deque[logs_pb2.LogBatch]] = {host: deque() for host in hosts}
        self._step, self._is_holding = step, is_holding
        self._came, self._taken = asyncio.Event(), asyncio.Event()

    async def put(self, host: str, batch: logs_pb2.LogBatch) -> None:
        """Hands a batch over; waits while there are too many of this host."""
        while len(self._waiting[host]) >= WAITING:
            self._taken.clear()
            await self._taken.wait()
        self._waiting[host].append(batch)
        self._came.set()

    async def run(self, deliver: Callable[[T], None], allowed: Callable[[], Awaitable[None]]) -> None:
        """Works until cancelled. Before each step it waits for `allowed`."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._wait()
            await allowed()
            batches = self._some()
            deliver(await asyncio.to_thread(self._step, batches))
            if not any(self._waiting.values()):
                await asyncio.sleep(max(0.0, began + TICK - loop.time()))

    async def _wait(self) -> None:
        if any(self._waiting.values()):
            return
        self._came.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK if self._is_holding() else None):
                await self._came.wait()

    def _some(self) -> list[Sent]:
        """A batch of each host in turn, until there are enough."""
        found: list[Sent] = []
        lines = 0
        while lines < STEP and any(self._waiting.values()):
            for host, waiting in self._waiting.items():
                if waiting:
                    batch = waiting.popleft()
                    found.append((host, batch))
                    lines += len(batch.columns.kinds) or len(batch.lines)
        self._taken.set()
        return found
