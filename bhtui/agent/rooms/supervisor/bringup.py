"""The second part of a takeover, which may be put off: a request that brings another configuration is on its way.

Otherwise an agent that was started for that request would first bring up what was up with the configuration from
before. It is done when the new configuration is in force, when what was asked for brings none, and in any case after
PATIENCE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds for the request to come; whoever asks for it waits for this agent and asks at once."""


class BringUp:
    """Does `work` once."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._go = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self, put_off: bool, patience: float = PATIENCE) -> None:
        """Does it now, or puts it off until `go`, for `patience` seconds at most."""
        if not put_off:
            await self._work()
            return
        self._task = asyncio.create_task(self._later(patience), name="bring up")

    def go(self) -> None:
        """Nobody needs to wait any longer."""
        self._go.set()

    async def _later(self, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                await self._go.wait()
        except TimeoutError:
            log.info("what was up is brought up: the request that was on its way has not come in %g s", patience)
        try:
            await self._work()
        except Exception:
            log.exception("what was up could not be brought up")

    async def close(self) -> None:
        """What has not been brought up is so by the next agent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
