"""An operation in memory, as the runner works on it, and those who watch it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ...core.operation import STEP_ENDED, Operation, Plan, Step, StepState


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step and what only the journal knows of it."""

    step: Step
    learned: Mapping[str, Any] = field(default_factory=dict)
    undo_ns: int = 0
    """When its undo was first called; 0: not yet."""

    @property
    def begun(self) -> bool:
        return self.step.started_ns > 0

    def moved(self, state: StepState, now_ns: int, detail: str | None = None) -> StepRecord:
        """The step in another state. Its detail stays when none is given."""
        step = replace(
            self.step,
            state=state,
            detail=self.step.detail if detail is None else detail,
            started_ns=self.step.started_ns or (now_ns if state is StepState.RUNNING else 0),
            ended_ns=now_ns if state in STEP_ENDED else 0,
        )
        return replace(self, step=step)


@dataclass(slots=True, eq=False)
class Record:
    """One operation that was begun. `operation.steps` is empty; the steps are in `steps`."""

    number: int
    operation: Operation
    plan: Plan
    steps: list[StepRecord]
    cancelled_by: str = ""
    closed: bool = False
    """Whether nothing will change any more: it has ended, or the agent is ending."""
    _watchers: set[asyncio.Event] = field(default_factory=set)

    def snapshot(self) -> Operation:
        """The operation as others see it."""
        return replace(self.operation, steps=tuple(record.step for record in self.steps))

    def in_state(self, *states: StepState) -> list[int]:
        """Indexes of the steps in one of these states."""
        return [index for index, record in enumerate(self.steps) if record.step.state in states]

    def set_detail(self, index: int, detail: str) -> None:
        """Progress, for those who watch; it is not written down."""
        record = self.steps[index]
        if record.step.state not in STEP_ENDED and record.step.detail != detail:
            self.steps[index] = replace(record, step=replace(record.step, detail=detail))
            self.changed()

    def changed(self) -> None:
        """Wakes the watchers."""
        for watcher in self._watchers:
            watcher.set()

    @contextmanager
    def watcher(self) -> Iterator[asyncio.Event]:
        """An asyncio.Event that is set at each change."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)
