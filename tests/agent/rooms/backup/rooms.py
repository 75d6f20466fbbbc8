"""A room of backups over the stand-in of the engine, with a database and events of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from bhtui.agent.journal.model import Call, Done, RetryAfter, StepKind, WaitFor
from bhtui.agent.rooms.backup import restoresteps, steps
from bhtui.agent.rooms.backup.child import Engine
from bhtui.agent.rooms.backup.planning import Planner
from bhtui.agent.rooms.backup.room import Backup
from bhtui.agent.store import Store
from bhtui.core.backup import BackupSpec, StorageSpec
from bhtui.core.operation import Plan
from bhtui.core.spec import ServiceSpec, Spec

FAKE = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))
OPERATION = "0123456789abcdef0123456789abcdef"


class Events:
    """What was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, dict[str, Any]]] = []

    def append(self, kind: Any, target: str = "", message: str = "", data: Any = None) -> None:
        self.told.append((str(kind), target, message, dict(data or {})))

    def kinds(self) -> list[tuple[str, str]]:
        return [(kind, target) for kind, target, _, _ in self.told]


class NoLife:
    """Nothing runs."""

    def around(self, services: Any) -> tuple[Plan, int]:
        return Plan("around", tuple(services), ()), 0


@dataclass
class Rig:
    """The room, and what it stands on."""

    room: Backup
    events: Events
    store: Store
    folder: Path
    spec: Spec
    now_ns: int = 0

    @property
    def repository(self) -> Path:
        return self.folder / "repo"

    def kinds(self) -> dict[str, StepKind]:
        return {each.name: each for each in (*steps.kinds(self.room), *restoresteps.kinds(self.room))}

    def service(self, name: str, files: dict[str, str], **more: Any) -> Path:
        """Declares a service with these files as its data."""
        path = self.folder / "data" / name
        write(path, files)
        added = ServiceSpec(name, ("true",), data=(str(path),), **more)
        self.spec = replace(self.spec, services={**self.spec.services, name: added})
        return path

    def backup(self, **more: Any) -> None:
        self.spec = replace(self.spec, backup=replace(self.spec.backup, **more))

    async def plan(self, request: Any) -> Plan:
        return await Planner(self.room, NoLife()).plan(request)

    async def carry_out(self, request: Any, operation: str = OPERATION) -> list[str]:
        """Runs the steps of the plan one after the other; their details. Raises what a step raises."""
        plan = await self.plan(request)
        return [(await drive(self.kinds()[each.kind], each, operation)).detail for each in plan.steps]


async def drive(kind: StepKind, step: Any, operation: str = OPERATION, handler: Any = None) -> Done:
    """Calls a handler until it is done."""
    learned: dict[str, Any] = {}
    begun = time.monotonic()
    while True:
        call = Call(operation, step.target, step.args, learned, time.monotonic() - begun, lambda _: None)
        outcome = await (handler or kind.do)(call)
        if isinstance(outcome, Done):
            return outcome
        assert isinstance(outcome, RetryAfter | WaitFor)
        learned |= outcome.learned


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder: Path) -> dict[str, str]:
    return {str(each.relative_to(folder)): each.read_text() for each in folder.rglob("*") if each.is_file()}


@contextmanager
def rig(folder: Path, password: str = "secret", **engine: Any) -> Iterator[Rig]:
    """A room with a repository that is not made yet."""
    storage = StorageSpec("local", path=str(folder / "repo"))
    store, events = Store(folder / "state" / "agent.db"), Events()
    environ = {"BLACKHOLE_BACKUP_PASSWORD": password} if password else {}
    program = engine.pop("program", FAKE)
    made: Rig
    room = Backup(
        lambda: made.spec, store, events, Engine(folder / "cache", program=program, **engine), "h", lambda: UTC,
        lambda: made.now_ns or time.time_ns(), environ,
    )  # fmt: skip
    made = Rig(room, events, store, folder, Spec(backup=BackupSpec(storage=storage)))
    try:
        yield made
    finally:
        room.close()
        store.close()
