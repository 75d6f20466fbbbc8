"""The repositories that this host can open: with which password, what they hold, and what is under way in them."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bhtui.core.backup import BackupProgress, BackupSnapshot, BackupSpec, StorageSpec
from bhtui.core.errors import NotFound, UsageError
from bhtui.core.spec import Spec
from bhtui.core.units import counted, format_age, format_size

from . import password
from .catalog import Catalog
from .child import Engine, Notes, Opening, Progress

TICKET_SECONDS = 300.0
"""How long a password that was handed over waits for its operation."""
TICKETS = 100
EXAMPLE = "backup: {storage: {type: local, path: /var/backups/blackhole}}"


class Repositories:
    """`spec` gives the configuration in force, `clock` Unix nanoseconds."""

    def __init__(
        self,
        spec: Callable[[], Spec],
        catalog: Catalog,
        engine: Engine,
        clock: Callable[[], int] = time.time_ns,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._spec, self.catalog, self._engine, self._clock, self._environ = spec, catalog, engine, clock, environ
        self.unlocked: Callable[[str, str], object] = lambda _location, _whose: None
        """Called for each lock that was removed because nobody stands behind it."""
        self._given = ""
        self._tickets: dict[str, tuple[float, str]] = {}
        self._running: dict[tuple[str, str], tuple[float, Progress]] = {}
        self._reading = asyncio.Semaphore(2)
        """Questions at the same time; each is a process that reads an index."""

    # ---- which, and with what ------------------------------------------------------------------------------------

    @property
    def declared(self) -> BackupSpec:
        """What is configured now."""
        return self._spec().backup

    def storage(self, folder: str = "") -> StorageSpec:
        """The configured one, or that of a folder. Raises UsageError."""
        if folder:
            if not folder.startswith("/"):
                raise UsageError(f"cannot use the repository {folder}: its path must begin with /")
            return StorageSpec("local", path=os.path.normpath(folder))
        found = self.declared.storage
        if found is None:
            raise UsageError(
                f"cannot find a repository: none is configured; add to blackhole.yaml, for example: {EXAMPLE}"
            )
        return found

    def location(self, folder: str = "") -> str:
        """As restic is told of it; empty: none is configured."""
        return self.storage(folder).location if folder or self.declared.storage else ""

    async def opening(self, folder: str = "") -> Opening:
        """Everything that opens it. Raises UsageError, Refused, BlackholeError."""
        storage = self.storage(folder)
        found = await password.find(self.declared, self._environ, self._given)
        return Opening(storage, found, self.declared.bandwidth)

    # ---- passwords that were handed over ---------------------------------------------------------------------------

    def keep_password(self, secret: str) -> None:
        """For as long as this agent runs, where none is configured."""
        self._given = secret

    def deposit(self, secret: str) -> str:
        """A ticket for a password that one operation will need. Raises UsageError."""
        if not secret.strip() or len(secret) > password.LIMIT:
            raise UsageError(f"cannot take the password: it must have 1 to {password.LIMIT} characters")
        now = time.monotonic()
        fresh = [(key, each) for key, each in self._tickets.items() if now - each[0] < TICKET_SECONDS]
        self._tickets = dict(fresh[-TICKETS + 1 :])
        ticket = secrets.token_hex(16)
        self._tickets[ticket] = now, secret.strip()
        return ticket

    def withdraw(self, ticket: str) -> str:
        """The password, once. Raises NotFound."""
        given, secret = self._tickets.pop(ticket, (0.0, ""))
        if not secret or time.monotonic() - given > TICKET_SECONDS:
            raise NotFound("cannot find the new password: it was handed over too long ago; run the command again")
        return secret

    # ---- asking ----------------------------------------------------------------------------------------------------

    async def ask(self, verb: str, folder: str = "", arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A short question. Raises what `failures` has."""
        opening = await self.opening(folder)
        async with self._reading:
            with self._unlocking(folder, Notes()) as notes:
                return await self._engine.run(verb, opening, arguments, notes=notes)

    async def refresh(self, folder: str = "") -> tuple[BackupSnapshot, ...]:
        """What the repository holds now, newest first; the catalog knows it then. Raises what `failures` has."""
        answer = await self.ask("snapshots", folder)
        location = self.location(folder)
        found = [_snapshot(each) for each in answer.get("snapshots", ())]
        self.catalog.replace(location, found, self._clock())
        return self.catalog.snapshots(location)

    def away(self, folder: str = "") -> str:
        """Why a repository that is not found is not to be made anew: it was there before. Empty: it never was."""
        location = self.location(folder)
        known = len(self.catalog.snapshots(location))
        if not known:
            return ""
        ago = format_age((self._clock() - self.catalog.seen_ns(location)) / 1e9)
        return (
            f"there is no repository at {location} now, but there was one with {counted(known, 'snapshot')} {ago} ago: "
            "is its disk mounted? If it is lost for good, `blackhole backup repo init` makes a new one"
        )

    # ---- working ---------------------------------------------------------------------------------------------------

    async def work(
        self,
        verb: str,
        folder: str,
        arguments: Mapping[str, Any],
        operation: str,
        service: str,
        say: Callable[[str], None],
        notes: Notes | None = None,
    ) -> dict[str, Any]:
        """Something longer; how far it has come is said, and shown to whoever asks. Raises what `failures` has.

        `unlocked` of the answer is whose locks were removed on the way.
        """
        opening = await self.opening(folder)
        with self._watched(operation, service) as seen, self._unlocking(folder, notes or Notes()) as kept:

            def told(progress: Progress) -> None:
                say(seen(progress))

            answer = await self._engine.run(verb, opening, arguments, told, kept)
            return {**answer, "unlocked": list(kept.unlocked)}

    @contextmanager
    def _unlocking(self, folder: str, notes: Notes) -> Iterator[Notes]:
        """However it ends, it is told whose locks were removed."""
        try:
            yield notes
        finally:
            for whose in notes.unlocked:
                self.unlocked(self.location(folder), whose)

    @contextmanager
    def _watched(self, operation: str, service: str) -> Iterator[Callable[[Progress], str]]:
        begun = time.monotonic()
        key = operation, service
        self._running[key] = begun, Progress()

        def seen(progress: Progress) -> str:
            self._running[key] = begun, progress
            return progress_text(progress, time.monotonic() - begun)

        try:
            yield seen
        finally:
            self._running.pop(key, None)

    @property
    def running(self) -> tuple[BackupProgress, ...]:
        """What is under way."""
        now = time.monotonic()
        return tuple(
            BackupProgress(
                operation,
                service,
                each.phase,
                each.bytes,
                each.bytes_total,
                each.files,
                each.files_total,
                each.current,
                now - begun,
            )
            for (operation, service), (begun, each) in self._running.items()
        )


def progress_text(progress: Progress, seconds: float) -> str:
    """`backup: 312 M of 1.2 G, 1204 of 9000 files, 41 M/s, 22 s left`."""
    done, total = progress.bytes, progress.bytes_total
    parts = [f"{format_size(done)} of {format_size(total)}" if total else format_size(done)] if done or total else []
    if progress.files or progress.files_total:
        of = f" of {progress.files_total}" if progress.files_total else ""
        parts.append(f"{progress.files}{of} files")
    if done and seconds >= 1:
        parts.append(f"{format_size(done / seconds)}/s")
        if total > done:
            parts.append(f"{format_age((total - done) * seconds / done)} left")
    return f"{progress.phase}: {', '.join(parts)}" if parts else progress.phase


def with_unlocked(detail: str, said: Mapping[str, Any]) -> str:
    """With the locks that were removed for it."""
    gone: list[str] = list(said.get("unlocked") or ())
    if not gone:
        return detail
    more = f" and of {len(gone) - 1} more" if len(gone) > 1 else ""
    return f"{detail}; removed the lock of {gone[0]}{more}, as nobody works there any more"


def _snapshot(told: Mapping[str, Any]) -> BackupSnapshot:
    """A snapshot as the engine tells of it."""
    tags = tuple(map(str, told.get("tags") or ()))
    return BackupSnapshot(
        id=str(told["id"]),
        time_ns=int(told["time_ns"]),
        type=tagged(tags, "type"),
        host=str(told.get("host") or ""),
        services=tuple(tag.partition(":")[2] for tag in tags if tag.startswith("service:")),
        bytes_added=int(told.get("bytes_added") or 0),
        bytes_total=int(told.get("bytes_total") or 0),
        run=tagged(tags, "run"),
        paths=tuple(map(shown, told.get("paths") or ())),
        files=int(told.get("files") or 0),
        parent=str(told.get("parent") or ""),
        tags=tags,
        program=str(told.get("program") or ""),
    )


def shown(value: Any) -> Any:
    """A text as it can be sent and kept: bytes of a name that are no UTF-8 are written as `\\xff`."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def tagged(tags: tuple[str, ...], name: str) -> str:
    """The value of the tag `name:VALUE`; empty: there is none."""
    return next((tag.partition(":")[2] for tag in tags if tag.startswith(f"{name}:")), "")
