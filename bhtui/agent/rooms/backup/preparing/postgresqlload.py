"""One database of a PostgreSQL server brought back from its dump, while the server and its other databases run on.

The database gets another name, then the dump makes one of its name with all that belongs to it: owner, encoding,
settings, rights. When that fails it is dropped, and the one from before has its name again.
https://www.postgresql.org/docs/current/app-pgrestore.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bhtui.agent.command import Setting
from bhtui.core.errors import BlackholeError

from .feeding import feed

LONGEST = 63
"""Bytes of a name in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Loading:
    """`ask` puts a query to another database of the server; `restorer` are the words that run pg_restore into that."""

    database: str
    operation: str
    ask: Callable[[str], Awaitable[str]]
    restorer: Sequence[str]
    setting: Setting
    timeout: float

    @property
    def aside(self) -> str:
        """The name of the one from before."""
        ending = f"_before_{self.operation[:8]}"
        return self.database[: LONGEST - len(ending)] + ending

    async def load(self, dump: Path, progress: Callable[[str], None]) -> None:
        """May be called again: what another life of the agent began is dropped. Raises BlackholeError."""
        if await self._exists(self.database):
            if await self._exists(self.aside):
                await self._drop(self.database)
            else:
                await self._close(self.database)
                await self.ask(f"ALTER DATABASE {_quoted(self.database)} RENAME TO {_quoted(self.aside)}")
        await self._restore(dump, progress)

    async def take_back(self) -> str:
        """The one from before has its name again. Raises BlackholeError."""
        if not await self._exists(self.aside):
            return ""
        if await self._exists(self.database):
            await self._drop(self.database)
        await self.ask(f"ALTER DATABASE {_quoted(self.aside)} RENAME TO {_quoted(self.database)}")
        await self.ask(f"ALTER DATABASE {_quoted(self.database)} WITH ALLOW_CONNECTIONS true")
        return f"{self.database} is the one from before"

    async def settle(self, keep: bool) -> str:
        """The one from before is dropped, or stays. Raises BlackholeError."""
        if not await self._exists(self.aside):
            return ""
        if keep:
            await self.ask(f"ALTER DATABASE {_quoted(self.aside)} WITH ALLOW_CONNECTIONS true")
            return f"the one from before is the database {self.aside}"
        await self._drop(self.aside)
        return ""

    async def _exists(self, name: str) -> bool:
        query = f"SELECT 1 FROM pg_database WHERE datname = {_literal(name)}"  # noqa: S608 - quoted
        return await self.ask(query) == "1"

    async def _close(self, name: str) -> None:
        """Nobody is in it any more, and nobody comes in."""
        await self.ask(f"ALTER DATABASE {_quoted(name)} WITH ALLOW_CONNECTIONS false")
        those = f"FROM pg_stat_activity WHERE datname = {_literal(name)}"
        await self.ask(f"SELECT count(pg_terminate_backend(pid)) {those}")

    async def _drop(self, name: str) -> None:
        await self._close(name)
        await self.ask(f"DROP DATABASE {_quoted(name)}")

    async def _restore(self, dump: Path, progress: Callable[[str], None]) -> None:
        argv = (*self.restorer, "--create", "--exit-on-error")
        try:
            async with asyncio.timeout(self.timeout):
                wrong = await feed(argv, dump, self.setting, self.database, progress)
        except TimeoutError:
            raise BlackholeError(f"loading {self.database} took longer than {self.timeout:g} s") from None
        if wrong:
            raise BlackholeError(f"pg_restore of {self.database} failed: {wrong}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
