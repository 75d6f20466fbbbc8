"""The agent's database: one SQLite file, one connection, used from the event loop's thread only.

Write-ahead log with synchronous=NORMAL: a commit is in the kernel's hands when it returns, so the end of this process
loses nothing, SIGKILL included. A power cut may lose the last commits, but never half of one and never the file
(https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous). No fsync per commit keeps
the loop free of the disk's latency.

The write-ahead log is allocated in advance, so that operations can still be journaled on a disk that is full: that is
when somebody must be able to stop the service that filled it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from ..core.errors import BlackholeError, Refused
from ..core.event import EventKind
from ..core.override import Override
from .events.chain import canonical, chain_hash

log = logging.getLogger(__name__)

MIGRATIONS = ("schema.sql", "backups.sql", "codes.sql")
"""The n-th script brings a file from schema version n - 1 to n."""

WAL_RESERVE = 8 << 20
"""Bytes allocated for the write-ahead log: twice what it grows to between two checkpoints (1,000 pages of 4 KiB)."""

BUSY_SECONDS = 1.0
"""How long a lock held by another process (somebody's sqlite3) is waited for. It holds up the loop, so not for long."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOR_NOW = frozenset({
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM,
})  # fmt: skip


class StoreError(BlackholeError):
    """The database cannot be used."""


class StoreUnavailable(StoreError):
    """Not now: the disk is full or failing, or another process holds a lock. Nothing was changed; try again later."""


class StoreDamaged(StoreError):
    """The file is damaged; it is put aside when the agent is next started."""


class Store:
    """The open database. Raises Refused for a file of a newer version, BlackholeError when it cannot be opened.

    A damaged file is renamed to `<name>.damaged-<UTC time>` and a new one begun, whose first event says so.
    """

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self.clock = clock
        self.listeners: list[Callable[[list[tuple[int, str]]], None]] = []
        """Called after each commit that made events, with their (seq, target)."""
        self._fresh: list[tuple[int, str]] = []
        self._unsaved: dict[str, str | None] = {}
        self._closed = False
        self._db = self._open()

    def close(self) -> None:
        """Ends the connection; the write-ahead log is folded into the file."""
        self._closed = True
        self._db.close()

    # Access

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Never await inside. Raises StoreUnavailable or StoreDamaged, having changed nothing."""
        self._check_open("write")
        with self._errors("write"):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._fresh.clear()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        fresh, self._fresh = self._fresh, []
        if fresh:
            for listener in self.listeners:
                listener(fresh)

    def rows(self, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises StoreUnavailable or StoreDamaged."""
        self._check_open("read")
        with self._errors("read"):
            return self._db.execute(sql, args).fetchall()

    # Small tables

    def load_instances(self) -> dict[str, dict[str, Any]]:
        """What was saved of each instance, by name."""
        saved: dict[str, str | None] = dict(self.rows("SELECT instance, data FROM instances"))
        saved.update(self._unsaved)
        return {name: json.loads(data) for name, data in saved.items() if data is not None}

    def save_instance(self, name: str, mapping: Mapping[str, Any]) -> None:
        """Keeps JSON values for an instance; in memory, as long as the disk has no room for them."""
        self._unsaved[name] = canonical(dict(mapping))
        self.save_unsaved()

    def delete_instance(self, name: str) -> None:
        """Forgets an instance."""
        self._unsaved[name] = None
        self.save_unsaved()

    def save_unsaved(self) -> bool:
        """Tries again what could not be saved; whether nothing is left."""
        if not self._unsaved:
            return True
        try:
            with self.transaction() as db:
                db.executemany(
                    "INSERT INTO instances VALUES (?, ?) ON CONFLICT (instance) DO UPDATE SET data = excluded.data",
                    [(name, data) for name, data in self._unsaved.items() if data is not None],
                )
                db.executemany(
                    "DELETE FROM instances WHERE instance = ?",
                    [(name,) for name, data in self._unsaved.items() if data is None],
                )
        except StoreError as error:
            log.warning("instances are kept in memory for now: %s", error)
            return False
        self._unsaved.clear()
        return True

    def setting(self, key: str) -> Any:
        """The JSON value kept under a key, or None."""
        rows = self.rows("SELECT value FROM settings WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else None

    def set_setting(self, key: str, value: Any) -> None:
        """Keeps a JSON value under a key, its keys in their order: that of the services is what people see. Raises
        StoreUnavailable, StoreDamaged."""
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        with self.transaction() as db:
            db.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, text),
            )

    def load_overrides(self) -> dict[str, dict[str, Override]]:
        """What was set at run time instead of what is declared, by service and key."""
        found: dict[str, dict[str, Override]] = {}
        for service, key, value, actor, time_ns in self.rows(
            "SELECT service, key, value, actor, time_ns FROM overrides"
        ):
            found.setdefault(service, {})[key] = Override(json.loads(value), actor, time_ns)
        return found

    def save_overrides(self, service: str, changes: Mapping[str, Override | None]) -> None:
        """Sets some overrides of a service, removes others (None). Raises StoreUnavailable, StoreDamaged."""
        with self.transaction() as db:
            for key, override in changes.items():
                db.execute("DELETE FROM overrides WHERE service = ? AND key = ?", (service, key))
                if override is not None:
                    row = (service, key, canonical(override.value), override.actor, override.time_ns)
                    db.execute("INSERT INTO overrides VALUES (?, ?, ?, ?, ?)", row)

    # Opening

    def _open(self) -> sqlite3.Connection:
        try:
            db, damage = self._connect_sound()
        except OSError as error:
            why = f"{error.strerror}; make its folder writable for the agent's user"
            raise StoreError(f"cannot open {self.path}: {why}") from error
        try:
            with self._errors("open"):
                self._migrate(db)
                self._reserve()
                if damage:
                    db.execute(
                        "INSERT INTO events (time_ns, kind, target, message) VALUES (?, ?, ?, ?)",
                        (self.clock(), EventKind.STORE_DAMAGED, str(self.path), damage),
                    )
                    self._fresh.clear()  # nobody listens yet
        except BaseException:
            db.close()
            raise
        return db

    def _connect_sound(self) -> tuple[sqlite3.Connection, str]:
        """A connection to a sound file, and what happened to the damaged one that was there before, if any."""
        try:
            return self._connect(), ""
        except StoreDamaged as error:
            aside = self._put_aside()
            damage = f"the database was damaged; it is kept as {aside}, and a new one was begun"
            log.error("%s: %s", damage, error)
            return self._connect(), damage

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made before SQLite makes it, which gives its companions the same mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            with self._errors("open"):
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute(f"PRAGMA journal_size_limit={WAL_RESERVE}")
                if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                    raise StoreDamaged(f"cannot open {self.path}: {verdict}")
        except BaseException:
            db.close()
            raise
        db.create_function("now_ns", 0, lambda: self.clock())
        db.create_function("chain_hash", 9, self._chain_hash)
        db.create_function("headline", 4, headline, deterministic=True)
        return db

    def _put_aside(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.clock() // 1_000_000_000))
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        return aside

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise Refused(
                f"cannot open {self.path}: a newer version of the agent wrote it (schema {version}, this one knows "
                f"{len(MIGRATIONS)}); run that version, or move the file away to begin without its history"
            )
        for number, name in enumerate(MIGRATIONS[version:], version + 1):
            script = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
            db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def _reserve(self) -> None:
        """Allocates the write-ahead log's blocks. SQLite reads it only up to the first frame that is not its own."""
        wal = self.path.with_name(self.path.name + "-wal")
        try:
            file = os.open(wal, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.posix_fallocate(file, 0, WAL_RESERVE)
            finally:
                os.close(file)
        except OSError as error:
            log.warning("cannot set aside %d MiB for %s: %s", WAL_RESERVE >> 20, wal, error.strerror)

    # Parts

    def _chain_hash(self, previous: bytes, seq: int, time_ns: int, kind: str, target: str, *rest: Any) -> bytes:
        self._fresh.append((seq, target))
        return chain_hash(previous, seq, time_ns, kind, target, *rest)

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StoreUnavailable(f"cannot {action} {self.path}: the agent is ending")

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Makes SQLite's errors about the file ours; those about a statement are bugs and stay as they are."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DAMAGED:
                why = f"the file is damaged ({error}); restart the agent, which puts it aside and begins a new one"
                raise StoreDamaged(f"cannot {action} {self.path}: {why}") from error
            if code not in _FOR_NOW:
                raise
            why = "the disk is full; free some space" if code == sqlite3.SQLITE_FULL else f"{error}; it is tried again"
            raise StoreUnavailable(f"cannot {action} {self.path}: {why}") from error


def clean(text: str) -> str:
    """The text as SQLite can keep it: without lone surrogates (odd file names) and zero bytes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def headline(kind: str, targets: str, state: str, detail: str) -> str:
    """One line for people about a change of state: `start api db: failed: cannot start api-1: port 80 is in use`."""
    names = json.loads(targets)
    shown = " ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    first_line = detail.partition("\n")[0]
    return ": ".join(part for part in (f"{kind} {shown}".rstrip(), state, first_line) if part)
