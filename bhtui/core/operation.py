"""Operations: every change that anyone makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class OperationState(StrEnum):
    """Where an operation stands."""

    PENDING = "pending"
    RUNNING = "running"
    CANCELLING = "cancelling"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPERATION_ENDED = frozenset({OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED})


class StepState(StrEnum):
    """Where a step of an operation stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"  # asked to be called again; `detail` says for what
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # never begun, because the operation ended before
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo-failed"


STEP_ENDED = frozenset({StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.UNDONE, StepState.UNDO_FAILED})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asked, and from where."""

    name: str
    """A person (`ada`), or what acted by itself (`agent`, `alert:NAME`, `schedule:NAME`)."""
    origin: str = ""
    """The machine the request came from."""


AGENT = Actor("agent")
NONE_BEFORE = "there was no configuration before, so this one stays in force"
RAN_BEFORE = "it ran before, and is left running"
NEVER_RAN = "it never ran"
"""What the undoing of a first configuration says."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan: what will run, and after what."""

    kind: str
    """Name of a step kind, for example `service.start`."""
    target: str
    """What it acts on, for example the instance `api-1`."""
    title: str
    """One line for people: `start api-1: wait healthy by http :8080/health, at most 30 s`."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """JSON values handed to the step."""
    after: tuple[int, ...] = ()
    """Indexes of the steps that must be done before."""
    timeout: float = 60.0
    """Seconds after its first call at which a step that still waits has failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Exactly what an operation would run. Made by pure functions; shown by `--dry-run` and before a confirmation."""

    kind: str
    targets: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    effects: tuple[str, ...] = ()
    """What else will be noticed: `nginx depends on api and stays up`."""
    claims: frozenset[str] = frozenset()
    """Resource keys (`service:api`) that no other open operation may hold."""
    undo_on_failure: bool = False
    """Whether the finished steps are undone, last first, when one fails or the operation is cancelled."""
    preempts: bool = False
    """Whether it cancels open operations that hold its claims, instead of being refused (stop --force, --emergency)."""
    document: str = ""
    """What would be written, as it would stand there; empty: nothing is."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an operation that was begun."""

    index: int
    kind: str
    target: str
    title: str
    state: StepState = StepState.PENDING
    detail: str = ""
    """What it waits for, its progress, or the error."""
    started_ns: int = 0
    ended_ns: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: who, what, why, how far, with what result. Times are Unix nanoseconds, 0: not yet."""

    id: str
    kind: str
    targets: tuple[str, ...]
    actor: Actor
    reason: str
    state: OperationState
    steps: tuple[Step, ...]
    effects: tuple[str, ...] = ()
    error: str = ""
    note: str = ""
    """What recovery decided: `resumed after the agent was restarted`."""
    created_ns: int = 0
    started_ns: int = 0
    ended_ns: int = 0
    code: int = 0
    """Exit code of what it failed with (core.errors); 0: it has not failed."""

    @property
    def ended(self) -> bool:
        return self.state in OPERATION_ENDED
