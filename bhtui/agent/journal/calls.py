"""Calls of handlers, each with an end: after its time, or soon after it is cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ...core.errors import BlackholeError
from .model import Call, Done

log = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""How long a cancelled handler may take to end. After that the operation goes on without it."""


class Overdue(BlackholeError):
    """A handler did not return in time."""


class Calls:
    """Owns the task of every handler that runs."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, handler: Callable[[Call], Awaitable[Any]], call: Call, seconds: float) -> Any:
        """What the handler returns, or the exception it raises. Raises Overdue after `seconds`.

        Cancelling this cancels the handler and waits for its end; if it ends with Done nevertheless, that is returned.
        """
        task = asyncio.create_task(_invoke(handler, call), name=f"{call.operation_id[:8]} {call.target}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            if isinstance(result := await self._stop(task), Done):
                return result
            raise
        if task.done():
            if task.cancelled():
                raise BlackholeError("the handler was cancelled from within")
            return task.result()
        if isinstance(result := await self._stop(task), Done):
            return result
        raise Overdue(f"there was no answer within {seconds:.3g} s")

    async def _stop(self, task: asyncio.Task[Any]) -> Any:
        """Cancels and waits; what the task returned, or None."""
        task.cancel()
        await asyncio.wait({task}, timeout=self._grace)
        if not task.done():
            log.error("step handler %s does not end although it was cancelled; going on without it", task.get_name())
            return None
        return None if task.cancelled() or task.exception() else task.result()

    async def close(self) -> None:
        """Cancels what still runs, and waits for it as long as any handler may take to end."""
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=self._grace)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen by whoever waits; one that nobody waits for any more was reported by _stop


async def _invoke(handler: Callable[[Call], Awaitable[Any]], call: Call) -> Any:
    return await handler(call)
