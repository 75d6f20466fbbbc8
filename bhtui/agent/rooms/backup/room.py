"""The room of backups: lists what exists, and what a backup would take from the services of this host."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from bhtui.core.backup import BackupDiff, BackupFiles, Backups, BackupSnapshot, BackupSource, RepositoryStats
from bhtui.core.errors import NotFound, Refused
from bhtui.core.replica import instances
from bhtui.core.spec import Spec

from . import repository, sources

COUNT_SECONDS = 5.0
"""How long one listing may count files; what is not counted by then says so."""
LATER = "this agent makes no backups yet; upgrade it"
LOOK_SECONDS = 60.0
"""How often the repository is looked at for its newest snapshot."""


class Backup:
    """Lists backups. `spec` gives the configuration in force."""

    def __init__(self, spec: Callable[[], Spec], count_seconds: float = COUNT_SECONDS) -> None:
        self._spec, self._count_seconds = spec, count_seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="backup")
        self._is_closed = threading.Event()
        self.newest_ns = 0
        """When the newest snapshot was made, as of the last look; 0: none is known."""

    def close(self) -> None:
        """Ends counting that is under way."""
        self._is_closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def list(self, services: Collection[str] = ()) -> Backups:
        """Snapshots, and the data of the services (none: all). Raises NotFound for a service that is not declared."""
        spec = self._spec()
        if unknown := sorted(set(services) - set(spec.services)):
            raise NotFound(
                f"cannot list the backups of {', '.join(unknown)}: no such service; "
                f"there are {', '.join(sorted(spec.services)) or 'none'}"
            )
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look, spec, services)

    async def get(self, snapshot: str, repository: str) -> BackupSnapshot:
        """One of them."""
        raise Refused(f"cannot show {snapshot} of {repository or 'the repository'}: {LATER}")

    async def files(self, snapshot: str, path: str, recursive: bool, limit: int, repository: str) -> BackupFiles:
        """What one holds."""
        raise Refused(f"cannot look into {snapshot} {path} {recursive} {limit} {repository}: {LATER}")

    async def diff(self, a: str, b: str, limit: int, repository: str) -> BackupDiff:
        """How two differ."""
        raise Refused(f"cannot compare {a} and {b} {limit} {repository}: {LATER}")

    async def stats(self, repository: str) -> RepositoryStats:
        """What the repository holds."""
        raise Refused(f"cannot look into {repository or 'the repository'}: {LATER}")

    def deposit(self, secret: str) -> str:
        """Keeps a password for the operation that follows."""
        raise Refused(f"cannot keep a password of {len(secret)} characters: {LATER}")

    async def last_ns(self) -> int:
        """When the newest snapshot was made, Unix nanoseconds; 0: there is none, or none can be seen."""
        found, _ = await asyncio.get_running_loop().run_in_executor(self._pool, self._snapshots, self._spec())
        return found[0].time_ns if found else 0

    async def watch(self) -> None:
        """Keeps `newest_ns` up to date; never ends by itself."""
        while True:
            self.newest_ns = await self.last_ns()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self, spec: Spec, services: Collection[str]) -> Backups:
        chosen = [one for name, one in sorted(spec.services.items()) if name in services or not services]
        deadline = time.monotonic() + self._count_seconds
        found: list[BackupSource] = []
        for service in chosen:
            for path in dict.fromkeys(path for each in instances(service).values() for path in each.data):
                found.append(sources.measure(service.name, path, lambda: self._is_time_up(deadline)))  # noqa: PERF401
        snapshots, problem = self._snapshots(spec)
        backup = spec.sections.get("backup") or {}
        paths = list(dict.fromkeys(source.path for source in found))
        return Backups(snapshots, tuple(found), repository.location(backup), repository.hint(backup, paths, problem))

    def _is_time_up(self, deadline: float) -> bool:
        return self._is_closed.is_set() or time.monotonic() >= deadline

    def _snapshots(self, spec: Spec) -> tuple[tuple[BackupSnapshot, ...], str]:
        """What is in a local repository, and why that cannot be seen."""
        folder = repository.local_folder(spec.sections.get("backup") or {})
        if folder is None:
            return (), ""
        try:
            return repository.snapshots(folder), ""
        except OSError as error:
            return (), f"cannot read the repository {folder}: {(error.strerror or str(error)).lower()}"
