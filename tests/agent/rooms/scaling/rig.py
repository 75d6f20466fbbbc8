"""The room with a real store, and instances, samples and operations that the test makes up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bhtui.agent.rooms.scaling.book import ScaleBook
from bhtui.agent.rooms.scaling.room import Scaling
from bhtui.agent.rooms.scaling.watch import LoadWatch
from bhtui.agent.store import Store
from bhtui.core.errors import BlackholeError, NotFound
from bhtui.core.operation import AGENT, Operation, OperationState
from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.states import Goal, Health, State

SECOND = 1_000_000_000
LONG_AGO = 1_000 * SECOND


@dataclass
class Instance:
    name: str
    service: str
    declared: bool = True
    state: State = State.RUNNING
    goal: Goal = Goal.UP
    health: Health = Health.HEALTHY
    since_ns: int = LONG_AGO
    last_error: str = ""


@dataclass
class Sample:
    cpu_percent: float | None = None
    memory_bytes: int | None = None


class Limits:
    """As declared."""

    @property
    def effective(self) -> Any:
        return lambda spec: spec


class Rig:
    """`services`, all of them running; scaled at once when the watch asks for it, unless `refuse` says why not."""

    def __init__(self, folder: Path, *services: ServiceSpec) -> None:
        self.now = 100_000 * SECOND
        self.folder = folder
        self.store = Store(folder / "agent.db", clock=lambda: self.now)
        self.spec = Spec({each.name: each for each in services})
        self.picture: dict[str, Instance] = {}
        self.samples: dict[str, Sample] = {}
        self.begun: list[tuple[str, int, str]] = []
        self.events: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.open: list[Operation] = []
        self.known: dict[str, Operation] = {}
        self.refuse: BlackholeError | None = None
        self.outcome = OperationState.DONE
        self.error = ""
        self.windows: defaultdict[str, str] = defaultdict(str)
        self.cannot: dict[str, str] = {}
        for each in services:
            self.set_number(each.name, each.replicas)
        self.begin_anew()

    def begin_anew(self) -> None:
        """As another agent would."""
        book = ScaleBook(self.store)
        self.room = Scaling(book, self, Limits(), lambda name, n: self.cannot.get(name, ""), lambda: self.now)
        self.watch = LoadWatch(
            self.room, self, self, self, self.store, self, self.scale, lambda name: self.windows[name]
        )

    def set_number(self, name: str, replicas: int) -> None:
        service = replace(self.spec.services[name], replicas=replicas)
        self.spec = Spec({**self.spec.services, name: service})
        wanted = service.instance_names()
        kept = {key: i for key, i in self.picture.items() if i.service != name or key in wanted}
        new = {key: Instance(key, name, since_ns=self.now) for key in wanted if key not in kept}
        self.picture = kept | new

    def use(self, name: str, cpu: float | None, memory: int | None = None) -> None:
        """What each instance of the service uses from now on."""
        for i in self.picture.values():
            if i.service == name:
                self.samples[i.name] = Sample(cpu, memory)

    async def run(self, seconds: float, step: float = 1.0, cpu: float | None = None, service: str = "api") -> None:
        for _ in range(round(seconds / step)):
            if cpu is not None:
                self.use(service, cpu)
            self.now += round(step * SECOND)
            await self.watch.look()

    # ---- what the room asks of others ----

    def of(self, instance: str) -> Sample | None:
        return self.samples.get(instance)

    def get(self, operation_id: str) -> Operation:
        if operation_id not in self.known:
            raise NotFound("cannot find it")
        return self.known[operation_id]

    def conflicts(self, claims: Iterable[str]) -> list[Operation]:
        wanted = {each.partition(":")[2] for each in claims}
        return [each for each in self.open if wanted & set(each.targets)]

    def append(
        self, kind: str, target: str = "", message: str = "", data: Mapping[str, Any] | None = None, actor: Any = None
    ) -> Any:
        self.events.append((str(kind), target, message, data or {}))

    async def scale(self, service: str, replicas: int, reason: str, operation_id: str) -> Operation:
        if self.refuse:
            raise self.refuse
        self.begun.append((service, replicas, reason))
        made = Operation(operation_id, "scale", (service,), AGENT, reason, self.outcome, (), error=self.error)
        self.known[made.id] = made
        if self.outcome is OperationState.DONE:
            self.set_number(service, replicas)
        return made

    def told(self, kind: str) -> list[str]:
        return [message for each, _, message, _ in self.events if each == kind]

    def close(self) -> None:
        self.store.close()
