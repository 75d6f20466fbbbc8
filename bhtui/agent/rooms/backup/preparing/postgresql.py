"""PostgreSQL: a base backup in place of the live data folder, dumps beside it, and its archived log for points in time.

https://www.postgresql.org/docs/current/continuous-archiving.html. `pg_basebackup` copies the folder as a new server
could start from it, with the log it needs. When the server archives its log (`archive_mode=on`, an `archive_command`
that copies into `wal_archive`), a restore to a moment after the base backup plays that back.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bhtui.agent.command import Here, Said, Setting, run
from bhtui.core.backup import PostgresqlBackup
from bhtui.core.errors import BlackholeError, NotFound, UsageError
from bhtui.core.spec import ServiceSpec
from bhtui.core.units import counted

from ..model import Prepared, Stream, Work
from . import standins
from .postgresqlload import Loading

LOG_FOLDER = "blackhole_wal"
"""Below the restored data folder: the log that is played back to reach a moment."""
ARCHIVED = 60.0
"""Seconds for which a switched segment may take to arrive in the archive."""
LOOK = 0.25


class Postgresql:
    """Asks one server, as the service's user."""

    name = "take a base backup of PostgreSQL"

    def __init__(self, service: ServiceSpec, spec: PostgresqlBackup, timeout: float, here: Here) -> None:
        self._service, self._spec, self._timeout, self._here = service, spec, timeout, here

    async def before(self, work: Work) -> Prepared:
        """Raises BlackholeError."""
        live = _data_folder(work.paths)
        copy = standins.beside(live)
        await asyncio.to_thread(standins.remove, [copy])
        await self._run("pg_basebackup", "-D", str(copy), "-X", "stream", "-c", "fast", "--no-password")
        with standins.told(f"copy the rights of {live}"):
            standins.like(copy, live)
        if self._spec.wal_archive:
            await self._archive_now()
        others = tuple(path for path in work.paths if Path(path) != live)
        dumps = f" and {counted(len(self._spec.dumps), 'dump')}" if self._spec.dumps else ""
        return Prepared(
            paths=(self._spec.wal_archive,) if self._spec.wal_archive else (),
            instead=(*others, str(copy)),
            streams=tuple(await self._streams()),
            learned={"copy": str(copy)},
            note=f"base backup of PostgreSQL{dumps}" + (", log archived" if self._spec.wal_archive else ""),
        )

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:
        """Removes the base backup, and archived segments that are old and that the base backup does not need."""
        copy = Path(learned["copy"]) if "copy" in learned else standins.beside(_data_folder(work.paths))
        if good and self._spec.wal_archive:
            await asyncio.to_thread(self._clean, copy)
        await asyncio.to_thread(standins.remove, [copy])

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:  # noqa: ARG002
        """Has the server play its log back to a moment. Raises BlackholeError when there is no log."""
        found = [Path(folder) for folder in staged.values() if (Path(folder) / "PG_VERSION").is_file()]
        if not found:
            raise BlackholeError("there is no PostgreSQL data in the backup; nothing was changed")
        if before_ns and self._spec.wal_archive:
            archived = [Path(self._spec.wal_archive), *map(Path, filter(None, [staged.get(self._spec.wal_archive)]))]
            await asyncio.to_thread(play_back, found[0], archived, before_ns)

    def dump_of(self, database: str, held: Sequence[str]) -> str:
        """Raises NotFound, UsageError."""
        if database == self._spec.database:
            raise UsageError(
                f"cannot load {database}: questions are put to it; name another in `backup.postgresql.database`"
            )
        if (path := f"/{self._service.name}.{database}.pgdump") in held:
            return path
        raise NotFound(
            f"cannot load {database}: the backup holds no dump of it; `backup.postgresql.dumps` says of which there are"
        )

    async def loading(self, work: Work, database: str) -> Loading:
        """For one database."""
        restorer = (self._program("pg_restore"), *self._server(), "--no-password", "-d", self._spec.database)
        return Loading(database, work.operation_id, self._ask, restorer, await self._here(), self._timeout)

    async def _streams(self) -> list[Stream]:
        setting = await self._here()
        return [
            Stream(
                f"/{self._service.name}.{database}.pgdump",
                (*_as(setting), self._program("pg_dump"), *self._server(), "--no-password", "-Fc", database),
                {"HOME": setting.env.get("HOME", "/")},
            )
            for database in self._spec.dumps
        ]

    async def _archive_now(self) -> None:
        """The log up to now is in the archive. Raises BlackholeError."""
        name = await self._ask("SELECT pg_walfile_name(pg_switch_wal())")
        deadline = time.monotonic() + ARCHIVED
        while not (Path(self._spec.wal_archive) / name).exists():
            if time.monotonic() >= deadline:
                raise BlackholeError(
                    f"PostgreSQL does not archive its log: {name} is not in {self._spec.wal_archive} "
                    f"after {ARCHIVED:g} s; check archive_mode and archive_command, its log says what failed"
                )
            await asyncio.sleep(LOOK)

    async def _ask(self, query: str) -> str:
        said = await self._run("psql", "--no-psqlrc", "--no-password", "-Atqc", query, self._spec.database)
        return said.output.strip()

    async def _run(self, program: str, *arguments: str) -> Said:
        setting = await self._here()
        argv = (self._program(program), *self._server(), *arguments)
        said = await run(argv, setting, timeout=self._timeout)
        if not said.ok:
            raise BlackholeError(f"{program} of {self._service.name} failed: {said.output or said.text}")
        return said

    def _server(self) -> list[str]:
        port = self._spec.port or (self._service.ports[0] if self._service.ports else 5432)
        user = self._spec.user or self._service.user or "postgres"
        return [*(["-h", self._spec.host] if self._spec.host else []), "-p", str(port), "-U", user]

    def _program(self, name: str) -> str:
        """In the configured folder, beside the server's own program, or on the PATH."""
        own = Path(self._service.command[0]).parent if self._service.command else Path()
        for folder in filter(None, (self._spec.bin, str(own))):
            if (found := Path(folder) / name).is_file():
                return str(found)
        return name

    def _clean(self, copy: Path) -> None:
        """Removes segments that are older than `wal_keep` and than the base backup's start."""
        first = start_segment(copy)
        oldest = time.time() - self._spec.wal_keep
        with standins.told(f"clean the archive {self._spec.wal_archive}"):
            for file in Path(self._spec.wal_archive).iterdir():
                segment = file.name[:24]
                if len(segment) == 24 and segment[8:] < first[8:] and file.stat().st_mtime < oldest:
                    file.unlink(missing_ok=True)


def start_segment(folder: Path) -> str:
    """The first segment of the log that a base backup needs. Raises BlackholeError."""
    with standins.told(f"read {folder}/backup_label"):
        for line in (folder / "backup_label").read_text(encoding="utf-8").splitlines():
            if line.startswith("START WAL LOCATION:") and "(file " in line:
                return line.partition("(file ")[2].rstrip(")")
    raise BlackholeError(f"{folder}/backup_label does not say where the log begins")


def play_back(folder: Path, archives: list[Path], before_ns: int) -> None:
    """A data folder that, started, plays archived log back to a moment and then opens. Raises BlackholeError."""
    log = folder / LOG_FOLDER
    first = start_segment(folder)
    with standins.told(f"bring the archived log to {log}"):
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir(mode=0o700)
        standins.like(log, folder)
        for archive in archives:
            for file in sorted(archive.iterdir()) if archive.is_dir() else ():
                if file.is_file() and (file.name[8:24] >= first[8:] or file.suffix == ".history"):
                    _bring(file, log / file.name)
        until = datetime.fromtimestamp(before_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        with (folder / "postgresql.auto.conf").open("a", encoding="utf-8") as conf:
            conf.write(
                f"restore_command = 'cp {LOG_FOLDER}/%f \"%p\"'\nrecovery_target_time = '{until}'\n"
                "recovery_target_action = 'promote'\n"
            )
        signal = folder / "recovery.signal"
        signal.touch(mode=0o600)
        standins.like(signal, folder / "PG_VERSION")


def _bring(file: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(file, target)
    except OSError:  # another file system
        shutil.copy2(file, target)
        standins.like(target, file)


def _data_folder(paths: tuple[str, ...]) -> Path:
    for path in paths:
        if (Path(path) / "PG_VERSION").is_file():
            return Path(path)
    raise BlackholeError(f"there is no PostgreSQL data folder among {' '.join(paths)}; check `data`")


def _as(setting: Setting) -> tuple[str, ...]:
    """The words that run a program as that user, for one that the backup child starts."""
    if setting.uid is None or setting.uid == os.geteuid():
        return ()
    return ("setpriv", f"--reuid={setting.uid}", f"--regid={setting.gid}", "--init-groups", "--")
