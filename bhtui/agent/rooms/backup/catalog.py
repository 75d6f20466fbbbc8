"""What is known of backups without asking a repository: what it held when it was last seen, and how that is.

The repository is the truth; the catalog is made anew from it whenever it is read. What a repository cannot say (what
was verified and drilled, which attempt failed) is kept beside, by the ids of snapshots.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bhtui.core.backup import REPAIRED, BackupSnapshot

MADE, VERIFY, DRILL = "made", "verify", "drill"
KEPT = (
    "type", "host", "services", "bytes_added", "bytes_total", "run", "paths", "files", "parent", "tags", "program",
)  # fmt: skip
"""Fields of a snapshot that its repository says."""
LOST = "files of it were lost when the repository was repaired"
LISTS = ("services", "paths", "tags")


class Database(Protocol):
    """The agent's database."""

    def rows(self, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]: ...

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt to back up a service, which failed."""

    time_ns: int
    error: str


class Catalog:
    """All methods raise StoreUnavailable, StoreDamaged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- questions -----------------------------------------------------------------------------------------------

    def snapshots(self, repository: str) -> tuple[BackupSnapshot, ...]:
        """Newest first, with how each is."""
        rows = self._database.rows("SELECT id, time_ns, data FROM backups WHERE repository = ?", (repository,))
        checks = self._checks(row[0] for row in rows)
        found = [_judged(_from_row(*row), checks.get(row[0], {})) for row in rows]
        return tuple(sorted(found, key=lambda each: (-each.time_ns, each.id)))

    def seen_ns(self, repository: str) -> int:
        """When the repository was last read; 0: never."""
        rows = self._database.rows("SELECT seen_ns FROM repositories WHERE location = ?", (repository,))
        return int(rows[0][0]) if rows else 0

    def failures(self) -> dict[str, Failure]:
        """By service: the last attempt, where it failed."""
        rows = self._database.rows("SELECT service, time_ns, error FROM backup_failures")
        return {service: Failure(time_ns, error) for service, time_ns, error in rows}

    def _checks(self, ids: Iterable[str]) -> dict[str, dict[str, tuple[Any, ...]]]:
        wanted = set(ids)
        found: dict[str, dict[str, tuple[Any, ...]]] = {}
        for id_, kind, *rest in self._database.rows(
            "SELECT id, kind, time_ns, how, problem, seconds FROM backup_checks"
        ):
            if id_ in wanted:
                found.setdefault(id_, {})[kind] = tuple(rest)
        return found

    # ---- changes -------------------------------------------------------------------------------------------------

    def replace(self, repository: str, snapshots: Iterable[BackupSnapshot], now_ns: int) -> None:
        """The repository was read, and holds these."""
        rows = [_to_row(repository, each) for each in snapshots]
        with self._database.transaction() as db:
            db.execute("DELETE FROM backups WHERE repository = ?", (repository,))
            db.executemany("INSERT INTO backups VALUES (?, ?, ?, ?)", rows)
            db.execute("INSERT OR REPLACE INTO repositories VALUES (?, ?)", (repository, now_ns))
            # Of what is in no repository any more nothing need be known.
            db.execute("DELETE FROM backup_checks WHERE id NOT IN (SELECT id FROM backups)")

    def add(self, repository: str, snapshot: BackupSnapshot, problem: str, now_ns: int) -> None:
        """One was made; `problem`: what of its data could not be read. The service's last attempt is good."""
        with self._database.transaction() as db:
            db.execute("INSERT OR REPLACE INTO backups VALUES (?, ?, ?, ?)", _to_row(repository, snapshot))
            if problem:
                _check(db, snapshot.id, MADE, now_ns, "", problem, 0.0)
            db.executemany("DELETE FROM backup_failures WHERE service = ?", [(each,) for each in snapshot.services])

    def remove(self, repository: str, ids: Sequence[str]) -> None:
        """They were forgotten."""
        with self._database.transaction() as db:
            db.executemany("DELETE FROM backups WHERE repository = ? AND id = ?", [(repository, each) for each in ids])

    def fail(self, service: str, error: str, now_ns: int) -> None:
        """The attempt to back it up has failed."""
        with self._database.transaction() as db:
            db.execute("INSERT OR REPLACE INTO backup_failures VALUES (?, ?, ?)", (service, now_ns, error))

    def verified(self, problems: Mapping[str, str], how: str, now_ns: int) -> None:
        """By id: what is wrong with it; empty: it was found good. What was found missing when it was made stays."""
        with self._database.transaction() as db:
            for id_, problem in problems.items():
                _check(db, id_, VERIFY, now_ns, how, problem, 0.0)

    def drilled(self, id_: str, problem: str, seconds: float, now_ns: int) -> None:
        """It was restored on trial; `problem` empty: the service was healthy with it after so long."""
        with self._database.transaction() as db:
            _check(db, id_, DRILL, now_ns, "", problem, seconds)


def _check(db: sqlite3.Connection, id_: str, kind: str, now_ns: int, how: str, problem: str, seconds: float) -> None:
    row = (id_, kind, now_ns, how, problem, seconds)
    db.execute("INSERT OR REPLACE INTO backup_checks VALUES (?, ?, ?, ?, ?, ?)", row)


def _to_row(repository: str, snapshot: BackupSnapshot) -> tuple[str, str, int, str]:
    data = {key: getattr(snapshot, key) for key in KEPT}
    return repository, snapshot.id, snapshot.time_ns, json.dumps(data, sort_keys=True)


def _from_row(id_: str, time_ns: int, data: str) -> BackupSnapshot:
    values = json.loads(data)
    values |= {key: tuple(values.get(key, ())) for key in LISTS}
    return BackupSnapshot(id=id_, time_ns=time_ns, **{key: values[key] for key in values if key in KEPT})


def _judged(snapshot: BackupSnapshot, checks: Mapping[str, tuple[Any, ...]]) -> BackupSnapshot:
    made, verify, drill = (checks.get(kind, (0, "", "", 0.0)) for kind in (MADE, VERIFY, DRILL))
    return replace(
        snapshot,
        verified=bool(verify[0]) and not verify[2],
        verified_ns=verify[0],
        verified_how=verify[1],
        problem=verify[2] or made[2] or (LOST if REPAIRED in snapshot.tags else ""),
        drilled_ns=drill[0],
        drill_problem=drill[2],
        drill_seconds=drill[3],
    )
