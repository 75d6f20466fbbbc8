"""The room of backups: what exists, what one would take, how well each service is protected, and how plans are made."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from bhtui.agent.memory import Events
from bhtui.core.backup import (
    BackupChange,
    BackupDiff,
    BackupEntry,
    BackupFiles,
    Backups,
    BackupSnapshot,
    BackupSource,
    BackupType,
    RepositoryKey,
    RepositoryLock,
    RepositoryStats,
    ServiceProtection,
)
from bhtui.core.errors import BlackholeError, NotFound
from bhtui.core.event import EventKind
from bhtui.core.spec import ServiceSpec, Spec

from . import choosing, protection, repository, requests, retention, schedule, sources
from .catalog import Catalog, Database
from .child import Engine
from .failures import NoRepository
from .model import Preparation, Preparations
from .repositories import Repositories, shown

log = logging.getLogger(__name__)

COUNT_SECONDS = 5.0
"""How long one listing may count files; what is not counted by then says so."""
PATIENCE = 25.0
"""Seconds that a listing waits for the repository, before it answers with what was last seen."""


def _nothing(_: ServiceSpec) -> Sequence[Preparation]:
    return ()


class Backup:
    """`spec` gives the configuration in force; `zone` is that of the host's clock, `host` its name."""

    def __init__(
        self,
        spec: Callable[[], Spec],
        database: Database,
        events: Events,
        engine: Engine,
        host: str,
        zone: Callable[[], tzinfo] = lambda: UTC,
        clock: Callable[[], int] = time.time_ns,
        environ: Mapping[str, str] = os.environ,
        count_seconds: float = COUNT_SECONDS,
    ) -> None:
        self.spec, self.events, self.host, self.zone, self.clock = spec, events, host, zone, clock
        self.catalog = Catalog(database)
        self.repositories = Repositories(spec, self.catalog, engine, clock, environ)
        self.repositories.unlocked = lambda location, whose: events.append(
            EventKind.BACKUP_UNLOCKED, location, f"removed the lock of {whose}", {"lock": whose}
        )
        self.preparations: Preparations = _nothing
        """What makes a service consistent first; the wiring gives it."""
        self.scratch = Path(os.devnull)
        """The agent's own folder, for what is restored on trial; the wiring gives it."""
        self.notes: list[str] = []
        """What is wrong with the protection of services, for `status`; found by the watch, which looks now and then."""
        self.config = ""
        """The host's own configuration, which every snapshot takes along; the wiring gives it. Empty: none."""
        self.told: Callable[[], None] = lambda: None
        """Called when a backup was made or has failed; the watch looks then."""
        self.turn = asyncio.Lock()
        """Held by the one service that is being backed up."""
        self._count_seconds = count_seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="backup")
        self._is_closed = threading.Event()

    def close(self) -> None:
        """Ends counting that is under way."""
        self._is_closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # ---- questions -----------------------------------------------------------------------------------------------

    @property
    def newest_ns(self) -> int:
        """When the newest snapshot of this host was made, as far as is known; 0: there is none."""
        known = self.known()
        return max((each.time_ns for each in known if each.host in (self.host, "")), default=0)

    def known(self, folder: str = "") -> tuple[BackupSnapshot, ...]:
        """What was last seen, newest first; also what can be seen of a local repository without its password."""
        known = self.catalog.snapshots(self.repositories.location(folder))
        found = {each.id: each for each in (*repository.visible(self._local(folder)), *known)}
        return tuple(sorted(found.values(), key=lambda each: (-each.time_ns, each.id)))

    def _local(self, folder: str) -> str:
        """The folder of a local repository; empty: it is elsewhere, or none is configured."""
        storage = self.spec().backup.storage
        return folder or (storage.path if storage is not None and storage.type == "local" else "")

    async def list(
        self,
        services: Collection[str] = (),
        folder: str = "",
        cached: bool = False,
        without_sources: bool = False,
    ) -> Backups:
        """Everything; `folder` is that of another repository. Raises NotFound for a service that is not declared."""
        spec = self.spec()
        if unknown := sorted(set(services) - set(spec.services)):
            raise NotFound(
                f"cannot list the backups of {', '.join(unknown)}: no such service; "
                f"there are {', '.join(sorted(spec.services)) or 'none'}"
            )
        location = self.repositories.location(folder)
        problem, is_missing = "", False
        if location and not cached:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.repositories.refresh(folder)
            except NoRepository:
                problem = self.repositories.away(folder)
                is_missing = not problem
            except TimeoutError:
                problem = f"cannot reach the repository {location}: it has not answered within {PATIENCE:.0f} s"
            except BlackholeError as error:
                problem = str(error)
        counted = () if without_sources else await self._count(spec, services)
        kept = self.reasons(folder)
        known = [replace(each, kept=kept.get(each.id, ())) for each in self.known(folder)]
        due = schedule.next_ns(spec.backup.schedule, self.host, self.zone(), self.clock())
        return Backups(
            snapshots=tuple(each for each in known if not services or set(each.services) & set(services)),
            sources=counted,
            repository=location,
            hint=repository.hint(spec, known, is_missing),
            seen_ns=self.catalog.seen_ns(location),
            problem=problem,
            services=self.protection(),
            running=self.repositories.running,
            next_full_ns=due.get(BackupType.FULL, 0),
            next_incremental_ns=due.get(BackupType.INCREMENTAL, 0),
            rpo_seconds=spec.backup.promise.rpo,
            rto_seconds=spec.backup.promise.rto,
        )

    def reasons(self, folder: str = "") -> retention.Reasons:
        """Why each snapshot is kept."""
        known = self.catalog.snapshots(self.repositories.location(folder))
        return retention.keep(known, self.spec().backup.retention, self.host, self.zone(), self.clock())

    def protection(self) -> tuple[ServiceProtection, ...]:
        """How well each service that has data is protected."""
        spec = self.spec()
        known = self.catalog.snapshots(self.repositories.location())
        names = [each.name for each in spec.services.values() if each.data]
        return protection.judge(names, known, self.catalog.failures(), self.host, spec.backup.promise.rpo, self.clock())

    async def get(self, snapshot: str, folder: str = "") -> BackupSnapshot:
        """One of them. Raises NotFound, UsageError."""
        found = choosing.by_id(await self.seen(folder), snapshot)
        return replace(found, kept=self.reasons(folder).get(found.id, ()))

    async def files(self, snapshot: str, path: str, recursive: bool, limit: int, folder: str) -> BackupFiles:
        """What one holds. Raises NotFound, UsageError and what `failures` has."""
        found = choosing.by_id(await self.seen(folder, enough=snapshot), snapshot)
        wanted = {"id": found.id, "path": path or "/", "recursive": recursive, "limit": max(1, limit)}
        answer = await self.repositories.ask("files", folder, wanted)
        entries = tuple(_filled(BackupEntry, each) for each in answer.get("entries", ()))
        return BackupFiles(found.id, entries, bool(answer.get("more")))

    async def diff(self, a: str, b: str, limit: int, folder: str) -> BackupDiff:
        """How two differ. Raises NotFound, UsageError and what `failures` has."""
        known = await self.seen(folder)
        one, other = choosing.by_id(known, a), choosing.by_id(known, b)
        answer = await self.repositories.ask("diff", folder, {"a": one.id, "b": other.id, "limit": max(1, limit)})
        changes = tuple(_filled(BackupChange, each) for each in answer.get("changes", ()))
        return BackupDiff(
            one.id, other.id, changes[:limit], int(answer.get("bytes_added", 0)), int(answer.get("bytes_removed", 0)),
            bool(answer.get("more")) or len(changes) > limit,
        )  # fmt: skip

    async def stats(self, folder: str) -> RepositoryStats:
        """What the repository holds, who works in it, which passwords open it. Raises what `failures` has."""
        ask = self.repositories.ask
        told, locks, keys = await asyncio.gather(ask("stats", folder), ask("locks", folder), ask("key_list", folder))
        found: RepositoryStats = _filled(RepositoryStats, told)
        return replace(
            found,
            repository=self.repositories.location(folder),
            locks=tuple(_filled(RepositoryLock, _named(each)) for each in locks.get("locks", ())),
            keys=tuple(_filled(RepositoryKey, _named(each)) for each in keys.get("keys", ())),
        )

    async def seen(self, folder: str = "", enough: str = "") -> tuple[BackupSnapshot, ...]:
        """The snapshots as the repository has them now. `enough`: an id that, if it is known, need not be looked for.

        Raises what `failures` has.
        """
        if enough:
            known = self.catalog.snapshots(self.repositories.location(folder))
            if [each for each in known if each.id.startswith(enough.lower())]:
                return known
        return await self.repositories.refresh(folder)

    def not_backed_up(self, service: str, why: str) -> None:
        """The attempt has failed: told, and remembered until there is a backup."""
        self.catalog.fail(service, why, self.clock())
        self.events.append(EventKind.BACKUP_FAILED, service, why, {})
        self.told()

    def target(self, folder: str) -> requests.Target:
        """The repository that a request is about. Raises UsageError."""
        return requests.Target(folder, self.repositories.storage(folder).location)

    # ---- counting what one would take --------------------------------------------------------------------------

    async def _count(self, spec: Spec, services: Collection[str]) -> tuple[BackupSource, ...]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look, spec, services)

    def _look(self, spec: Spec, services: Collection[str]) -> tuple[BackupSource, ...]:
        chosen = [one for name, one in sorted(spec.services.items()) if name in services or not services]
        deadline = time.monotonic() + self._count_seconds
        return tuple(
            sources.measure(service.name, path, lambda: self._is_time_up(deadline))
            for service in chosen
            for path in requests.data_of(service)
        )

    def _is_time_up(self, deadline: float) -> bool:
        return self._is_closed.is_set() or time.monotonic() >= deadline


def _named(told: Mapping[str, Any]) -> dict[str, Any]:
    """With the format's own words as ours."""
    ours = {"hostname": "host", "username": "user"}
    renamed = {ours.get(key, key): value for key, value in told.items()}
    return {"created_ns": told.get("time_ns", 0), **renamed}


def _filled(kind: Any, told: Mapping[str, Any]) -> Any:
    """A frozen value from what the engine tells of it."""
    return kind(**{name: shown(told[name]) for name in kind.__dataclass_fields__ if told.get(name) is not None})
