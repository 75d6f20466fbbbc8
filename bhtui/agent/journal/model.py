"""What a room gives the journal: step kinds and their handlers.

A step found running after a crash runs again, so `do` may be repeated, and so may `undo` and `cleanup`. What a step
learns and its status are committed in one transaction. A handler may be cancelled at any await; when it ends with Done
nevertheless, that counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """The step is done. `learned` (JSON values) is kept for undo and for the steps after it."""

    learned: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Call `do` again after `delay` seconds."""

    delay: float
    reason: str
    learned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Call `do` again when something has happened on this host, and at least once a second."""

    reason: str
    learned: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    """Only events with this target count (`api-1`); empty: any event. Many steps that wait for any cost much."""


Outcome = Done | RetryAfter | WaitFor


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a step's handler."""

    operation_id: str
    target: str
    args: Mapping[str, Any]
    learned: Mapping[str, Any]
    """What earlier calls of this step learned; empty the first time."""
    elapsed: float
    """Seconds since the first call of this step, also across a restart of the agent."""
    progress: Callable[[str], None]
    """Sets the step's detail, shown live."""
    actor_name: str = ""
    reason: str = ""
    """Why the operation was asked for."""
    before: tuple[Mapping[str, Any], ...] = ()
    """What the steps that this one comes after have learned, in the order of its `after`."""


Handler = Callable[[Call], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class NoUndo:
    """Why a step kind has no undo."""

    why: str


@dataclass(frozen=True, slots=True)
class StepKind:
    """What the journal knows of a kind of step. A handler fails by raising; the text of a BlackholeError is shown."""

    name: str
    do: Handler
    undo: Handler | NoUndo
    cleanup: Handler | None = None
    """Called when the operation is about to end, however it ends, if the step was begun. At most 10 s; what it
    returns is not looked at."""
    timeout_reason: str = ""
    """Text of the failure when the planned timeout has passed; the last reason waited for is added."""
    undo_first: bool = False
    """Whether it is undone before all others, because they are undone in what was before it (a configuration). When
    that fails, nothing else is undone."""
