"""Trees that are to be gone: killed and out of the keeper's table, however long the keeper does not answer.

A start whose answer was lost may have worked, and a kill whose answer was lost may not have. Both leave a key in doubt:
nothing is started beside it, and it is tried again until the keeper has said that nothing of it is left.
"""

from __future__ import annotations

import asyncio
import logging

from bhtui.agent.keeper import KeeperError

from .model import Keeper

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class Clearing:
    """What must not be there any more, of all instances: one of them may be forgotten while its key is in doubt."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._in_doubt: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def doubt(self, key: str) -> None:
        """Something of that key may be there."""
        self._in_doubt.add(key)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._persist(), name="clear what is in doubt")

    async def clear(self, key: str) -> int:
        """Kills the tree and takes it out of the keeper's table; answers how many there were. Raises KeeperError."""
        try:
            killed = await self._keeper.kill(key)
        except KeeperError as error:
            if error.stage == "key":  # there is no such process
                return 0
            raise
        if killed.remaining:
            log.error("%s: processes %s are left, although they were killed", key, killed.remaining)
        await self._keeper.forget(key)
        return killed.killed

    async def settle(self, instance: str) -> None:
        """Clears what is in doubt of an instance. Raises KeeperError."""
        for key in sorted(key for key in self._in_doubt if key.rpartition("#")[0] == instance):
            await self.clear(key)
            self._in_doubt.discard(key)

    async def _persist(self) -> None:
        pause = FIRST_PAUSE
        while self._in_doubt:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            for instance in {key.rpartition("#")[0] for key in self._in_doubt}:
                try:
                    await self.settle(instance)
                except KeeperError as error:
                    log.warning("%s: trying again: %s", instance, error)

    async def close(self) -> None:
        """Leaves what is in doubt to the next agent, which finds it in the keeper's table."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
