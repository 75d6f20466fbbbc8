"""The operations of one host: begun, watched, cancelled, taken up again after a crash."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from ...core.errors import NotFound, Refused, UsageError
from ...core.operation import Actor, Operation, OperationState, Plan, Step
from ..events.log import EventLog
from ..store import Store
from . import table
from .book import Tools
from .lane import Lane
from .model import StepKind
from .order import fault
from .record import Record, StepRecord

log = logging.getLogger(__name__)

CLOSE_SECONDS = 10.0
ID_LIMIT = 64
RECENT = 10


class Runner:
    """Runs operations. `clock` gives Unix nanoseconds, more than 0; `advise` says what people can do about one that
    ends so."""

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, StepKind],
        events: EventLog,
        clock: Callable[[], int],
        advise: Callable[[Operation], str] = lambda _: "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._tools = Tools(store, kinds, events, clock, advise)
        self._lanes: dict[str, Lane] = {}

    # Changing

    async def begin(self, operation_id: str, plan: Plan, actor: Actor, reason: str = "") -> Operation:
        """Writes the plan down and starts it; with an id that is known already, answers with that operation.

        Raises Refused when an open operation holds a claim of the plan (a plan that preempts cancels it instead, and
        waits for it up to PREEMPT_SECONDS), UsageError for a plan that cannot be run, StoreUnavailable on a full disk.
        """
        if known := self._find(operation_id):
            return known
        self._check(operation_id, plan)
        holders = self._holders(plan.claims)
        if holders and not plan.preempts:
            raise Refused(_in_the_way(plan, holders[0].record.operation))
        operation = Operation(
            operation_id, plan.kind, plan.targets, actor, reason, OperationState.PENDING, (), plan.effects,
            created_ns=self._clock(),
        )  # fmt: skip
        with self._store.transaction() as db:
            number = table.insert(db, operation, plan)
        steps = [StepRecord(Step(at, step.kind, step.target, step.title)) for at, step in enumerate(plan.steps)]
        return self._start(Record(number, operation, plan, steps), holders, resumed=False).record.snapshot()

    def cancel(self, operation_id: str, actor: Actor) -> Operation:
        """Cancels an open operation; one that has ended stays as it is. Raises NotFound, StoreUnavailable."""
        operation = self.get(operation_id)
        if lane := self._lanes.get(operation.id):
            lane.cancel(f"{actor.name} from {actor.origin}" if actor.origin else actor.name)
            return lane.record.snapshot()
        return operation

    async def recover(self) -> list[Operation]:
        """Takes up what was open when the agent ended. Once, at the start, before anything is begun."""
        for record in table.load_open(self._store):
            self._start(record, self._holders(record.plan.claims) if record.plan.preempts else [], resumed=True)
        return self.list(len(self._lanes), open_only=True)

    async def close(self) -> None:
        """Cancels the handlers; their steps stay as they are for recover(). For the end of the agent."""
        self._tools.closing = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            for task in left:
                log.error("%s does not end; leaving it", task.get_name())
        await self._tools.calls.close()

    # Asking

    def get(self, operation_id: str) -> Operation:
        """An operation by its id, or the beginning of its id. Raises NotFound, or UsageError when several begin so."""
        if known := self._find(operation_id):
            return known
        ids = table.ids_with_prefix(self._store, operation_id) if operation_id else []
        if len(ids) > 1:
            raise UsageError(f"cannot tell which operation {operation_id} is: several begin so; give more of the id")
        found = self._find(ids[0]) if ids else None
        if found is None:
            raise NotFound(f"cannot find operation {operation_id or '(no id given)'}; see the list of operations")
        return found

    def recall(self, operation_id: str) -> tuple[Operation, Plan]:
        """An operation that has ended, with what it was to do. As get, and raises Refused for one that has not."""
        operation = self.get(operation_id)
        plan = table.load_plan(self._store, operation.id)
        if not operation.ended or plan is None:
            raise Refused(f"cannot go back to operation {operation.id[:8]}: it is {operation.state}; cancel it first")
        return operation, plan

    def list(self, limit: int = 100, open_only: bool = False) -> list[Operation]:
        """Operations, newest first."""
        if open_only:
            open_ones = [lane.record for lane in self._lanes.values() if not lane.record.operation.ended]
            return [record.snapshot() for record in open_ones[::-1][:limit]]
        return [self._current(each) for each in table.load_newest(self._store, limit)]

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """The operation now and after each change, until it or the agent ends. A slow watcher gets the newest only."""
        operation = self.get(operation_id)
        lane = self._lanes.get(operation.id)
        if lane is None:
            yield operation
            return
        with lane.record.watcher() as changed:
            while True:
                changed.clear()
                last = lane.record.closed
                yield lane.record.snapshot()
                if last:
                    return
                await changed.wait()

    def conflicts(self, claims: Iterable[str]) -> builtins.list[Operation]:
        """Open operations that hold one of these claims."""
        return [lane.record.snapshot() for lane in self._holders(claims)]

    def recent_seconds(self, kind: str, targets: tuple[str, ...]) -> builtins.list[float]:
        """Seconds that operations of this kind on these targets took lately, newest first, at most 10."""
        return table.recent_seconds(self._store, kind, targets, RECENT)

    # Parts

    def _start(self, record: Record, holders: builtins.list[Lane], resumed: bool) -> Lane:
        operation = record.operation
        lane = self._lanes[operation.id] = Lane(record, self._tools, holders)
        lane.start(resumed).add_done_callback(lambda _: self._lanes.pop(operation.id, None))
        for holder in holders:
            holder.cancel(f"{operation.actor.name}, who begins {' '.join((operation.kind, *operation.targets))}")
        return lane

    def _holders(self, claims: Iterable[str]) -> builtins.list[Lane]:
        wanted = frozenset(claims)
        lanes = self._lanes.values()
        return [lane for lane in lanes if wanted & lane.record.plan.claims and not lane.record.operation.ended]

    def _find(self, operation_id: str) -> Operation | None:
        if lane := self._lanes.get(operation_id):
            return lane.record.snapshot()
        return table.load(self._store, operation_id)

    def _current(self, operation: Operation) -> Operation:
        """With the progress that is not written down."""
        lane = self._lanes.get(operation.id)
        return lane.record.snapshot() if lane else operation

    def _check(self, operation_id: str, plan: Plan) -> None:
        if not 0 < len(operation_id) <= ID_LIMIT or not operation_id.isalnum():
            raise UsageError(f"cannot begin {plan.kind}: its id must be 1 to {ID_LIMIT} letters and digits")
        if self._tools.closing:
            raise Refused(f"cannot begin {plan.kind}: the agent is ending; try again in a moment")
        if unknown := sorted({step.kind for step in plan.steps} - set(self._tools.kinds)):
            raise UsageError(f"cannot begin {plan.kind}: there is no step of kind {', '.join(unknown)}")
        if wrong := fault([step.after for step in plan.steps]):
            raise UsageError(f"cannot begin {plan.kind}: {wrong}")


def _in_the_way(plan: Plan, other: Operation) -> str:
    wanted = " ".join((plan.kind, *plan.targets))
    held = " ".join((other.kind, *other.targets))
    who = f"operation {other.id[:8]} ({held}, begun by {other.actor.name})"
    return f"cannot {wanted}: {who} is under way; wait for it or cancel it"
