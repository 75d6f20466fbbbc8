"""One open operation and its rows: every change is written first and remembered then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...core.operation import STEP_ENDED, Operation, StepState
from ..events.log import EventLog
from ..store import Store, StoreUnavailable
from . import table
from .calls import Calls
from .model import Handler, NoUndo, StepKind
from .record import Record, StepRecord

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


@dataclass(slots=True)
class Tools:
    """What all operations of a runner share."""

    store: Store
    kinds: Mapping[str, StepKind]
    events: EventLog
    clock: Callable[[], int]
    advise: Callable[[Operation], str] = lambda _: ""
    """What to say to people of an operation that ends so: how to go on, or back. It becomes part of the note."""
    calls: Calls = field(default_factory=Calls)
    closing: bool = False
    """The agent is ending: what fails now is left running, for the next start to repeat."""


class Book:
    """A record, and the only way to change it."""

    def __init__(self, record: Record, tools: Tools) -> None:
        self.record = record
        self.tools = tools

    # Changing

    async def commit(self, steps: Mapping[int, StepRecord] | None = None, **changes: Any) -> None:
        """Changes steps and fields of the operation. While the disk has no room the operation waits here."""
        while True:
            try:
                return self.write(steps, **changes)
            except StoreUnavailable as error:
                log.warning("%s waits: %s", self.name, error)
                await asyncio.sleep(RETRY_SECONDS)

    def write(
        self, steps: Mapping[int, StepRecord] | None = None, cancelled_by: str | None = None, **changes: Any
    ) -> None:
        """As commit, but raises StoreUnavailable."""
        record = self.record
        operation = replace(record.operation, **changes) if changes else record.operation
        canceller = record.cancelled_by if cancelled_by is None else cancelled_by
        if not steps and not changes:
            return
        with self.tools.store.transaction() as db:
            if changes:
                table.save_operation(db, record.number, operation, canceller)
            table.save_steps(db, record.number, steps or {})
        record.operation, record.cancelled_by = operation, canceller
        for index, step in (steps or {}).items():
            record.steps[index] = step
        record.changed()

    def moved(self, indexes: Iterable[int], state: StepState, detail: str | None = None) -> dict[int, StepRecord]:
        """These steps in another state, to be committed."""
        now = self.now()
        return {index: self.record.steps[index].moved(state, now, detail) for index in indexes}

    def cut_short(self, indexes: Iterable[int]) -> dict[int, StepRecord]:
        """These steps as they are when they will not be done: skipped, or failed if they had begun; to be committed."""
        begun = {index: self.record.steps[index].begun for index in indexes}
        return {
            **self.moved([index for index, was in begun.items() if was], StepState.FAILED, "cancelled"),
            **self.moved([index for index, was in begun.items() if not was], StepState.SKIPPED),
        }

    # Asking

    def now(self) -> int:
        return self.tools.clock()

    @property
    def name(self) -> str:
        """`start api db`"""
        return " ".join((self.record.operation.kind, *self.record.operation.targets))

    def head(self, index: int) -> str:
        """What a step does, without how: `start api-1`."""
        return self.record.steps[index].step.title.partition(": ")[0]

    def kind(self, index: int) -> StepKind:
        return self.tools.kinds[self.record.plan.steps[index].kind]

    def noted(self, *texts: str) -> str:
        """The note with more in it."""
        note = self.record.operation.note
        return "; ".join(part for part in (note, *(text for text in texts if text not in note)) if part)

    def missing_kinds(self) -> list[str]:
        """Kinds of steps that this agent does not have."""
        return sorted({step.kind for step in self.record.plan.steps} - set(self.tools.kinds))

    def unended(self) -> list[int]:
        """Steps whose state is not final."""
        return [index for index, record in enumerate(self.record.steps) if record.step.state not in STEP_ENDED]

    @property
    def ending(self) -> bool:
        """Whether what runs is cut short, and then undone where the plan says so."""
        failed = bool(self.record.operation.error)
        return bool(self.record.cancelled_by) or (failed and self.record.plan.undo_on_failure)

    @property
    def stopped(self) -> bool:
        """Whether no further step is begun."""
        return bool(self.record.operation.error or self.record.cancelled_by or self.tools.closing)

    def to_undo(self) -> dict[int, Handler]:
        """The undo of each step that was begun and has one."""
        if not self.record.plan.undo_on_failure:
            return {}
        settled = (StepState.UNDONE, StepState.UNDO_FAILED)
        if any(self.kind(index).undo_first for index in self.record.in_state(StepState.UNDO_FAILED)):
            return {}
        begun = [i for i, record in enumerate(self.record.steps) if record.begun and record.step.state not in settled]
        undos = {index: self.kind(index).undo for index in begun}
        return {index: undo for index, undo in undos.items() if not isinstance(undo, NoUndo)}

    def half_done(self) -> list[str]:
        """`stop api-1 was done, start api-1 was not`, for each target of which that holds and nothing is undone."""
        if self.record.plan.undo_on_failure:
            return []
        told: dict[str, dict[str, list[str]]] = {}
        for index, record in enumerate(self.record.steps):
            word = "done" if record.step.state is StepState.DONE else "begun" if record.begun else "not"
            told.setdefault(record.step.target, {}).setdefault(word, []).append(self.head(index))
        halves = [each for each in told.values() if len(each) > 1]
        return [", ".join(f"{' and '.join(heads)} was {word}" for word, heads in each.items()) for each in halves]

    def with_undo_errors(self, error: str) -> str:
        """The error, followed by each undo that failed."""
        failed = self.record.in_state(StepState.UNDO_FAILED)
        undone = [sentence(f"undo {self.head(index)}", self.record.steps[index].step.detail) for index in failed]
        return "; ".join(part for part in (error, *undone) if part)


def sentence(what: str, reason: str) -> str:
    """`cannot start api-1: port 80 is in use`, also when the reason says that already or what it cannot."""
    if not reason.startswith("cannot "):
        return f"cannot {what}: {reason}"
    phrase, _, why = reason.removeprefix("cannot ").partition(": ")
    if why and what.startswith(phrase):
        return f"cannot {what}: {why}"
    if reason.startswith(f"cannot {what.split(maxsplit=1)[0]} "):
        return reason  # it names the very thing
    return f"cannot {what}, because it {reason}"
