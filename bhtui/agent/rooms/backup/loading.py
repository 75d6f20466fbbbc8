"""One database brought back from its dump, while its server and the other databases run on: plan and steps."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.core.backup import BackupSnapshot
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.operation import Plan, PlannedStep

from . import swap
from .choosing import short
from .failures import Locked
from .model import Loading, Loads, Work
from .preparing import standins
from .requests import LONGEST, Target, data_of, described
from .room import Backup
from .steps import wait_for_lock

LOAD, LOADED = "restore.load", "restore.loaded"


def plan(snapshot: BackupSnapshot, target: Target, database: str, dump: str, keep_old: bool) -> Plan:
    """Loads it under its name, then drops the one from before. Nothing is stopped."""
    service = snapshot.service
    args = {"repository": target.folder, "snapshot": snapshot.id, "database": database, "dump": dump}
    steps = (
        PlannedStep(LOAD, service, f"load the database {database} of {described(snapshot)}", args, (), LONGEST),
        PlannedStep(
            LOADED, service, f"{'keep' if keep_old else 'drop'} the database {database} from before",
            {**args, "keep": keep_old}, (0,), 600.0,
        ),
    )  # fmt: skip
    effects = (f"who is connected to {database} is sent away; it is not there until it is loaded", "nothing is stopped")
    claims = frozenset({f"service:{service}", f"backup:{service}"})
    return Plan("restore", (service,), steps, effects, claims, undo_on_failure=True)


def kinds(room: Backup) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [
        StepKind(LOAD, s.load, s.unload, s.clean),
        StepKind(LOADED, s.loaded, NoUndo("what was dropped is gone; the loaded database stays")),
    ]


class _Steps:
    def __init__(self, room: Backup) -> None:
        self._room = room

    async def load(self, call: Call) -> Outcome:
        """Done when the database is what the dump holds."""
        folder, dump = self._folder(call), call.args["dump"]
        loading = await self._loading(call)
        arguments = {
            "id": call.args["snapshot"], "paths": [dump], "target": str(folder), "strip": str(Path(dump).parent),
            "overwrite": "changed", "delete": True, "dry_run": False,
        }  # fmt: skip
        with standins.told(f"make the folder {folder}"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            said = await self._room.repositories.work(
                "restore", call.args["repository"], arguments, call.operation_id, call.target, call.progress
            )
        except Locked as error:
            return wait_for_lock(call, error)
        if said.get("lost"):
            raise BlackholeError(f"the dump {dump} is damaged in the backup; nothing was changed")
        await loading.load(folder / Path(dump).name, call.progress)
        return Done()

    async def unload(self, call: Call) -> Outcome:
        """The database from before has its name again."""
        return Done(detail=await (await self._loading(call)).take_back())

    async def clean(self, call: Call) -> Outcome:
        """The dump that was brought is gone."""
        await asyncio.to_thread(swap.remove, self._folder(call))
        return Done()

    async def loaded(self, call: Call) -> Outcome:
        """The database from before is dropped or kept, and all is told."""
        kept = await (await self._loading(call)).settle(call.args["keep"])
        database, snapshot = call.args["database"], call.args["snapshot"]
        self._room.events.append(
            EventKind.BACKUP_RESTORED, call.target, f"database {database} loaded from {short(snapshot)}",
            {"snapshot": snapshot, "database": database},
        )  # fmt: skip
        return Done(detail=kept)

    async def _loading(self, call: Call) -> Loading:
        service = self._room.spec().services.get(call.target)
        for each in self._room.preparations(service) if service is not None else ():
            if service is not None and isinstance(each, Loads):
                work = Work(service, call.operation_id, data_of(service), "", call.progress)
                return await each.loading(work, call.args["database"])
        raise BlackholeError(f"{call.target} is not declared as a database any more")

    def _folder(self, call: Call) -> Path:
        return self._room.scratch / f"load-{call.operation_id[:8]}"
