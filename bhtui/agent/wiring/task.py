"""Tasks that run as long as the agent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def task(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Runs it meanwhile; its failure is told in the log and does not end the agent."""
    running = asyncio.create_task(work, name=name)
    running.add_done_callback(_tell_failure)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _tell_failure(ended: asyncio.Task[None]) -> None:
    if not ended.cancelled() and (error := ended.exception()):
        log.error("%s has failed and stays down until the agent is started again", ended.get_name(), exc_info=error)
