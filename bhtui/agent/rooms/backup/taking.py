"""Makes the backup of one service: prepares it, has its data read, and lets it go on; told either way."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.agent.journal.model import Call, Done, Outcome
from bhtui.core.backup import BackupSnapshot, BackupType
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.event import EventKind
from bhtui.core.spec import ServiceSpec
from bhtui.core.units import counted, format_size, format_time

from .child import Notes
from .choosing import short
from .failures import Locked
from .model import Prepared, Work
from .repositories import with_unlocked
from .requests import data_of, parent_of
from .room import Backup
from .swap import EXCLUDES

log = logging.getLogger(__name__)

CLOCK_SECONDS = 3600.0
"""How much older than the newest snapshot the host's clock may say it is: more is a clock that was lost."""
RUN = 12
"""How much of an operation's id names its run."""


class Taking:
    """Steps of the kind backup.take."""

    def __init__(self, room: Backup) -> None:
        self._room = room
        self._begun: set[tuple[str, str]] = set()
        """What this life of the agent has begun: a step that is not in it and not new was cut off by a crash."""

    async def take(self, call: Call) -> Outcome:
        """Done when there is a snapshot of this run. One service at a time."""
        service = self._room.spec().services.get(call.target)
        if service is None or not service.data:
            raise BlackholeError("its data is not declared any more; nothing was backed up")
        if self._room.turn.locked():
            call.progress("waits until the service before it is done")
        async with self._room.turn:
            if made := await self._made_before(call):
                return Done({"snapshot": made.id}, f"{short(made.id)}, made before the agent was restarted")
            try:
                self._refuse_past(call)
                return await self._take(call, service)
            except Locked as error:
                from .steps import wait_for_lock

                return wait_for_lock(call, error)
            except BlackholeError as error:
                self._room.not_backed_up(call.target, str(error))
                raise

    async def finish(self, call: Call) -> Outcome:
        """The operation ends: what prepared the service lets go of it, if that has not been done."""
        service = self._room.spec().services.get(call.target)
        if service is not None and "finished" not in call.learned:
            work = self._work(call, service)
            for each in reversed(self._room.preparations(service)):
                await each.after(work, {}, False)
        return Done()

    async def _made_before(self, call: Call) -> BackupSnapshot | None:
        """The snapshot that an earlier life of the agent made in this operation."""
        key = call.operation_id, call.target
        known, location = key in self._begun, self._room.repositories.location(call.args["repository"])
        self._begun.add(key)
        if not known and call.elapsed > 1:
            await self._room.repositories.refresh(call.args["repository"])
        run = call.operation_id[:RUN]
        made = [each for each in self._room.catalog.snapshots(location) if each.run == run]
        return next((each for each in made if each.service == call.target), None)

    def _refuse_past(self, call: Call) -> None:
        """Raises Refused where the clock says less than the newest snapshot: the new one would count as an old one."""
        room = self._room
        known = room.catalog.snapshots(room.repositories.location(call.args["repository"]))
        newest = parent_of(known, call.target, room.host)
        if newest is not None and newest.time_ns - room.clock() > CLOCK_SECONDS * 1_000_000_000:
            raise Refused(
                f"cannot back up {call.target}: the clock of this host says {format_time(room.clock())[:19]}Z, and its "
                f"newest backup {short(newest.id)} is of {format_time(newest.time_ns)[:19]}Z; set the clock, or, when "
                f"that backup is the one that is wrong, `blackhole backup forget {short(newest.id)}`"
            )

    # ---- the work --------------------------------------------------------------------------------------------------

    async def _take(self, call: Call, service: ServiceSpec) -> Outcome:
        work = self._work(call, service)
        begun: list[tuple[Any, Prepared]] = []
        notes, good = Notes(), False
        try:
            for each in self._room.preparations(service):
                call.progress(each.name)
                begun.append((each, Prepared()))
                begun[-1] = each, await each.before(work)
            prepared = [one for _, one in begun]
            said = await self._read(call, service, work, prepared, notes)
            good = True
        finally:
            await self._let_go(work, begun, good)
        return self._made(call, work, prepared, said, notes)

    async def _let_go(self, work: Work, begun: Sequence[tuple[Any, Prepared]], good: bool) -> None:
        """Every preparation is ended, whatever became of the others. Raises the first failure when all was good."""
        failures: list[BlackholeError] = []
        for preparation, prepared in reversed(begun):
            try:
                await preparation.after(work, prepared.learned, good)
            except BlackholeError as error:
                log.warning("%s of %s did not end well: %s", preparation.name, work.service.name, error)
                failures.append(error)
        if good and failures:
            raise failures[0]

    async def _read(
        self, call: Call, service: ServiceSpec, work: Work, prepared: Sequence[Prepared], notes: Notes
    ) -> dict[str, Any]:
        spec, host, folder = self._room.spec().backup, self._room.host, call.args["repository"]
        instead = next((each.instead for each in prepared if each.instead is not None), None)
        paths = [*(work.paths if instead is None else instead), *(path for each in prepared for path in each.paths)]
        streams = [stream for each in prepared for stream in each.streams]
        if self._room.config and (paths or streams) and Path(self._room.config).is_file():
            paths.append(str(Path(self._room.config).resolve()))
        known = self._room.catalog.snapshots(self._room.repositories.location(folder))
        parent = parent_of(known, service.name, host)
        is_full = work.type == BackupType.FULL
        arguments = {
            "paths": list(dict.fromkeys(paths)),
            "excludes": [
                *EXCLUDES, *spec.excludes, *service.backup.excludes,
                *(each for one in prepared for each in one.excludes),
            ],
            "host": host,
            "tags": self._tags(call, prepared),
            "time_ns": self._room.clock(),
            "parent": None if is_full or parent is None else parent.id,
            "force": is_full,
            "virtual": [{"path": one.path, "command": list(one.command), "env": dict(one.env)} for one in streams],
        }  # fmt: skip
        if not arguments["paths"] and not streams:
            raise BlackholeError("there is nothing to back up")
        said = await self._room.repositories.work(
            "backup", folder, arguments, call.operation_id, service.name, call.progress, notes
        )
        return {**arguments, **said}

    def _tags(self, call: Call, prepared: Sequence[Prepared]) -> list[str]:
        own = [f"service:{call.target}", f"type:{call.args['type']}", f"run:{call.operation_id[:RUN]}"]
        return [*own, *(tag for each in prepared for tag in each.tags)]

    def _work(self, call: Call, service: ServiceSpec) -> Work:
        paths = tuple(dict.fromkeys(str(Path(path).resolve()) for path in data_of(service)))
        return Work(service, call.operation_id, paths, call.args["type"], call.progress)

    # ---- told ------------------------------------------------------------------------------------------------------

    def _made(
        self, call: Call, work: Work, prepared: Sequence[Prepared], said: Mapping[str, Any], notes: Notes
    ) -> Outcome:
        unreadable = int(said.get("unreadable") or 0)
        problem = _unread(unreadable, notes)
        snapshot = BackupSnapshot(
            id=str(said["id"]),
            time_ns=int(said["time_ns"]),
            type=work.type,
            host=self._room.host,
            services=(work.service.name,),
            bytes_added=int(said.get("bytes_added") or 0),
            bytes_total=int(said.get("bytes_total") or 0),
            run=call.operation_id[:RUN],
            paths=tuple(said["paths"]),
            files=int(said.get("files") or 0),
            parent=str(said.get("parent") or ""),
            tags=tuple(said["tags"]),
        )
        location = self._room.repositories.location(call.args["repository"])
        self._room.catalog.add(location, snapshot, problem, self._room.clock())
        noted = [each.note for each in prepared if each.note]
        detail = _made_text(snapshot, said)
        empty = "" if snapshot.files else f"there is no file in {' '.join(snapshot.paths)}: is that where its data is?"
        damaged = self._damaged_before(location)
        message = with_unlocked("; ".join(filter(None, (detail, *noted, empty, problem, damaged))), said)
        data = {
            "snapshot": snapshot.id, "type": snapshot.type, "bytes_added": snapshot.bytes_added,
            "bytes_total": snapshot.bytes_total, "files": snapshot.files, "seconds": said.get("seconds", 0),
            "notes": notes.first, "unreadable": unreadable,
        }  # fmt: skip
        self._room.events.append(EventKind.BACKUP_MADE, work.service.name, message, data)
        self._room.told()
        if problem:
            raise BlackholeError(
                f"{short(snapshot.id)} was made, and is incomplete: {problem}; let the agent's user read it, or leave "
                "it out with `excludes`"
            )
        return Done({"snapshot": snapshot.id, "finished": True}, message)

    def _damaged_before(self, location: str) -> str:
        """What a backup must be told that stands on others which are damaged; empty: nothing is known of such."""
        known = self._room.catalog.snapshots(location)
        bad = [each for each in known if each.verified_ns and not each.verified]
        if not bad:
            return ""
        which = f"{short(bad[0].id)} here is damaged" if len(bad) == 1 else f"{len(bad)} backups here are damaged"
        them = "it" if len(bad) == 1 else "them"
        return f"{which}, and what this one shares with {them} may be: `blackhole backup heal`, then `verify`"


def _made_text(snapshot: BackupSnapshot, said: Mapping[str, Any]) -> str:
    """`1f0c22ab: 1.2 G in 204 files, 3 new, 2 changed, 41 M added`."""
    new, changed = said.get("files_new", 0), said.get("files_changed", 0)
    return (
        f"{short(snapshot.id)}: {format_size(snapshot.bytes_total)} in {counted(snapshot.files, 'file')}, {new} new, "
        f"{changed} changed, {format_size(snapshot.bytes_added)} added"
    )


def _unread(count: int, notes: Notes) -> str:
    """What is wrong with a backup that lacks files; empty: nothing."""
    if not count:
        return ""
    first = notes.left_out.replace(": it cannot be read: ", ": ")
    which = first if count == 1 else f"first {first}"
    return f"{counted(count, 'file')} could not be read: {which}"
