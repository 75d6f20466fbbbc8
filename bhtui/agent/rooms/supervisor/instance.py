"""One instance as the supervisor knows it, a value; and `enter`, the only change of its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bhtui.core.event import EventKind
from bhtui.core.spec import ServiceSpec
from bhtui.core.states import EDGES, Goal, Health, Result, State

from .effects import (
    Effect,
    Ignored,
    Record,
)
from .restart import History


@dataclass(frozen=True, slots=True)
class Instance:
    """Everything the supervisor knows of one instance."""

    name: str
    spec: ServiceSpec
    declared: bool = True
    """Whether the configuration still names it."""
    coming: ServiceSpec | None = None
    """Another spec that holds from its next start on; None: the present one does."""
    state: State = State.STOPPED
    goal: Goal = Goal.DOWN
    result: Result = Result.NONE
    health: Health = Health.UNKNOWN
    health_detail: str = ""
    incarnation: int = 0
    """Counts the processes it had; a timer or an exit of an earlier one is dropped."""
    pid: int | None = None
    started_ns: int = 0
    """When its latest process was started."""
    since_ns: int = 0
    """When it entered its state."""
    history: History = field(default_factory=History)
    early_exits: int = 0
    """Runs in a row that ended before they were ready."""
    next_start_ns: int = 0
    waiting_for: str = ""
    held: str = ""
    """What holds the restart that would come by itself: `maintenance window "night" until 03:00`."""
    stop_cause: Result = Result.NONE
    """In `stopping`: why, if it was not asked for (start-timeout, liveness)."""
    again: bool = False
    """In `stopping`: a start was asked for meanwhile."""
    exit_text: str = ""
    ended: str = ""
    """How the last run ended, without what follows from it: `exit 1 after 0.2 s`."""
    last_error: str = ""
    """The reason for its state as the console shows it, and the last log lines."""
    stop_trouble: str = ""
    """How its stop command failed in the present or latest stop."""
    leftover: int = 0
    """Processes that outlived the last run and were killed."""
    asked_by: str = ""
    """The operation that asked for the present run."""
    ran_as: str = ""
    """The fingerprint of the spec with which its latest process was started."""
    held_by: str = ""
    """What holds the limits of its present process."""
    not_held: str = ""
    """Which of its limits nothing holds, and why."""
    run_environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of this run alone (start --debug)."""
    run: str = ""
    """Of a unit or container: what its manager calls the present or latest run."""
    asking: str = ""
    """What its manager is being asked for and has not answered yet: `start`, `stop`, `restart`."""
    is_probed: bool = False
    """Whether the probes of a unit or container have been set on its present run."""
    hold_before: Mapping[str, Any] = field(default_factory=dict)
    """What its manager had instead of the limits set here; the manager's own words."""

    restarts_before: Mapping[str, Any] = field(default_factory=dict)
    """When its manager starts it again, while a maintenance window holds that; empty: it is not held. The manager's."""
    restarts_off: bool = False
    """Whether its manager was seen to restart it no more; not kept, the next agent looks again."""
    restarts_trouble: str = ""
    """Why its manager's restarts cannot be held, or not be let again."""

    @property
    def service(self) -> str:
        return self.spec.name

    @property
    def next_spec(self) -> ServiceSpec:
        """What holds from its next start on."""
        return self.coming or self.spec

    @property
    def key(self) -> str:
        """What the keeper knows its process by."""
        return f"{self.name}#{self.incarnation}"

    @property
    def completed(self) -> bool:
        """Whether it did what it had to do and ended by itself."""
        return self.state is State.STOPPED and self.goal is Goal.UP and self.result is Result.SUCCESS


Moved = tuple[Instance, tuple[Effect, ...]]


def enter(i: Instance, state: State, now: int, why: str, **changes: Any) -> Moved:
    """The only change of a state. An edge that is not in EDGES is a fault of ours: AssertionError."""
    assert state in EDGES[i.state], f"{i.name}: no edge from {i.state} to {state} ({why})"
    after = replace(i, **{"state": state, "since_ns": now, "held": "", **changes})
    data: dict[str, Any] = {"from": str(i.state), "to": str(state), "reason": why, "pid": i.pid or after.pid}
    if after.exit_text and state not in (State.WAITING, State.STARTING, State.RUNNING):
        data["exit"] = after.exit_text
    message = f"{i.name} {state}" + (f": {why}" if why else "")
    return after, (Record(EventKind.STATE_CHANGED, message, data),)


def ignore(i: Instance, why: str) -> Moved:
    """An event that changes nothing here, with the reason."""
    return i, (Ignored(f"{i.name} is {i.state}: {why}"),)


def limits_text(not_held: Mapping[str, str]) -> str:
    """What is not held, in one line."""
    return "; ".join(f"{name}: {why}" for name, why in not_held.items())


def with_tail(reason: str, tail: tuple[str, ...]) -> str:
    """The reason, and below it the last lines of the log."""
    return "\n".join((reason, *(f"  {line}" for line in tail)))


def leftover_text(i: Instance) -> str:
    """`2 processes outlived api-1 and were killed`, or empty."""
    if not i.leftover:
        return ""
    one = i.leftover == 1
    return f"{i.leftover} {'process' if one else 'processes'} outlived {i.name} and {'was' if one else 'were'} killed"
