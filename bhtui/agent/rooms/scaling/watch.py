"""Looks at the load of every service that follows it, and begins what the policy says."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bhtui.agent.memory import Events, Settings
from bhtui.core.autoscale import AutoScaleSpec
from bhtui.core.errors import BlackholeError, NotFound, Refused
from bhtui.core.event import EventKind
from bhtui.core.operation import Operation, OperationState
from bhtui.core.spec import ServiceSpec
from bhtui.core.states import Goal, Health, State

from .candidates import obstacle
from .history import SECOND, changed, changed_by_hand, ended, noticed, refused
from .model import (
    Begin,
    History,
    Instances,
    Look,
    Notice,
    Operations,
    Reading,
    Running,
    Tick,
    Usage,
    Verdict,
)
from .policy import decide, kept_ticks, period, tick
from .record import from_record, is_news, to_record
from .room import Scaling

log = logging.getLogger(__name__)

PERIOD = 1.0
EARLY = 0.25
"""Seconds by which a tick may come before its time: this loop is not exact."""
TROUBLED = frozenset({State.FAILED, State.BACKOFF})
KEY = "scaling."


@dataclass(slots=True)
class Followed:
    """One service whose number follows its load."""

    history: History
    ticks: list[Tick] = field(default_factory=list)
    due_ns: int = 0
    """When the next tick is."""
    basis: tuple[float, float | None, int | None] | None = None
    """Seconds from tick to tick, and the limits of CPU and memory: what the ticks are shares of."""


class LoadWatch:
    """One for the whole host."""

    def __init__(
        self,
        room: Scaling,
        instances: Instances,
        usage: Usage,
        operations: Operations,
        records: Settings,
        events: Events,
        begin: Begin,
        window: Callable[[str], str] = lambda _: "",
    ) -> None:
        """`window`: what holds a service as it is now, a maintenance window; empty: nothing does."""
        self._room, self._instances, self._usage = room, instances, usage
        self._operations, self._records, self._events, self._begin = operations, records, events, begin
        self._window = window
        self._followed: dict[str, Followed] = {}

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        """Once at every service that follows its load."""
        found = self._room.followed()
        for name in [name for name in self._followed if name not in found]:
            self._let_go(name)
        for name, (service, spec) in found.items():
            await self._look_at(name, service, spec, self._room.clock())

    def _let_go(self, name: str) -> None:
        """It follows its load no more; when it does again, it begins anew."""
        del self._followed[name]
        self._room.reasons.pop(name, None)
        self._keep(name, None)

    async def _look_at(self, name: str, service: ServiceSpec, spec: AutoScaleSpec, now: int) -> None:
        mine = self._followed.get(name) or self._take(name)
        if EARLY < (mine.due_ns - now) / SECOND <= period(spec):
            return
        mine.due_ns = now + round(period(spec) * SECOND)
        there = [i for i in self._instances.picture.values() if i.service == name and i.declared]
        readings = [self._read(i, service, now) for i in there]
        basis = (period(spec), service.limits.cpu, service.limits.memory)
        if mine.basis != basis or (mine.ticks and mine.ticks[-1].time_ns >= now):
            mine.basis = basis
            mine.ticks.clear()  # they are shares of something else now, or the clock was set back
        mine.ticks.append(tick(readings, service.replicas, spec, now))
        del mine.ticks[: -kept_ticks(spec, mine.history, now)]
        before = mine.history
        self._room.reasons[name] = await self._decide(name, mine, Look(
            spec, service.replicas, readings, mine.ticks, now, bool(service.limits.cpu)
        ), service, there)  # fmt: skip
        if is_news(before, mine.history):
            self._keep(name, mine.history)

    # ---- one decision ------------------------------------------------------------------------------------------------

    async def _decide(
        self, name: str, mine: Followed, look: Look, service: ServiceSpec, there: Sequence[Running]
    ) -> str:
        """Decides and begins; what is to be shown of it."""
        self._settle(name, mine, look)
        if held := self._held(name, mine, look, service, there):
            return held
        if mine.history.count != look.count:
            if mine.history.count:
                mine.history = changed_by_hand(mine.history, mine.history.count, look.count, look.now_ns)
            mine.history = replace(mine.history, count=look.count)
        mine.history, verdict = decide(mine.history, look)
        if verdict.to is not None:
            return await self._act(name, mine, look, verdict)
        self._notice(name, mine, look, verdict)
        last = mine.history.last
        if verdict.notice or last is None or not last.reason:
            return verdict.reason
        return f"{last.reason}; {verdict.reason}"

    def _held(self, name: str, mine: Followed, look: Look, service: ServiceSpec, there: Sequence[Running]) -> str:
        """Why nothing can be decided now, in words; empty: it can."""
        if mine.history.operation:
            return (mine.history.last.reason if mine.history.last else "") or "it is being scaled"
        if not look.count or not any(i.goal is Goal.UP for i in there):
            mine.ticks.clear()
            return "it is stopped"
        if why := obstacle(service, self._instances.spec.services):
            return f"held: {why}"
        if why := self._window(name):
            return f"held: {why}"
        open_ones = self._operations.conflicts((f"service:{name}", "config"))
        if open_ones:
            return f"held: {_said(open_ones[0])} is under way"
        if down := next((i.name for i in there if i.goal is not Goal.UP), ""):
            return f"held: {down} was stopped by hand"
        return ""

    def _settle(self, name: str, mine: Followed, look: Look) -> None:
        """Whether the change that was begun has ended, and how."""
        if not mine.history.operation:
            return
        try:
            operation = self._operations.get(mine.history.operation)
        except NotFound:  # its record was lost with the database, or is older than what is kept
            mine.history = ended(mine.history, look.count == mine.history.count, look.now_ns)
            return
        if not operation.ended:
            return
        last = mine.history.last
        mine.history = ended(mine.history, operation.state is OperationState.DONE, look.now_ns)
        if operation.state is not OperationState.DONE and last:
            why = operation.error.partition("\n")[0] or f"it was {operation.state}"
            self._failed(name, mine, look, f"{last.before} -> {last.after} has failed: {why}")

    async def _act(self, name: str, mine: Followed, look: Look, verdict: Verdict) -> str:
        """Written down first, under an id of ours: an agent that is killed meanwhile is followed by one that knows."""
        assert verdict.to is not None, "only a change is begun"
        operation = uuid.uuid4().hex
        begun = changed(mine.history, look, verdict, operation)
        self._keep(name, begun)
        try:
            await self._begin(name, verdict.to, verdict.reason, operation)
        except Refused as error:
            if self._operations.conflicts((f"service:{name}",)):
                self._keep(name, mine.history)
                return f"held: {error}"
            mine.history = refused(mine.history, look.now_ns)
            self._failed(name, mine, look, f"{look.count} -> {verdict.to} is refused: {error}")
            return f"held: {error}"
        except BlackholeError as error:
            mine.history = refused(mine.history, look.now_ns)
            self._failed(name, mine, look, f"{look.count} -> {verdict.to} could not be begun: {error}")
            return f"held: {error}"
        mine.history = begun
        data = {
            "from": look.count, "to": verdict.to, "cause": str(verdict.cause), "reason": verdict.reason,
            "operation": operation,
        }  # fmt: skip
        self._events.append(EventKind.SCALING_DECIDED, name, f"{name}: {verdict.reason}", data)
        return verdict.reason

    def _notice(self, name: str, mine: Followed, look: Look, verdict: Verdict) -> None:
        mine.history, tell = noticed(mine.history, verdict.notice, look.spec, look.now_ns)
        if tell:
            data = {"notice": str(verdict.notice), "replicas": look.count, "bounds": look.spec.bounds}
            self._events.append(EventKind.SCALING_HELD, name, f"{name}: {verdict.reason}", data)

    def _failed(self, name: str, mine: Followed, look: Look, why: str) -> None:
        """Told each time; the pauses between grow."""
        mine.history, _ = noticed(mine.history, Notice.FAILED, look.spec, look.now_ns)
        data = {"notice": str(Notice.FAILED), "replicas": look.count, "bounds": look.spec.bounds}
        self._events.append(EventKind.SCALING_HELD, name, f"{name}: {why}", data)

    # ---- parts -------------------------------------------------------------------------------------------------------

    def _read(self, i: Running, service: ServiceSpec, now: int) -> Reading:
        ready = None
        if i.state is State.RUNNING:  # since a time to come: the clock was set back, so that nobody knows since when
            ready = (now - i.since_ns) / SECOND if i.since_ns <= now else math.inf
        trouble = ""
        if i.state in TROUBLED and i.goal is Goal.UP:
            why = i.last_error.partition("\n")[0]
            trouble = f"{i.name} is {i.state}" + (f": {why}" if why else "")
        sample = self._usage.of(i.name)
        cpu = sample.cpu_percent if sample else None
        memory = sample.memory_bytes if sample else None
        return Reading(
            i.name,
            ready,
            ready is not None and i.health is not Health.UNHEALTHY,
            None if cpu is None else cpu / (service.limits.cpu or 1.0),
            None if memory is None or not service.limits.memory else 100 * memory / service.limits.memory,
            trouble,
        )

    def _take(self, name: str) -> Followed:
        try:
            record = self._records.setting(KEY + name)
        except BlackholeError as error:
            log.warning("what was decided of %s before is not known: %s", name, error)
            record = None
        self._followed[name] = Followed(from_record(record))
        return self._followed[name]

    def _keep(self, name: str, history: History | None) -> None:
        try:
            self._records.set_setting(KEY + name, None if history is None else to_record(history))
        except BlackholeError as error:
            log.warning("what was decided of %s is kept in memory alone: %s", name, error)


def _said(operation: Operation) -> str:
    return " ".join((operation.kind, *operation.targets[:3])) + f" by {operation.actor.name}"
