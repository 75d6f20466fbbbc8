"""The supervisor and its journal in virtual time, over a keeper, probes and limits that do what a test tells them.

Whatever happens, this must hold at every moment: no instance has two processes, every change of state is one of EDGES,
the goal is the one that was asked for last, no event is lost in a fault.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal.runner import Runner
from bhtui.agent.keeper import Exit, KeeperError, KeeperLost, KeptProcess, Killed, SpawnRequest
from bhtui.agent.rooms.supervisor import held, steps
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.agent.store import Store
from bhtui.core.event import EventKind
from bhtui.core.operation import Actor, Operation
from bhtui.core.request import Request
from bhtui.core.spec import Spec
from bhtui.core.states import EDGES, Health, State
from tests.agent.rooms.supervisor.rig import ConfigText, FakeConfig, FakeKeeper, NoLimits, Tracked
from tests.agent.rooms.supervisor.virtual import VirtualLoop

T = TypeVar("T")
LINK_SECONDS = 10.0
"""How long the client of a keeper that is gone or stuck waits."""


class ModelKeeper(FakeKeeper):
    """As a keeper behind its socket: it may be gone, then nothing is done, or stuck, then it is done when it wakes."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self.state = "well"
        self._asked: list[Callable[[], Awaitable[Any]]] = []
        self._told: list[Exit] = []
        self._turned = asyncio.Event()
        self.dying: dict[str, int] = {}
        """Exit codes of processes that end as soon as they run."""

    async def _reach(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await asyncio.sleep(0.001)
        if self.state == "well":
            return await work()
        deadline = self._loop.now + LINK_SECONDS
        if self.state == "stuck":
            self._asked.append(work)
        was = self.state
        while self.state != "well" and self._loop.now < deadline:
            await asyncio.sleep(0.5)
        if was == "stuck" or self.state != "well":
            raise KeeperLost("cannot ask: the keeper does not answer")
        return await work()

    async def become(self, state: str) -> None:
        """`well`, `gone` or `stuck`. Waking does what was asked meanwhile, in order; a new one knows of nothing."""
        if self.state == "stuck" and state == "gone":
            self._asked.clear()  # killed while it was stopped
        self.state = state
        if state != "well":
            return
        asked, self._asked = self._asked, []
        for work in asked:
            try:
                await work()
            except KeeperError:
                continue
        told, self._told = self._told, []
        for ended in told:
            self.exited(ended)

    async def spawn(self, request: SpawnRequest) -> KeptProcess:
        return await self._reach(lambda: self._spawn(request))

    async def _spawn(self, request: SpawnRequest) -> KeptProcess:
        if self.held:
            raise KeeperError("cannot start: held since an emergency stop; resume first", "held")
        kept = replace(await super().spawn(request), spawned_ns=self._loop.clock())
        self.table[request.key] = kept
        code = self.dying.pop(request.key.partition("#")[0], None)
        if code is not None:
            self.end(request.key, code=code)  # its end is told before its start
        return kept

    def end(self, key: str, code: int | None = None, signal: int | None = None) -> None:
        kept = self.table[key]
        if kept.exit is not None:
            return
        unknown = self.state == "gone"
        ended = Exit(key, kept.pid, None if unknown else code, None if unknown else signal, unknown,
                     self._loop.clock(), kept.tag)  # fmt: skip
        self.table[key] = replace(kept, exit=ended)
        if self.state == "well":
            self.exited(ended)
        else:
            self._told.append(ended)

    async def signal(self, key: str, number: int) -> None:
        await self._reach(lambda: self._signal(key, number))

    async def _signal(self, key: str, number: int) -> None:
        if key not in self.table or self.table[key].exit is not None:
            raise KeeperError(f"cannot signal {key}: it has ended", "signal")
        await super().signal(key, number)

    async def kill(self, key: str) -> Killed:
        return await self._reach(lambda: super(ModelKeeper, self).kill(key))

    async def forget(self, key: str) -> None:
        await self._reach(lambda: self._forget(key))

    async def _forget(self, key: str) -> None:
        self.table.pop(key, None)

    async def emergency(self) -> Killed:
        return await self._reach(super().emergency)

    async def resume(self) -> None:
        await self._reach(super().resume)


@dataclass(frozen=True)
class Said:
    """A verdict of the probes."""

    health: Health
    detail: str = ""


class Moods:
    """Probes that say what a test wants: each watched instance is well after a moment, unless it is in `unwell`."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.unwell: set[str] = set()
        self._watched: dict[str, Callable[[Said], None]] = {}

    def watch(self, instance: str, probe: Any, on_result: Callable[[Said], None], *_: Any, **__: Any) -> None:
        self._watched[instance] = on_result
        self._loop.call_later(0.05, self._tell, instance, on_result)

    def _tell(self, instance: str, on_result: Callable[[Said], None]) -> None:
        if self._watched.get(instance) is on_result:
            on_result(Said(Health.UNHEALTHY, "no answer") if instance in self.unwell else Said(Health.HEALTHY))

    def forget(self, instance: str) -> None:
        self._watched.pop(instance, None)

    def say(self, instance: str, well: bool) -> None:
        """Its probes say so from now on."""
        (self.unwell.discard if well else self.unwell.add)(instance)
        if instance in self._watched:
            self._tell(instance, self._watched[instance])

    async def check(self, instance: str) -> Said:
        raise AssertionError("not asked in these tests")


class Faults(logging.Handler):
    """Everything that the room itself calls an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class World:
    """One host over several lives of its agent."""

    def __init__(self, specs: dict[str, Spec], first: str) -> None:
        self.loop = VirtualLoop()
        self.root = Path(tempfile.mkdtemp(prefix="bhw", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.keeper = self.do(self._make_keeper())
        self.specs, self.in_force = specs, first
        self.states: dict[str, State] = {}
        self.faults = Faults()
        logging.getLogger("bhtui.agent").addHandler(self.faults)
        self.operations: list[str] = []
        self.wrong: list[str] = []
        self.boot()

    async def _make_keeper(self) -> ModelKeeper:
        return ModelKeeper(self.loop)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs it to its end."""
        return self.loop.run_until_complete(work)

    def pass_time(self, seconds: float) -> None:
        """Virtual seconds."""
        self.do(asyncio.sleep(seconds))

    def end(self, name: str, code: int | None) -> None:
        """The processes of an instance end so; None: by SIGSEGV."""

        async def now() -> None:
            for kept in self.keeper.living(name):
                self.keeper.end(kept.key, code=code, signal=11 if code is None else None)

        self.do(now())

    def emergency(self, heard: bool) -> None:
        """Everything is killed past the agent, which hears of it or not."""

        self.keeper.told_emergency = self.room.on_emergency if heard else lambda: None
        self.do(self.keeper.emergency())

    def say(self, name: str, well: bool) -> None:
        """The probes of an instance say so from now on."""

        async def now() -> None:
            self.moods.say(name, well)

        self.do(now())

    # ---- lives of the agent

    def boot(self) -> None:
        """A new agent takes over."""
        self.store = Store(self.root / "agent.db", self.loop.clock)
        self.events = EventLog(self.store)
        spec = self.specs[self.in_force]
        self.config = FakeConfig(spec, ConfigText(spec.digest, "/etc/b.yaml"), self.specs)
        self.moods = Moods(self.loop)
        self.do(self._begin())

    async def _begin(self) -> None:
        self.room = Supervisor(
            self.config, self.keeper, self.moods, NoLimits(), Tracked(), self.events, self.store, self.root / "logs",
            self.loop.clock, lambda: 0.5,
        )  # fmt: skip
        self.keeper.exited, self.keeper.told_emergency = self.room.on_exit, self.room.on_emergency
        self.runner = Runner(
            self.store, {kind.name: kind for kind in steps.kinds(self.room)}, self.events, self.loop.clock
        )
        self.seen = self.events.last_seq
        self.states = {}
        await self.room.adopt()
        await self.runner.recover()

    def kill_agent(self) -> None:
        """Ends it without a word; what it wrote is there."""
        self.in_force = self.config.spec.digest
        self.do(self._let_go())
        self.keeper.exited = lambda ended: None
        self.look()
        self.store.close()

    async def _let_go(self) -> None:
        await self.runner.close()
        await self.room.close()

    async def begin(self, request: Request) -> Operation:
        plan = self.room.plans.of(request)
        if self.keeper.held:
            plan = held.with_lift(plan)
        operation = await self.runner.begin(f"op{self.loop.clock()}", plan, Actor("test"))
        self.operations.append(operation.id)
        return operation

    def idle(self) -> bool:
        """No operation is open."""
        return not self.runner.list(open_only=True)

    # ---- what must hold

    def look(self) -> None:
        """Reads what the room did since the last look."""
        while batch := self.events.read(self.seen, kinds=[EventKind.STATE_CHANGED]):
            for event in batch:
                self.seen = event.seq
                was, now = State(event.data["from"]), State(event.data["to"])
                if now not in EDGES[was] or self.states.get(event.target, was) is not was:
                    self.wrong.append(f"{event.target}: {self.states.get(event.target)}, then {was} to {now}")
                self.states[event.target] = now
        assert self.wrong == []
        assert self.keeper.violations == []
        assert self.faults.found == []

    def close(self) -> None:
        """Ends the world."""
        logging.getLogger("bhtui.agent").removeHandler(self.faults)
        self.do(self._let_go())
        self.store.close()
        self.loop.close()
        shutil.rmtree(self.root, ignore_errors=True)
