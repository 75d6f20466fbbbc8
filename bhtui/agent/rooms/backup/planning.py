"""Makes the plan of a request: looks at what must be looked at, then asks the pure functions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bhtui.core.backup import BackupSnapshot
from bhtui.core.errors import BlackholeError, NotFound, Refused, UsageError
from bhtui.core.operation import Plan
from bhtui.core.request import (
    BackupRequest,
    CreateBackupRequest,
    DrillBackupsRequest,
    ForgetBackupsRequest,
    HealBackupsRequest,
    PruneBackupsRequest,
    RepairBackupsRequest,
    RepositoryKeyRequest,
    RepositoryRequest,
    RestoreBackupRequest,
    VerifyBackupsRequest,
)
from bhtui.core.spec import ServiceSpec

from . import choosing, drilling, loading, requests, restoring, retention
from .failures import Damaged
from .model import Life, Loads, Makes
from .preparing import standins
from .requests import Target
from .restoring import Changes, Wanted
from .room import Backup
from .swap import EXCLUDES, Place, must_lie_within, refuse_mounts

LOOK_SECONDS = 30.0
"""How long a plan looks for what a restore of one service would change."""


class Planner:
    """Of the room, with the supervisor that stops and starts services."""

    def __init__(self, room: Backup, life: Life) -> None:
        self._room, self._life = room, life

    async def plan(self, request: BackupRequest) -> Plan:
        """Exactly what would run. Raises NotFound, UsageError, Refused, and what `failures` has."""
        room = self._room
        match request:
            case CreateBackupRequest():
                spec, target = room.spec(), room.target(request.repository)
                await room.repositories.opening(request.repository)  # without a password nothing is begun
                known = room.catalog.snapshots(target.location)
                return requests.create(spec, request, target, known, room.host, self._prepares)
            case RestoreBackupRequest():
                return await self._restore(request)
            case ForgetBackupsRequest():
                known = await room.seen(request.repository)
                return requests.forget(room.target(request.repository), choosing.by_ids(known, request.snapshots))
            case PruneBackupsRequest():
                return await self._prune(request)
            case VerifyBackupsRequest():
                known = await room.seen(request.repository)
                chosen = choosing.by_ids(known, request.snapshots)
                return requests.verify(request, room.target(request.repository), chosen)
            case DrillBackupsRequest():
                known = await room.seen(request.repository)
                with_data = [each.name for each in requests.with_data(room.spec(), request.services, "drill")]
                names = with_data if request.services else [name for name in with_data if _has_one(known, name)]
                chosen = choosing.to_restore(known, request.snapshot, names, 0, room.host)
                return drilling.plan(room.target(request.repository), chosen)
            case RepairBackupsRequest():
                return requests.repair(request, room.target(request.repository))
            case HealBackupsRequest():
                roots = [path for each in room.spec().services.values() for path in requests.data_of(each)]
                return requests.heal(request, room.target(request.repository), tuple(map(os.path.realpath, roots)))
            case RepositoryRequest():
                return self._repository(request)
            case RepositoryKeyRequest():
                return requests.key(request, room.target(request.repository))
        raise UsageError("cannot plan this: it is not about backups")

    def _prepares(self, service: Any) -> Sequence[str]:
        return [each.name for each in self._room.preparations(service)]

    def _repository(self, request: RepositoryRequest) -> Plan:
        if request.password_file:
            if request.action != "init":
                raise UsageError("cannot make a password: only a new repository gets one")
            if not request.password_file.startswith("/"):
                raise UsageError(f"cannot make the password {request.password_file}: its path must begin with /")
            if os.path.lexists(request.password_file):
                raise Refused(f"cannot make the password {request.password_file}: that file exists already")
        return requests.repository(request, self._room.target(request.repository))

    async def _prune(self, request: PruneBackupsRequest) -> Plan:
        room = self._room
        known = await room.seen(request.repository)
        reasons = room.reasons(request.repository)
        removable = set(retention.removable(reasons))
        target = room.target(request.repository)
        return requests.prune(target, [each for each in known if each.id in removable], reasons)

    # ---- restore -------------------------------------------------------------------------------------------------

    async def _restore(self, request: RestoreBackupRequest) -> Plan:
        room, target = self._room, self._room.target(request.repository)
        known = await room.seen(request.repository)
        chosen = choosing.to_restore(known, request.snapshot, request.services, request.before_ns, room.host)
        if request.target:
            return self._into_folder(request, target, chosen)
        if request.database:
            return self._load(request, target, chosen)
        if request.paths:
            raise UsageError("cannot restore single files in place: name a folder for them with --target")
        if not request.snapshot:
            self._refuse_none_whole(chosen, known)
        wanted = [self._wanted(each) for each in chosen]
        looked = await asyncio.gather(*(self._changes(each, request.repository) for each in wanted))
        wanted = [restoring.with_changes(each, changes) for each, changes in zip(wanted, looked, strict=True)]
        around = self._life.around([each.service for each in wanted])
        return restoring.in_place(wanted, target, around, request.before_ns, request.keep_old)

    def _refuse_none_whole(self, chosen: Sequence[BackupSnapshot], known: Sequence[BackupSnapshot]) -> None:
        """Raises Refused where a service has no backup without a problem, and nobody has named one all the same."""
        for one in (each for each in chosen if each.problem):
            id_, mine = choosing.short(one.id), [each for each in known if each.service == one.service]
            has = f"all {len(mine)} of its backups have a problem" if len(mine) > 1 else "its backup has a problem"
            raise Refused(
                f"cannot restore {one.service}: {has}, {id_}: {one.problem}; `blackhole backup heal` may mend that, "
                f"`blackhole backup restore {id_} --target DIR` takes what is left of it, and without --target that "
                "takes the place of the data there is"
            )

    def _load(self, request: RestoreBackupRequest, target: Target, chosen: Sequence[BackupSnapshot]) -> Plan:
        able = [
            (each, one)
            for each in chosen
            if (service := self._room.spec().services.get(each.service)) is not None
            for one in self._room.preparations(service)
            if isinstance(one, Loads)
        ]
        if len(able) != 1:
            raise UsageError(
                f"cannot load {request.database}: name the one service that is its server with --service; it must have "
                "`backup.postgresql` with `dumps`"
            )
        ((snapshot, loads),) = able
        dump = loads.dump_of(request.database, snapshot.paths)
        return loading.plan(snapshot, target, request.database, dump, request.keep_old)

    def _into_folder(self, request: RestoreBackupRequest, target: Target, chosen: Sequence[BackupSnapshot]) -> Plan:
        folder = request.target
        if not folder.startswith("/"):
            raise UsageError(f"cannot restore into {folder}: the path must begin with /")
        try:
            if os.path.lexists(folder) and (not Path(folder).is_dir() or any(Path(folder).iterdir())):
                raise Refused(f"cannot restore into {folder}: there is something already; name a new or empty folder")
        except OSError as error:
            raise BlackholeError(f"cannot restore into {folder}: {(error.strerror or str(error)).lower()}") from None
        wanted = [Wanted(each.service, each) for each in chosen]
        return restoring.into_folder(wanted, target, folder, request.paths, several=len(chosen) > 1)

    def _wanted(self, snapshot: BackupSnapshot) -> Wanted:
        """What of a snapshot goes where. Raises NotFound, UsageError."""
        services, name = self._room.spec().services, snapshot.service
        if name not in services:
            whose = f"service {name}, which is not declared here" if name else "no single service"
            raise NotFound(f"cannot restore {choosing.short(snapshot.id)} in place: it is of {whose}; use --target DIR")
        data = tuple(dict.fromkeys(map(os.path.realpath, requests.data_of(services[name]))))
        stand_ins = tuple(path for path in data if standins.beside(Path(path)).as_posix() in snapshot.paths)
        made = self._made(services[name], data, snapshot)
        held = [
            path
            for path in data
            if path in stand_ins or path in made or any(_is_within(path, each) for each in snapshot.paths)
        ]
        if not held and not self._room.preparations(services[name]):
            raise UsageError(
                f"cannot restore {name} from {choosing.short(snapshot.id)}: that holds {' '.join(snapshot.paths)}, "
                f"and the data of {name} is {' '.join(data) or 'not declared'}; use --target DIR"
            )
        excludes = (*self._room.spec().backup.excludes, *services[name].backup.excludes)
        for path in held:
            refuse_mounts(path)
        places = tuple(Place(path, must_lie_within(path), "", (*EXCLUDES, *excludes)) for path in held)
        known = {*held, *(standins.beside(Path(path)).as_posix() for path in stand_ins)}
        own = {os.path.realpath(self._room.config)} if self._room.config else set()
        extras = tuple(each for each in snapshot.paths if each not in known | own)
        untouched = tuple(path for path in data if path not in held)
        return Wanted(name, snapshot, places, extras, stand_ins, made, untouched, excludes)

    def _made(self, service: ServiceSpec, data: Sequence[str], snapshot: BackupSnapshot) -> dict[str, str]:
        preparations = [each for each in self._room.preparations(service) if isinstance(each, Makes)]
        return {path: of for each in preparations for path, of in each.makes(data, snapshot.paths).items()}

    async def _changes(self, wanted: Wanted, folder: str) -> Changes:
        """What a restore would do to the data as it is now."""
        if wanted.made:
            return Changes(problem=f"{' '.join(wanted.made)} is made anew of the dump {' '.join(wanted.made.values())}")
        if wanted.stand_ins:
            return Changes(problem=f"a copy of the whole takes the place of {' '.join(wanted.stand_ins)}")
        arguments = {
            "id": wanted.snapshot.id, "paths": [each.path for each in wanted.places], "target": "/", "strip": "",
            "overwrite": "changed", "delete": True, "dry_run": True, "keep": [*EXCLUDES, *wanted.excludes],
        }  # fmt: skip
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                answer = await self._room.repositories.ask("restore", folder, arguments)
                return restoring.changes(answer, standins.SUFFIX)
        except TimeoutError:
            return Changes(problem=f"looking took longer than {LOOK_SECONDS:.0f} s")
        except Damaged as error:
            raise Damaged(
                f"cannot restore {wanted.service} from {choosing.short(wanted.snapshot.id)}: it is damaged "
                f"({str(error).partition('; ')[0]}); after `blackhole backup verify`, which finds what else is, "
                "--latest takes the newest that is not"
            ) from error
        except BlackholeError as error:
            return Changes(problem=str(error))


def _has_one(known: Sequence[BackupSnapshot], service: str) -> bool:
    return any(service in each.services for each in known)


def _is_within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent.rstrip("/") + "/")
