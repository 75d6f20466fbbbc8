"""The kinds of steps of a restore, do and undo side by side. Each may run again after a crash of the agent.

A crash at any moment finds the data whole: before the swap nothing of it was touched, after it the new is in place, and
during it the service is stopped, and the step runs again before anything is started.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.agent.blocking import to_the_end
from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.units import counted, format_size

from . import carry, restoring, swap
from .child import Notes
from .choosing import short
from .failures import Locked
from .model import Work
from .preparing import standins
from .requests import data_of
from .room import Backup
from .steps import wait_for_lock
from .swap import Place


def kinds(room: Backup) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [
        StepKind(restoring.STAGE, s.stage, s.unstage),
        StepKind(restoring.SWAP, s.swap, s.unswap),
        StepKind(restoring.SETTLE, s.settle, NoUndo("what was removed is gone; the restored data stays")),
        StepKind(restoring.EXTRACT, s.extract, NoUndo("what was restored into a folder stays there")),
    ]


class _Steps:
    def __init__(self, room: Backup) -> None:
        self._room = room

    # ---- restore.stage -------------------------------------------------------------------------------------------

    async def stage(self, call: Call) -> Outcome:
        """Done when all of the snapshot lies beside the data, each piece of it checked, and is ready to be used."""
        places = _places(call)
        files = size = 0
        staged: dict[str, str] = {}
        for number, one in enumerate(places):
            await to_the_end(swap.make_room, one)
            staged[one.path] = str(one.new)
            extras = list(call.args["extras"]) if number == 0 else []
            own = [] if one.path in call.args.get("made", {}) else [(one.path, one.new.parent)]
            for path, target in (*own, *((each, one.folder / "extra") for each in extras)):
                taken = standins.beside(Path(path)) if path in call.args["stand_ins"] else Path(path)
                try:
                    said = await self._restore(call, str(taken), target)
                except Locked as error:
                    return wait_for_lock(call, error)
                files, size = files + int(said.get("files", 0)), size + int(said.get("bytes", 0))
                staged[path] = str(target / Path(path).name)
                if taken != Path(path):
                    await to_the_end(standins.put_in_place, target)
        await self._make_usable(call, staged)
        for one in places:
            if not one.new.exists() and not one.new.is_symlink():
                raise BlackholeError(f"{one.path} is not in the backup; nothing was changed")
        return Done({"files": files, "bytes": size}, f"{counted(files, 'file')}, {format_size(size)}, checked")

    async def _restore(self, call: Call, path: str, target: Path) -> Mapping[str, Any]:
        arguments = {
            "id": call.args["snapshot"], "paths": [path], "target": str(target), "strip": str(Path(path).parent),
            "overwrite": "changed", "delete": True, "dry_run": False,
        }  # fmt: skip
        return await self._work(call, arguments)

    async def _work(self, call: Call, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises BlackholeError when not all could be restored; what could be is there."""
        notes = Notes()
        said = await self._room.repositories.work(
            "restore", call.args["repository"], arguments, call.operation_id, call.target, call.progress, notes
        )
        if said.get("lost"):
            first = "; ".join(notes.first[:3]) or "the engine does not say which"
            raise BlackholeError(
                f"{counted(int(said['lost']), 'file')} could not be restored: {first}; `blackhole backup verify` says "
                "what is damaged, `blackhole backup list` which older backup there is"
            )
        return said

    async def _make_usable(self, call: Call, staged: Mapping[str, str]) -> None:
        service = self._room.spec().services.get(call.target)
        if service is None:
            raise BlackholeError(f"{call.target} is not declared any more; nothing was changed")
        data = tuple(dict.fromkeys(map(os.path.realpath, data_of(service))))
        work = Work(service, call.operation_id, data, "", call.progress)
        for each in self._room.preparations(service):
            await each.restored(work, staged, int(call.args["before_ns"]))

    async def unstage(self, call: Call) -> Outcome:
        """Removes what lies beside; what a failed undo has left of the old data stays there."""
        kept = []
        for one in _places(call):
            if one.old.exists() or one.old.is_symlink():
                kept.append(str(one.old))
            else:
                await asyncio.to_thread(swap.discard, one)
        return Done(detail=f"the data from before is in {' '.join(kept)}" if kept else "")

    # ---- restore.swap --------------------------------------------------------------------------------------------

    async def swap(self, call: Call) -> Outcome:
        """The restored data is in place, that from before beside it."""
        for one in _places(call):
            await to_the_end(swap.swap, one)
        return Done()

    async def unswap(self, call: Call) -> Outcome:
        """The data from before is in place again."""
        back = [await to_the_end(swap.swap_back, one) for one in reversed(_places(call))]
        return Done(detail="" if all(back) else "the data from before was removed already; the restored stays")

    # ---- restore.settle ------------------------------------------------------------------------------------------

    async def settle(self, call: Call) -> Outcome:
        """All are healthy: the data from before is put aside or removed. That it cannot be is told, and no failure."""
        trouble, kept = [], []
        for one in _places(call):
            blocked = carry.left(one.folder)
            keep_as = swap.kept_name(one, self._room.clock()) if call.args["keep"] or blocked else ""
            try:
                await asyncio.to_thread(swap.discard, one, keep_as)
            except BlackholeError as error:
                trouble.append(str(error))
            else:
                kept += [keep_as] if keep_as else []
                trouble += [_in_the_way(blocked)] if blocked else []
        snapshot = call.args["snapshot"]
        message = f"restored from {short(snapshot)}"
        if not snapshot:
            message = f"{'put aside' if kept else 'removed'} by a reset; it begins with none"
        event = EventKind.BACKUP_RESTORED if snapshot else EventKind.DATA_RESET
        self._room.events.append(event, call.target, message, {"snapshot": snapshot, "kept": kept})
        return Done({"kept": kept}, "; ".join((*trouble, *(f"kept as {each}" for each in kept))))

    # ---- restore.extract -----------------------------------------------------------------------------------------

    async def extract(self, call: Call) -> Outcome:
        """Done when it is in the folder."""
        folder = call.args["folder"]
        arguments = {
            "id": call.args["snapshot"], "paths": list(call.args["paths"]), "target": folder, "strip": "",
            "overwrite": "changed", "delete": False, "dry_run": False,
        }  # fmt: skip
        try:
            said = await self._work(call, arguments)
        except Locked as error:
            return wait_for_lock(call, error)
        detail = f"{counted(said.get('files', 0), 'file')}, {format_size(said.get('bytes', 0))} in {folder}"
        self._room.events.append(
            EventKind.BACKUP_RESTORED, call.target, detail, {"snapshot": call.args["snapshot"], "folder": folder}
        )
        return Done(detail=detail)


def _in_the_way(blocked: Sequence[str]) -> str:
    """Why the old data is kept though nobody asked for it."""
    more = f" and {len(blocked) - 1} more" if len(blocked) > 1 else ""
    return f"what was restored is in the way of {blocked[0]}{more}, which is in no backup: the data from before is kept"


def _places(call: Call) -> list[Place]:
    return [swap.place(each, call.operation_id) for each in call.args["places"]]
