"""The room over instances that a test moves as it likes, a real event log and real files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bhtui.agent.command import Said
from bhtui.agent.events.log import EventLog
from bhtui.agent.rooms.endpoints.room import EndpointsRoom
from bhtui.agent.rooms.supervisor.instance import Instance
from bhtui.agent.store import Store
from bhtui.core.endpoint import Endpoint, ready_addresses
from bhtui.core.event import EventKind
from bhtui.core.replica import instances
from bhtui.core.spec import EndpointsSpec, ServiceSpec, Spec
from bhtui.core.states import Goal, Health, State

API = ServiceSpec("api", ("serve", "{port}"), ports=(8080,), replicas=3, endpoints=EndpointsSpec(on_change=("tell",)))


def running(spec: ServiceSpec) -> dict[str, Instance]:
    """Every instance of a service, up and well."""
    return {
        name: Instance(name, own, state=State.RUNNING, goal=Goal.UP, health=Health.HEALTHY, pid=1, incarnation=1)
        for name, own in instances(spec).items()
    }


@dataclass
class Host:
    """What the supervisor would know."""

    spec: Spec
    picture: dict[str, Instance] = field(default_factory=dict)

    def move(self, name: str, **changes: object) -> None:
        self.picture[name] = replace(self.picture[name], **changes)  # type: ignore[arg-type]


@dataclass
class Command:
    """Stands for `on_change`: what it was told, and what it answers."""

    told: list[tuple[str, ...]] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    """Its next answers; none left: it works."""
    holds: asyncio.Event | None = None
    running: int = 0
    most: int = 0

    async def __call__(self, service: str, spec: EndpointsSpec, endpoints: tuple[Endpoint, ...]) -> Said:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.told.append(ready_addresses(endpoints))
            if self.holds:
                await self.holds.wait()
            return Said(False, self.fails.pop(0)) if self.fails else Said(True, "exit 0")
        finally:
            self.running -= 1


class Rig:
    """One life of an agent, as far as endpoints are concerned."""

    def __init__(self, root: Path, host: Host, command: Command | None) -> None:
        self.host, self.command = host, command
        self.store = Store(root / "agent.db")
        self.events = EventLog(self.store)
        self.folder = root / "endpoints"
        self.room = EndpointsRoom(host, self.events, self.store, self.folder, command, time.time_ns)
        self.watch = asyncio.create_task(self.room.watch())

    def happen(self) -> None:
        """What the supervisor does at each change."""
        self.events.append(EventKind.STATE_CHANGED, "api-1", "something happened")

    def said(self, kind: EventKind) -> list[str]:
        return [event.message for event in self.events.read(limit=10_000) if event.kind == kind]

    async def close(self) -> None:
        self.watch.cancel()
        await asyncio.gather(self.watch, return_exceptions=True)
        await self.room.close()
        self.store.close()


@asynccontextmanager
async def rigged(root: Path, host: Host, command: Command | None) -> AsyncIterator[Rig]:
    rig = Rig(root, host, command)
    try:
        yield rig
    finally:
        await rig.close()
