"""Drills: the newest backup of a service restored on trial, and the service started with it, apart from the host.

Only what can be restored is a backup. How long that takes until the service is well is the recovery time, and how old
the backup is then the recovery point: both are kept beside what is promised.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.core.backup import BackupSnapshot
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.spec import ServiceSpec
from bhtui.core.units import format_age

from . import requests, swap
from .choosing import short
from .failures import Locked
from .model import Makes, Work
from .preparing import standins
from .requests import LONGEST, Target, described
from .room import Backup
from .steps import wait_for_lock

DRILL = "backup.drill"
OUTPUT = 500
"""Characters of a service's output that a failed drill tells."""


class Tried(Protocol):
    """What came of a trial."""

    @property
    def problem(self) -> str:
        """Why the service was not well; empty: it was."""

    @property
    def checked(self) -> int:
        """What its own check looked at."""

    @property
    def output(self) -> str:
        """Its last lines."""


class Trial(Protocol):
    """Starts services apart from the host."""

    async def __call__(self, service: ServiceSpec, places: Mapping[str, str], folder: Path, timeout: float) -> Tried:
        """`places`: each path of its data to what is to be seen there. `folder` is empty. Raises BlackholeError."""


@dataclass(frozen=True, slots=True)
class Drilled:
    """How one went."""

    problem: str
    detail: str
    seconds: float


def plan(target: Target, chosen: Sequence[BackupSnapshot]) -> Plan:
    """Restores each on trial, one after the other. Nothing that runs is touched."""
    steps = tuple(
        PlannedStep(
            DRILL,
            each.service,
            f"restore {each.service} on trial from {described(each)}, start it apart, wait until it is well",
            {"repository": target.folder, "snapshot": each.id, "paths": list(each.paths), "time_ns": each.time_ns},
            (),
            LONGEST,
        )
        for each in chosen
    )
    names = tuple(each.service for each in chosen)
    return Plan("drill", names, steps, ("what runs is not touched",), frozenset({"backup:drill"}))


def kinds(room: Backup, trial: Trial) -> list[StepKind]:
    """What the journal is given."""
    drill = _Drill(room, trial)
    return [StepKind(DRILL, drill.do, NoUndo("a drill changes nothing"), drill.clean)]


class _Drill:
    def __init__(self, room: Backup, trial: Trial) -> None:
        self._room, self._trial = room, trial
        self._turn = asyncio.Lock()

    async def do(self, call: Call) -> Outcome:
        """Done when the service was well with what was restored; else it fails, and the backup has that problem."""
        service = self._room.spec().services.get(call.target)
        if service is None:
            raise BlackholeError(f"{call.target} is not declared any more; nothing was tried")
        async with self._turn:
            await self.clean(call)
            try:
                drilled = await self._drill(call, service)
            except Locked as error:
                return wait_for_lock(call, error)
            finally:
                await self.clean(call)
        room, id_ = self._room, call.args["snapshot"]
        room.catalog.drilled(id_, drilled.problem, drilled.seconds, room.clock())
        age = format_age((room.clock() - int(call.args["time_ns"])) / 1e9)
        told = drilled.problem or f"{drilled.detail} {format_age(drilled.seconds)} after the restore began"
        message = f"{short(id_)}, {age} old: {told}"
        data = {
            "snapshot": id_, "good": not drilled.problem, "seconds": drilled.seconds,
            "age_seconds": (room.clock() - int(call.args["time_ns"])) / 1e9,
        }  # fmt: skip
        room.events.append(EventKind.BACKUP_DRILLED, call.target, message, data)
        if drilled.problem:
            raise BlackholeError(f"cannot bring {call.target} back from {short(id_)}: {drilled.problem}")
        return Done({"seconds": drilled.seconds}, message)

    async def clean(self, call: Call) -> Outcome:
        """What was restored on trial is gone."""
        await asyncio.to_thread(swap.remove, self._folder(call))
        return Done()

    def _folder(self, call: Call) -> Path:
        base = self._room.spec().backup.drill.folder or str(self._room.scratch)
        return Path(base) / f"drill-{call.operation_id[:8]}-{call.target}"

    async def _drill(self, call: Call, service: ServiceSpec) -> Drilled:
        began = time.monotonic()
        folder = self._folder(call)
        with standins.told(f"make the folder {folder}"):
            folder.mkdir(parents=True, mode=0o711)
            folder.parent.chmod(0o711)  # its user must get to its own data
            (folder / "tree").mkdir(mode=0o711)
            (folder / "trial").mkdir(mode=0o711)
        arguments = {
            "id": call.args["snapshot"], "paths": [], "target": str(folder / "tree"), "strip": "",
            "overwrite": "always", "delete": False, "dry_run": False,
        }  # fmt: skip
        try:
            await self._room.repositories.work(
                "restore", call.args["repository"], arguments, call.operation_id, call.target, call.progress
            )
            staged = await asyncio.to_thread(_staged, folder / "tree", call.args["paths"])
            data = tuple(dict.fromkeys(map(os.path.realpath, requests.data_of(service))))
            work = Work(service, call.operation_id, data, "", call.progress)
            for each in self._room.preparations(service):
                if isinstance(each, Makes):
                    made = each.makes(data, call.args["paths"])
                    staged |= {path: str(folder / "tree" / path.lstrip("/")) for path in made}
                await each.restored(work, staged, 0)
        except Locked:
            raise
        except BlackholeError as error:
            return Drilled(str(error), "", time.monotonic() - began)
        places = {path: staged[path] for path in data if path in staged}
        if not service.command:
            return Drilled(
                "", f"restored; a service of kind {service.kind} is not started apart", time.monotonic() - began
            )
        call.progress("starting it apart from the host")
        tried = await self._trial(service, places, folder / "trial", self._room.spec().backup.drill.timeout)
        seconds = time.monotonic() - began
        if tried.problem:
            last = f"; it wrote: {tried.output[-OUTPUT:]}" if tried.output else ""
            return Drilled(f"started from it, {tried.problem}{last}", "", seconds)
        checked = f" and its own check of {tried.checked} found nothing wrong" if tried.checked else ""
        return Drilled("", f"well{checked}", seconds)


def _staged(tree: Path, paths: Sequence[str]) -> dict[str, str]:
    """Each path of the snapshot to where it lies; a copy that stands for a path has that path's name then."""
    found = {}
    for path in paths:
        live = path.removesuffix(standins.SUFFIX)
        if live != path:
            standins.put_in_place((tree / live.lstrip("/")).parent)
        found[live] = str(tree / live.lstrip("/"))
    return found
