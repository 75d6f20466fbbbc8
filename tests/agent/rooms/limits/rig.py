"""Resources with a real store and real cgroups, and instances that the test makes up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bhtui.agent.rooms.limits.overrides import OverrideBook
from bhtui.agent.rooms.limits.resources import Resources
from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.store import Store
from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.states import State


@dataclass
class Instance:
    name: str
    spec: ServiceSpec
    pid: int | None = None
    state: State = State.RUNNING

    @property
    def service(self) -> str:
        return self.spec.name


@dataclass
class Sample:
    memory_bytes: int | None = None
    cpu_percent: float | None = None
    threads: int | None = None
    read_bytes_per_second: float | None = None
    write_bytes_per_second: float | None = None


@dataclass
class Instances:
    """What a supervisor would tell."""

    spec: Spec
    picture: dict[str, Instance]
    told: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    def names(self, wanted: tuple[str, ...] = ()) -> list[str]:
        return [name for name, i in self.picture.items() if not wanted or name in wanted or i.service in wanted]

    async def hold(self, instance: str) -> None:
        return None

    def held(self, instance: str) -> None:
        return None

    def limits_held(self, instance: str, held_by: str, not_held: Mapping[str, str]) -> None:
        self.told.append((instance, held_by, not_held))


@dataclass
class Usage:
    samples: dict[str, Sample] = field(default_factory=dict)

    def of(self, instance: str) -> Sample | None:
        return self.samples.get(instance)


class Rig:
    """`service` as declared, with one instance of `pid`."""

    def __init__(self, folder: Path, service: ServiceSpec, pid: int | None = None) -> None:
        self.store = Store(folder / "agent.db", clock=lambda: self.now)
        self.now = 1_000_000_000_000
        self.book = OverrideBook(self.store)
        self.limits = Limits(folder, effective=self.book.effective)
        self.instances = Instances(
            Spec({service.name: service}), {name: Instance(name, service, pid) for name in service.instance_names()}
        )
        self.usage = Usage()
        self.room = Resources(self.limits, self.book, self.instances, self.usage, lambda: self.now)

    def close(self) -> None:
        self.limits.close()
        self.store.close()
