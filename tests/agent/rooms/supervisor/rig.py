"""A supervisor for tests: with a keeper that spawns nothing, or with the real one."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal.runner import Runner
from bhtui.agent.keeper import Exit, Keeper, KeeperError, KeptProcess, Killed, Listener, LogSpec, SpawnRequest
from bhtui.agent.rooms.health.room import HealthRoom
from bhtui.agent.rooms.supervisor import held, steps
from bhtui.agent.rooms.supervisor.resuming import advice
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.agent.store import Store
from bhtui.core.errors import NotFound
from bhtui.core.operation import Actor, Operation, Plan
from bhtui.core.request import LifeRequest, PastRequest
from bhtui.core.spec import LimitsSpec, ServiceSpec, Spec
from bhtui.core.states import State
from bhtui.keeper import client
from tests.waiting import eventually


class FakeKeeper:
    """Keeps a table and spawns nothing. `fail` makes the next spawns fail; `end` ends a process."""

    def __init__(self) -> None:
        self.boot_id, self.held = "boot-1", False
        self.table: dict[str, KeptProcess] = {}
        self.exited: Callable[[Exit], None] = lambda exit_: None
        self.told_emergency: Callable[[], None] = lambda: None
        self.fail: list[KeeperError] = []
        self.requests: list[SpawnRequest] = []
        self.signals: list[tuple[str, int]] = []
        self.killed: list[str] = []
        self.bounds: list[tuple[str, LogSpec]] = []
        self.stubborn: set[str] = set()
        self.leftover = 0
        self.violations: list[str] = []
        self._pids = itertools.count(1000)

    async def spawn(self, request: SpawnRequest) -> KeptProcess:
        if request.key in self.table:
            self.violations.append(f"{request.key} is used twice")
        if self.living(request.key.partition("#")[0]):
            self.violations.append(f"{request.key} would be a second process")
        self.requests.append(request)
        if self.fail:
            raise self.fail.pop(0)
        pid = next(self._pids)
        kept = KeptProcess(request.key, request.tag, pid, pid, self.boot_id, (), request.log, time.time_ns())
        self.table[request.key] = kept
        return kept

    def living(self, instance: str) -> list[KeptProcess]:
        return [k for k in self.table.values() if k.exit is None and k.key.partition("#")[0] == instance]

    def end(self, key: str, code: int | None = None, signal: int | None = None) -> None:
        kept = self.table[key]
        ended = Exit(key, kept.pid, code, signal, code is None and signal is None, time.time_ns(), kept.tag)
        self.table[key] = replace(kept, exit=ended)
        self.exited(ended)

    async def signal(self, key: str, number: int) -> None:
        self.signals.append((key, number))
        if key.partition("#")[0] not in self.stubborn:
            self.end(key, signal=number)

    async def bound(self, key: str, log: LogSpec) -> None:
        if self.table[key].log != log:
            self.table[key] = replace(self.table[key], log=log)
            self.bounds.append((key, log))

    async def kill(self, key: str) -> Killed:
        if key not in self.table:
            raise KeeperError(f"cannot find {key}", "key")
        self.killed.append(key)
        if self.table[key].exit is None:
            self.end(key, signal=9)
        return Killed(self.leftover, ())

    async def list(self) -> list[KeptProcess]:
        return list(self.table.values())

    async def forget(self, key: str) -> None:
        assert self.table[key].exit is not None
        del self.table[key]

    async def emergency(self) -> Killed:
        self.held = True
        self.told_emergency()
        living = [kept.key for kept in self.table.values() if kept.exit is None]
        for key in living:
            self.end(key, signal=9)
        return Killed(len(living), ())

    async def resume(self) -> None:
        self.held = False


@dataclass
class FakeConfig:
    """Configurations by their text."""

    spec: Spec
    text: Any
    known: dict[str, Spec] = field(default_factory=dict)
    on_disk: str = ""
    """The text of the file when it is another than the one in force."""
    is_gone: bool = False

    def changed_on_disk(self) -> tuple[Spec, Any] | None:
        if self.is_gone:
            raise NotFound("cannot read /etc/b.yaml: there is no such file")
        return self.candidate(self.on_disk, self.text.path) if self.on_disk else None

    def candidate(self, yaml: str, path: str) -> tuple[Spec, Any]:
        text = yaml or self.on_disk or self.text.yaml
        return self.known[text], ConfigText(text, path)

    def adopt(self, spec: Spec, text: Any) -> None:
        self.spec, self.text = spec, text


@dataclass(frozen=True)
class ConfigText:
    yaml: str
    path: str


@dataclass(frozen=True)
class NoLimits:
    """Holds nothing."""

    cgroups: tuple[str, ...] = ()
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    held_by: str = ""
    not_held: Mapping[str, str] = field(default_factory=dict)
    refused: Sequence[str] = ()

    @property
    def effective(self) -> Callable[[ServiceSpec], ServiceSpec]:
        return lambda spec: spec

    def prepare(self, instance: str, limits: LimitsSpec, paths: Sequence[str] = ()) -> NoLimits:
        return self

    def holder(self, name: str) -> tuple[str, str]:
        return "", "this is a test"

    def prioritise(self, instance: str, pid: int, limits: LimitsSpec) -> dict[str, str]:
        return {}

    def remove(self, instance: str) -> None:
        pass

    def follow(self, instance: str, cgroup: str) -> None:
        pass

    def oom_kills(self, instance: str) -> int:
        return 0


class Tracked(dict[str, int]):
    """Remembers what is measured."""

    def of(self, instance: str) -> None:
        return None

    def track(self, instance: str, pid: int) -> None:
        self[instance] = pid

    def forget(self, instance: str) -> None:
        self.pop(instance, None)


def spec_of(*services: ServiceSpec, digest: str = "old") -> Spec:
    return Spec({service.name: service for service in services}, digest=digest)


class Rig:
    """A supervisor, its journal and its events."""

    def __init__(
        self,
        root: Path,
        spec: Spec,
        keeper: Any,
        clock: Callable[[], int] = time.time_ns,
        limits: Any = None,
        managers: Any = None,
    ) -> None:
        self.root, self.keeper = root, keeper
        self.store = Store(root / "agent.db")
        self.events = EventLog(self.store)
        self.config = FakeConfig(spec, ConfigText(spec.digest, "/etc/b.yaml"), {spec.digest: spec})
        self.health = HealthRoom()
        self.usage = Tracked()
        self.room = Supervisor(
            self.config, keeper, self.health, limits or NoLimits(), self.usage, self.events, self.store, root / "logs",
            managers=managers,
        )  # fmt: skip
        kinds = {kind.name: kind for kind in steps.kinds(self.room)}
        self.runner = Runner(self.store, kinds, self.events, clock, advice)
        self._numbers = itertools.count(1)

    async def begin(self, request: LifeRequest | Plan) -> Operation:
        plan = request if isinstance(request, Plan) else self.room.plans.of(request)
        if self.keeper.held:
            plan = held.with_lift(plan)
        return await self.runner.begin(f"op{next(self._numbers)}{time.time_ns()}", plan, Actor("test"))

    async def run(self, request: LifeRequest | Plan, deadline: float = 30.0) -> Operation:
        """Begins the operation and waits for its end."""
        return await self.finish(await self.begin(request), deadline)

    async def again(self, request: PastRequest) -> Operation:
        """As `run`, for what is about an operation that has ended."""
        return await self.run(self.past(request))

    def past(self, request: PastRequest) -> Plan:
        """Its plan alone."""
        return self.room.plans.of_past(request, *self.runner.recall(request.operation))

    async def finish(self, operation: Operation, deadline: float = 30.0) -> Operation:
        """Waits for its end."""
        await eventually(lambda: self.runner.get(operation.id).ended, deadline, f"the end of {operation.kind}")
        return self.runner.get(operation.id)

    def state(self, name: str) -> State:
        return self.room.picture[name].state

    async def reaches(self, name: str, state: State, deadline: float = 20.0) -> None:
        await eventually(lambda: self.state(name) is state, deadline, f"{name} {state}")

    def messages(self) -> list[str]:
        return [event.message for event in self.events.read(limit=10_000)]

    async def close(self) -> None:
        """As when the agent ends; what runs goes on."""
        await self.runner.close()
        await self.room.close()
        await self.health.close()
        self.store.close()


@asynccontextmanager
async def fake_rig(
    root: Path,
    spec: Spec,
    keeper: FakeKeeper | None = None,
    limits: NoLimits | None = None,
    managers: Any = None,
    held: str = "",
) -> AsyncIterator[Rig]:
    """With a keeper that spawns nothing. `held`: the maintenance window that is open from the beginning."""
    keeper = keeper or FakeKeeper()
    rig = Rig(root, spec, keeper, limits=limits, managers=managers)
    rig.room.holding = lambda _: held
    keeper.exited, keeper.told_emergency = rig.room.on_exit, rig.room.on_emergency
    try:
        await rig.room.adopt()
        yield rig
        assert keeper.violations == []
    finally:
        await rig.close()


@asynccontextmanager
async def short_root() -> AsyncIterator[Path]:
    """A folder whose sockets' paths are short enough."""
    root = Path(tempfile.mkdtemp(prefix="bhs", dir="/tmp"))
    try:
        yield root
    finally:
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


async def connect(root: Path, rigs: list[Rig]) -> Keeper:
    """Starts a real keeper in that folder and connects to it; the last rig is told what ends."""
    await asyncio.to_thread(client.start, root / "run", root / "logs", ["/bin/sleep", "1000"])
    listener = Listener(exited=lambda ended: rigs[-1].room.on_exit(ended) if rigs else None)
    return await Keeper.connect(root / "run", listener=listener)


@asynccontextmanager
async def real_rig(spec: Spec) -> AsyncIterator[Rig]:
    """With the real keeper; everything it started is ended."""
    async with short_root() as root:
        rigs: list[Rig] = []
        keeper = await connect(root, rigs)
        rig = Rig(root, spec, keeper)
        rigs.append(rig)
        try:
            await rig.room.adopt()
            yield rig
        finally:
            await rig.close()
            await keeper.shutdown(force=True)
            await keeper.close()
