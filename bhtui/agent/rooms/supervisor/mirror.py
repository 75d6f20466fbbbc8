"""The life of a unit or container beside that of our own processes, pure: what follows from what its manager says.

Its manager supervises it, so nothing is started again from here. The state goes where the manager's goes, along EDGES
only: where two observations are further apart than one edge, the states between are entered on the way. The goal
follows people: whoever starts or stops it past the agent is not fought, and what he did is an event.

While the manager is being asked for something (`asking`), what it says may be older than the question; an observation
that would be the old state is ignored until the answer is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bhtui.agent.foreign.model import Observation
from bhtui.core.event import EventKind
from bhtui.core.spec import ProbeKind, ServiceSpec
from bhtui.core.states import EDGES, Goal, Health, Result, State

from . import holds, machine
from .effects import (
    AskManager,
    Effect,
    ForgetHealth,
    Ignored,
    Record,
    Refusal,
    StartTimer,
    StopTimer,
    Timer,
    WatchHealth,
)
from .instance import Instance, Moved, enter, with_tail
from .moves import hold
from .restart import History, seconds_text

START, STOP, RESTART = "start", "stop", "restart"
ON = frozenset({State.STARTING, State.RUNNING, State.BACKOFF})
"""In these its manager keeps it up."""
UNDER_WAY = (State.STARTING, State.RUNNING, State.STOPPING, State.STOPPED, State.BACKOFF, State.FAILED)
"""States that may lie between two observations, the likeliest first."""
QUIET: tuple[Effect, ...] = (ForgetHealth(), StopTimer(Timer.READY))


def route(begin: State, end: State) -> tuple[State, ...]:
    """The shortest way along EDGES, without its begin."""
    ways: deque[tuple[State, ...]] = deque([()])
    while ways:
        way = ways.popleft()
        here = way[-1] if way else begin
        if here is end and way:
            return way
        ways.extend((*way, state) for state in (*UNDER_WAY, State.WAITING) if state in EDGES[here] and state not in way)
    raise AssertionError(f"EDGES has no way from {begin} to {end}")


def _go(i: Instance, end: State, now: int, why: str, **changes: Any) -> Moved:
    """Enters a state, and before it those that must lie between."""
    if i.state is end:
        return replace(i, **changes), ()
    *between, last = route(i.state, end)
    told: tuple[Effect, ...] = ()
    for state in between:
        i, record = enter(i, state, now, "")
        told += record
    i, record = enter(i, last, now, why, **changes)
    return i, (*told, *record)


# ---- what people ask ------------------------------------------------------------------------------------------------


def on_start_asked(i: Instance, by: str, waiting_for: str, now: int) -> Moved:
    """Somebody wants it to run."""
    if not i.declared:
        return i, (Refusal(f"cannot start {i.name}: the configuration does not declare it any more"),)
    wanted = replace(i, goal=Goal.UP)
    fresh = replace(
        wanted, asked_by=by, last_error="", stop_trouble="", ended="", exit_text="", result=Result.NONE,
        waiting_for=waiting_for,
    )  # fmt: skip
    match i.state:
        case State.STOPPED | State.FAILED if waiting_for:
            return enter(fresh, State.WAITING, now, waiting_for)
        case State.STOPPED | State.FAILED:
            return _start(fresh, now, "asked to start")
        case State.BACKOFF if i.held:
            return _start(fresh, now, "asked to start")
        case State.BACKOFF | State.STOPPING:
            return replace(fresh, asking=START, waiting_for=""), (AskManager(START),)
        case State.WAITING | State.STARTING | State.RUNNING:
            return wanted, (Ignored(f"{i.name} is {i.state}: it was asked to start before"),)


def _start(i: Instance, now: int, why: str) -> Moved:
    # What runs next is another run, and nobody but us has asked for it.
    i, record = _go(i, State.STARTING, now, why, waiting_for="", asking=START, run="", is_probed=False,
                    health=Health.UNKNOWN, health_detail="", started_ns=now)  # fmt: skip
    return i, (*record, AskManager(START))


def on_dependencies(i: Instance, waiting_for: str, now: int) -> Moved:
    """What it depends on has changed."""
    if i.state is not State.WAITING:
        return i, (Ignored(f"{i.name} does not wait for others"),)
    return (replace(i, waiting_for=waiting_for), ()) if waiting_for else _start(i, now, "what it depends on is there")


def on_stop_asked(i: Instance, grace: float | None, now: int) -> Moved:
    """Somebody wants it to end. `grace` in seconds; None: as its manager has it; 0: it is killed at once."""
    down = replace(i, goal=Goal.DOWN, asked_by="", stop_trouble="")
    asked = replace(down, asking=STOP)
    match i.state:
        case State.STARTING | State.RUNNING:
            asked, record = enter(replace(asked, last_error=""), State.STOPPING, now, "asked to stop")
            return asked, (*record, *QUIET, AskManager(STOP, grace))
        case State.BACKOFF:
            return asked, (AskManager(STOP, grace),)
        case State.STOPPING if grace is not None or i.asking != STOP:
            return asked, (AskManager(STOP, grace),)
        case State.WAITING | State.FAILED:
            return enter(down, State.STOPPED, now, "asked to stop", waiting_for="")
        case State.STOPPING | State.STOPPED:
            return down, (Ignored(f"{i.name} is {i.state}: there is nothing more to stop"),)


def on_restart_asked(i: Instance, by: str, now: int) -> Moved:
    """Somebody wants it to run anew."""
    if i.state is not State.RUNNING:
        return on_start_asked(i, by, "", now)
    asked = replace(i, goal=Goal.UP, asked_by=by, asking=RESTART, last_error="", ended="", result=Result.NONE)
    asked, record = enter(asked, State.STOPPING, now, "asked to restart", is_probed=False)
    return asked, (*record, *QUIET, AskManager(RESTART))


def on_answered(
    i: Instance, verb: str, error: str, seen: Observation, tail: Sequence[str], now: int, held: str = ""
) -> Moved:
    """The manager has done what it was asked for, or `error` says why not; `seen` is how it is after that."""
    if i.asking != verb:
        return i, (Ignored(f"{i.name}: something else was asked meanwhile"),)
    i = replace(i, asking="")
    if not error:
        return on_observed(i, seen, tail, now, held)
    if verb == STOP:
        i, effects = on_observed(replace(i, goal=Goal.UP, stop_trouble=error, last_error=error), seen, tail, now, held)
        return replace(i, stop_trouble=error), effects
    if seen.state in ON:
        return on_observed(i, seen, tail, now, held)
    i, effects = _go(i, State.FAILED, now, error, result=Result.SPAWN_ERROR, ended=error, pid=None,
                     last_error=with_tail(error, tuple(tail)))  # fmt: skip
    return i, (*effects, *QUIET)


# ---- what the manager says ------------------------------------------------------------------------------------------


def on_adopted(
    i: Instance, known: bool, seen: Observation, tail: Sequence[str], now: int, held: str = "", rebooted: bool = False
) -> Moved:
    """The first observation of this agent. `known`: an earlier agent had it; else its goal is what it does now.

    `rebooted`: the host was started anew since it was recorded.
    """
    if not known and seen.state is not None:
        up = seen.state in ON or seen.state is State.FAILED
        i = replace(i, goal=Goal.UP if up else Goal.DOWN)
    if i.asking:  # an earlier agent was asked, and it is not known whether it got so far as to ask
        return i, (AskManager(i.asking),)
    if rebooted and not i.held and holds.is_kept_from_boot(i, seen):
        return _start(i, now, "the host was started anew, and its manager was not to start it")
    if seen.state is not State.RUNNING:
        return on_observed(i, seen, tail, now, held)
    adopted = Record(EventKind.INSTANCE_ADOPTED, f"{i.name} runs on with pid {seen.pid}", {"pid": seen.pid})
    is_new = i.goal is Goal.DOWN or (bool(i.run) and i.run != seen.run)
    i, effects = on_observed(i, seen, tail, now, held) if is_new else _running(i, seen, now, ready=True)
    return i, (*(() if is_new else (adopted,)), *effects)


def on_observed(i: Instance, seen: Observation, tail: Sequence[str], now: int, held: str = "") -> Moved:
    """How its manager has it now. `tail` are its last log lines, where it does not run.

    `held`: what holds automatic restarts of its service, its manager's too where that can be.
    """
    if seen.state is None:
        return _unreachable(i, seen)
    if is_stale(i, seen):
        return i, (Ignored(f"{i.name}: {seen.state} is from before it was asked to {i.asking}"),)
    if holds.is_withheld(i, seen):
        i, effects = _ended(i, seen, tail, now, State.BACKOFF)
        i, more = hold(i, held or i.held or holds.OVER) if not i.held else (replace(i, held=held or i.held), ())
        return i, (*effects, *more)
    i, told = _follow_people(i, seen)
    by_itself = seen.restarts > i.history.restarts
    i = replace(i, history=replace(i.history, restarts=seen.restarts))
    match seen.state:
        case State.RUNNING | State.STARTING:
            i, effects = _anew(i, seen, by_itself, now)
            i, more = (_running if seen.state is State.RUNNING else _starting)(i, seen, now)
            return i, (*told, *effects, *more)
        case State.BACKOFF:
            i, effects = _ended(i, seen, tail, now, State.BACKOFF)
        case State.FAILED:
            i, effects = _ended(i, seen, tail, now, State.FAILED if i.goal is Goal.UP else State.STOPPED)
        case State.STOPPED:
            i, effects = _stopped(i, seen, now)
        case _:
            i, effects = _go(i, State.STOPPING, now, "" if i.asking else "its manager stops it", pid=seen.pid)
            effects = (*effects, *QUIET)
    return i, (*told, *effects)


def is_stale(i: Instance, seen: Observation) -> bool:
    """Whether it may have been seen so before the manager did what it is being asked for."""
    match i.asking:
        case "start":
            return seen.state in (State.STOPPED, State.FAILED, State.STOPPING)
        case "stop":
            return seen.state in ON
        case "restart":
            return seen.state in (State.STOPPED, State.FAILED) or (seen.state is State.RUNNING and seen.run == i.run)
    return False


def _unreachable(i: Instance, seen: Observation) -> Moved:
    """Nobody knows how it is; the last known state stays."""
    if (i.health, i.health_detail) == (Health.UNKNOWN, seen.text):
        return i, (Ignored(seen.text),)
    data = {"from": str(i.health), "to": str(Health.UNKNOWN), "detail": seen.text}
    record = Record(EventKind.HEALTH_CHANGED, f"{i.name} {Health.UNKNOWN}: {seen.text}", data)
    return replace(i, health=Health.UNKNOWN, health_detail=seen.text, last_error=i.last_error or seen.text), (record,)


def _follow_people(i: Instance, seen: Observation) -> Moved:
    """The goal is what was asked last, of the agent or past it."""
    if i.asking:
        return i, ()
    is_another = bool(seen.run) and seen.run != i.run
    if i.goal is Goal.DOWN and (seen.state in ON or (seen.state is State.FAILED and is_another)):
        if i.state is State.STOPPING and not is_another:  # it was asked to stop, and the answer has not moved it yet
            return i, ()
        return replace(i, goal=Goal.UP, asked_by=""), (_outside(i, "started"),)
    ends = seen.state is State.STOPPED and i.state is not State.WAITING
    if i.goal is Goal.UP and ends and not _has_completed(seen) and i.result is not Result.SPAWN_ERROR:
        return replace(i, goal=Goal.DOWN, asked_by=""), (_outside(i, "stopped"),)
    return i, ()


def _has_completed(seen: Observation) -> bool:
    """Whether it ended by itself, having done what it had to do."""
    return bool(seen.run) and seen.result is Result.SUCCESS and not seen.was_asked


def _outside(i: Instance, what: str) -> Record:
    message = f"{i.name} was {what} past the agent; its goal follows"
    return Record(EventKind.CHANGED_OUTSIDE, message, {"what": what, "ref": i.spec.ref})


def _anew(i: Instance, seen: Observation, by_itself: bool, now: int) -> Moved:
    """Another run than the one that is shown: its end was too short to be seen."""
    if i.run == seen.run:
        return replace(i, pid=seen.pid), ()
    effects: tuple[Effect, ...] = ()
    if i.state in (State.STARTING, State.RUNNING) and i.run and not i.asking:
        between = State.BACKOFF if by_itself else State.STOPPING
        why = f"restarted by its manager, {seen.restarts} times" if by_itself else "restarted past the agent"
        i, record = enter(i, between, now, why, pid=None)
        effects = (*record, *QUIET)
    another = replace(i, run=seen.run, incarnation=i.incarnation + 1, pid=seen.pid, is_probed=False)
    return replace(another, started_ns=seen.since_ns or now), effects


def _starting(i: Instance, seen: Observation, now: int) -> Moved:
    return _go(i, State.STARTING, now, seen.text, pid=seen.pid, next_start_ns=0, waiting_for="")


def _running(i: Instance, seen: Observation, now: int, ready: bool = False) -> Moved:
    """Its manager has it running; with a probe of ours it is `starting` until that is well. `ready`: it was before."""
    result = i.result if i.is_probed else Result.NONE
    i = replace(i, result=result, started_ns=seen.since_ns or i.started_ns or now, pid=seen.pid, run=seen.run)
    i = replace(i, next_start_ns=0)
    if i.spec.probe.kind is ProbeKind.NONE:
        was = i
        i, effects = _go(i, State.RUNNING, now, "", waiting_for="", last_error=_kept(i), is_probed=True)
        return _manager_health(was, i, seen, effects)
    if i.is_probed:
        return i, ()
    if ready:
        i, effects = _go(i, State.RUNNING, now, "adopted", is_probed=True, health=Health.UNKNOWN)
        return i, (*effects, WatchHealth(i.incarnation, starting=False))
    i, effects = _go(i, State.STARTING, now, "", waiting_for="", is_probed=True, health=Health.UNKNOWN)
    timer = StartTimer(Timer.READY, i.spec.probe.ready_timeout, i.incarnation)
    return i, (*effects, WatchHealth(i.incarnation, starting=True), timer)


def _kept(i: Instance) -> str:
    """The reason of an end is still shown in the run after an automatic restart; `view` lets it fade."""
    return i.last_error if i.state in (State.BACKOFF, State.STARTING, State.RUNNING) else ""


def _manager_health(was: Instance, i: Instance, seen: Observation, effects: tuple[Effect, ...]) -> Moved:
    health, detail = seen.health or Health.HEALTHY, seen.health_detail
    i = replace(i, health=health, health_detail=detail)
    if was.state is not State.RUNNING or was.health is health:
        return i, effects
    message = f"{i.name} {health}" + (f": {detail}" if detail else "")
    data = {"from": str(was.health), "to": str(health), "detail": detail}
    return i, (*effects, Record(EventKind.HEALTH_CHANGED, message, data))


def _ended(i: Instance, seen: Observation, tail: Sequence[str], now: int, end: State) -> Moved:
    """It ended otherwise than it should, or its manager has given up."""
    told = seen.text or str(seen.result)
    ran = (now - i.started_ns) / 1e9 if i.pid is not None and i.started_ns else None
    ended = f"{told} after {seconds_text(ran)}" if ran is not None else told
    if i.state is end and i.run == seen.run and i.pid is None:
        return replace(i, next_start_ns=seen.next_start_ns), (Ignored("it has ended before"),)
    wanted = end is not State.STOPPED
    i, effects = _go(
        i, end, now, ended, pid=None, run=seen.run or i.run, result=seen.result, exit_text=told, ended=ended,
        last_error=with_tail(ended, tuple(tail)) if wanted else "", next_start_ns=seen.next_start_ns,
        health=Health.UNKNOWN, health_detail="", is_probed=False,
    )  # fmt: skip
    return i, (*effects, *QUIET)


def _stopped(i: Instance, seen: Observation, now: int) -> Moved:
    if i.state is State.WAITING:
        return i, (Ignored("it waits to be started"),)
    if i.state is State.FAILED and i.result is Result.SPAWN_ERROR and i.goal is Goal.UP:
        return i, (Ignored("that it could not be started is still what there is to say"),)
    if i.state is State.STOPPED:
        return replace(i, run=seen.run or i.run, last_error="" if seen.run else seen.text), ()
    i, effects = _go(
        i, State.STOPPED, now, seen.text, pid=None, run=seen.run or i.run, result=seen.result, exit_text=seen.text,
        ended=seen.text, last_error="", next_start_ns=0, health=Health.UNKNOWN, health_detail="", is_probed=False,
    )  # fmt: skip
    return i, (*effects, *QUIET)


def on_window(i: Instance, held: str) -> Moved:
    """A maintenance window holds its manager's restarts, perhaps another than before."""
    return (replace(i, held=held) if i.held and held else i), ()


def on_let(i: Instance, now: int) -> Moved:
    """No maintenance window holds its manager's restarts any more; the one that did not come is made up for."""
    if not i.held:
        return i, (Ignored(f"{i.name} is not held"),)
    i = replace(i, held="")
    return _start(i, now, "no maintenance window holds it any more") if i.state is State.BACKOFF else (i, ())


# ---- probes of ours, and another configuration ----------------------------------------------------------------------


def on_health(i: Instance, health: Health, detail: str, now: int) -> Moved:
    """What our probes say has changed."""
    if i.state is State.STARTING and i.is_probed and health in (Health.HEALTHY, Health.DEGRADED):
        i, record = enter(i, State.RUNNING, now, "ready", health=health, health_detail=detail, result=Result.NONE,
                          last_error="" if i.result is Result.START_TIMEOUT else i.last_error)  # fmt: skip
        return i, (*record, StopTimer(Timer.READY))
    if i.state is State.STARTING:
        return replace(i, health=health, health_detail=detail), ()
    return machine.on_health(i, health, detail, now)


def on_start_timeout(i: Instance) -> Moved:
    """It should have been well by now. Its manager has it running, so it is not ended from here."""
    if i.state is not State.STARTING or not i.is_probed:
        return i, (Ignored(f"{i.name} is not awaited"),)
    why = f"not healthy within {seconds_text(i.spec.probe.ready_timeout)}"
    why += f": {i.health_detail}" if i.health_detail else ""
    return replace(i, result=Result.START_TIMEOUT, ended=why, last_error=why), ()


def on_spec_changed(i: Instance, spec: ServiceSpec, declared: bool) -> Moved:
    """Another configuration was applied; probes hold at once."""
    probe = i.spec.probe
    i = replace(i, spec=spec, declared=declared)
    if probe == spec.probe or i.state is not State.RUNNING:
        return i, ()
    if spec.probe.kind is ProbeKind.NONE:
        return replace(i, health=Health.HEALTHY, health_detail=""), (ForgetHealth(),)
    return replace(i, health=Health.UNKNOWN, health_detail=""), (WatchHealth(i.incarnation, starting=False),)


def known_before(i: Instance, record: Any) -> Instance:
    """What an earlier agent knew of it, from its record."""
    return replace(
        i, goal=Goal(record["goal"]), run=record.get("run", ""), asking=record.get("asking", ""),
        incarnation=record["incarnation"], asked_by=record["asked_by"], since_ns=record["since_ns"],
        hold_before=record.get("hold_before", {}), history=History(restarts=record["restarts"]),
        held_by=record.get("held_by", ""), not_held=record.get("not_held", ""), held=record.get("held", ""),
        restarts_before=record.get("restarts_before", {}),
    )  # fmt: skip
