"""The moves that several events of the machine make: from waiting to starting, from running to stopping, and so on.

Pure, as the machine is: an instance in, what it is then and the effects out.
"""

from __future__ import annotations

from dataclasses import replace

from bhtui.core.diff import fingerprint
from bhtui.core.event import EventKind
from bhtui.core.spec import ProbeKind
from bhtui.core.states import Goal, Health, Result, State

from .effects import (
    Effect,
    ForgetHealth,
    KillTree,
    Record,
    RunStopCommand,
    Signal,
    Spawn,
    StartTimer,
    StopTimer,
    Timer,
    WatchHealth,
)
from .instance import Instance, Moved, enter, leftover_text, with_tail
from .restart import SECOND, Action, decide

SETTLE = 0.25
"""Seconds an instance without a probe must have run before a start counts as done."""


def spawn(i: Instance, now: int, why: str) -> Moved:
    """A new process, by the spec that holds from now on."""
    i, record = enter(
        i, State.STARTING, now, why, incarnation=i.incarnation + 1, pid=None, waiting_for="", again=False,
        stop_cause=Result.NONE, next_start_ns=0, health=Health.UNKNOWN, health_detail="", started_ns=now,
        spec=i.next_spec, coming=None, ran_as=fingerprint(i.next_spec),
    )  # fmt: skip
    return i, (*record, StopTimer(Timer.BACKOFF), Spawn(i.incarnation))


def await_ready(i: Instance, timeout: float, now: int) -> Moved:
    """Its process is there and its probes are asked; without any it is ready at once."""
    if i.spec.probe.kind is ProbeKind.NONE:
        return be_ready(i, Health.HEALTHY, "", now)
    return i, (WatchHealth(i.incarnation, starting=True), StartTimer(Timer.READY, timeout, i.incarnation))


def be_ready(i: Instance, health: Health, detail: str, now: int) -> Moved:
    """From starting to running."""
    early = i.early_exits if i.spec.probe.kind is ProbeKind.NONE else 0
    why = "ready" if i.spec.probe.kind is not ProbeKind.NONE else ""
    i, record = enter(i, State.RUNNING, now, why, health=health, health_detail=detail, early_exits=early)
    return i, (*record, StopTimer(Timer.READY))


def end(i: Instance, cause: Result, now: int, why: str, grace: float | None = None) -> Moved:
    """Leaves starting or running for stopping; `cause` is NONE when it was asked for."""
    i, record = enter(i, State.STOPPING, now, why, stop_cause=cause, again=False, leftover=0, stop_trouble="")
    quiet: tuple[Effect, ...] = (ForgetHealth(), StopTimer(Timer.READY))
    if i.pid is None:  # the keeper has not answered yet; on_spawned ends it
        return i, (*record, *quiet)
    return i, (*record, *quiet, *ask_to_end(i, i.spec.stop.grace if grace is None else grace))


def ask_to_end(i: Instance, grace: float) -> tuple[Effect, ...]:
    """How its process is asked to end; without any grace it is killed."""
    if grace <= 0:
        return (KillTree(i.incarnation),)
    timer = StartTimer(Timer.GRACE, grace, i.incarnation)
    if i.spec.stop.command:
        return (RunStopCommand(i.spec.stop.command, grace), timer)
    return (Signal(i.spec.stop.signal), timer)


def after_run(i: Instance, ended: str, ran: float, now: int, chance: float, tail: tuple[str, ...] = ()) -> Moved:
    """The policy decides what follows a run that has ended."""
    success = i.result is Result.SUCCESS
    said = decide(i.spec.restart, i.history, ended, success, ran, now, chance)
    i = replace(i, history=said.history, ended=ended)
    error = "" if said.action is Action.REST else with_tail(said.reason, tail)
    match said.action:
        case Action.REST:
            return enter(i, State.STOPPED, now, said.reason, last_error=error)
        case Action.FAIL:
            return enter(i, State.FAILED, now, said.reason, last_error=error)
        case Action.RESTART:
            at = now + int(said.delay * SECOND)
            i, record = enter(i, State.BACKOFF, now, said.reason, last_error=error, next_start_ns=at, waiting_for="")
            return i, (*record, StartTimer(Timer.BACKOFF, said.delay, i.incarnation))


def settle(i: Instance, now: int, chance: float) -> Moved:
    """Stopping is over."""
    told = i.exit_text + (f"; {leftover_text(i)}" if i.leftover else "")
    if i.goal is Goal.DOWN:
        return enter(i, State.STOPPED, now, told, stop_cause=Result.NONE, waiting_for="")
    if i.again and i.waiting_for:
        return enter(i, State.WAITING, now, i.waiting_for, stop_cause=Result.NONE, again=False)
    if i.again or i.stop_cause is Result.NONE:
        return spawn(i, now, "asked to start again")
    reason, *tail = i.last_error.split("\n")
    ran = max(0.0, (now - i.started_ns) / SECOND)
    early = i.early_exits + (i.stop_cause is Result.START_TIMEOUT)
    i = replace(i, early_exits=early, stop_cause=Result.NONE)
    return after_run(i, reason, ran, now, chance, tuple(line.strip() for line in tail))


def hold(i: Instance, held: str) -> Moved:
    """It would be restarted by itself, and is not, as long as `held` holds."""
    message = f"{i.name} is not restarted by itself: {held}"
    record = Record(EventKind.RESTART_HELD, message, {"held": held, "state": str(i.state)})
    return replace(unpromised(i), held=held, waiting_for="", next_start_ns=0), (record,)


def unpromised(i: Instance) -> Instance:
    """The restart that its error promises does not come."""
    if i.state is not State.BACKOFF or not i.ended:
        return i
    return replace(i, last_error=with_tail(i.ended, tuple(i.last_error.split("\n  ")[1:])))


def probe_anew(i: Instance) -> Moved:
    """Its probes are asked anew while it runs on."""
    if i.spec.probe.kind is ProbeKind.NONE:
        return replace(i, health=Health.HEALTHY, health_detail=""), (ForgetHealth(),)
    return replace(i, health=Health.UNKNOWN, health_detail=""), (WatchHealth(i.incarnation, starting=False),)
