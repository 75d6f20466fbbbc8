"""How the agent ends: told once, by whoever is first."""

from __future__ import annotations

import asyncio


class Ending:
    """`services` tells whether the services and the keeper end as well, `alone` that no other agent is to follow."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self.services = False
        self.alone = False
        self.why = ""

    def tell(self, why: str, *, services: bool = False, alone: bool = False) -> None:
        """Ends the agent. Services that were to end will, also when another comes who would leave them."""
        self.services = self.services or services
        self.alone = self.alone or alone
        self.why = self.why or why
        self._told.set()

    async def wait(self) -> None:
        """Until somebody told."""
        await self._told.wait()
