"""SQLite for one service: a connection in a thread of its own, its statements timed, its upkeep and its backup."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Values = Sequence[Any] | dict[str, Any]
MAXIMUM_STATEMENTS = 500
_BACKUP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True)
class Timing:
    """How often and how long a statement ran; seconds and Unix nanoseconds."""

    count: int = 0
    total: float = 0.0
    maximum: float = 0.0
    last_ns: int = 0


class Connection(sqlite3.Connection):
    """A connection whose `query` and `change` are timed. Use it within `Database.run` only."""

    timings: dict[str, Timing]

    def query(self, sql: str, values: Values = ()) -> list[sqlite3.Row]:
        """All rows of a statement."""
        return self._timed(sql, lambda: self.execute(sql, values).fetchall())

    def one(self, sql: str, values: Values = ()) -> sqlite3.Row | None:
        """The first row, if there is one."""
        rows = self.query(sql, values)
        return rows[0] if rows else None

    def change(self, sql: str, values: Values = ()) -> int:
        """How many rows a statement changed."""
        return self._timed(sql, lambda: self.execute(sql, values).rowcount)

    def _timed(self, sql: str, action: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return action()
        finally:
            self._note(" ".join(sql.split()), time.perf_counter() - start)

    def _note(self, statement: str, seconds: float) -> None:
        if statement not in self.timings and len(self.timings) >= MAXIMUM_STATEMENTS:
            del self.timings[min(self.timings, key=lambda known: self.timings[known].maximum)]
        timing = self.timings.setdefault(statement, Timing())
        timing.count += 1
        timing.total += seconds
        timing.maximum = max(timing.maximum, seconds)
        timing.last_ns = time.time_ns()


class Database:
    """One file. Every use is a function given to `run`, which is one transaction; they take turns."""

    def __init__(self, file: Path, schema: str) -> None:
        """Opens or makes it. Raises sqlite3.Error or OSError."""
        self.file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        try:
            self._connection = self._thread.submit(self._open, schema).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def _open(self, schema: str) -> Connection:
        connection = sqlite3.connect(self.file, factory=Connection, timeout=5.0)
        connection.timings = {}
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.executescript(schema)
        return connection

    async def run(self, action: Callable[[Connection], T]) -> T:
        """What the action returns, its changes committed; undone when it raises."""

        def turn() -> T:
            with self._connection:
                return action(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, turn)

    def close(self) -> None:
        """Waits for what is under way."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def size(self) -> int:
        """Bytes of the file and what belongs to it."""
        return sum(path.stat().st_size for path in self._parts() if path.exists())

    def _parts(self) -> Iterable[Path]:
        return (self.file, *(self.file.with_name(self.file.name + end) for end in ("-wal", "-shm")))

    @property
    def journals(self) -> tuple[str, ...]:
        """Files that mean something only together with the live one."""
        return tuple(str(path) for path in self._parts() if path != self.file)

    async def timings(self, reset: bool = False) -> dict[str, Timing]:
        """The statements so far."""

        def take(connection: Connection) -> dict[str, Timing]:
            found = dict(connection.timings)
            if reset:
                connection.timings.clear()
            return found

        return await self.run(take)

    async def vacuum(self) -> None:
        """Writes the file anew without its empty pages."""
        await self.run(_vacuum)

    async def reindex(self) -> None:
        """Builds all indexes anew."""
        await self.run(lambda connection: connection.execute("REINDEX"))

    async def analyze(self) -> None:
        """Renews the planner's statistics."""
        await self.run(lambda connection: connection.execute("ANALYZE"))

    async def verify(self, full: bool) -> list[str]:
        """What SQLite finds wrong with the file; nothing when all is well."""

        def check(connection: Connection) -> list[str]:
            name = "integrity_check" if full else "quick_check"
            found = [str(row[0]) for row in connection.execute(f"PRAGMA {name}")]
            broken = [
                f"{row[0]}: row {row[1]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")
            ]
            return [line for line in found if line != "ok"] + broken

        try:
            return await self.run(check)
        except sqlite3.DatabaseError as error:
            return [str(error)]

    async def backup(self, identifier: str) -> Path:
        """A consistent copy beside the file, while it stays in use. Raises ValueError, sqlite3.Error or OSError."""
        copy = self._copy(identifier)

        def write(connection: Connection) -> None:
            copy.unlink(missing_ok=True)
            target = sqlite3.connect(copy)
            try:
                connection.backup(target)
            finally:
                target.close()
            copy.chmod(0o600)

        await self.run(write)
        return copy

    def forget_backup(self, identifier: str) -> None:
        """Removes the copy, if it is there. Raises ValueError."""
        self._copy(identifier).unlink(missing_ok=True)

    def _copy(self, identifier: str) -> Path:
        if not _BACKUP_ID.fullmatch(identifier):
            raise ValueError("a backup's id is 1 to 64 letters, digits, - and _")
        return self.file.with_name(f"{self.file.name}.backup-{identifier}")


def _vacuum(connection: Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
