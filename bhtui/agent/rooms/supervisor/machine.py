"""The life of one instance, pure: one function for each event, the state matched inside, `(instance, effects)` out.

Each state is decided in each event: it acts, it ignores with a reason (`Ignored`) or it refuses with a reason
(`Refusal`). Only `enter` changes the state, and it checks EDGES. The goal (what was asked), the state (what it is
doing) and the result (how the last run ended) are three fields. Times are Unix nanoseconds and arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bhtui.core.diff import fingerprint
from bhtui.core.event import EventKind
from bhtui.core.spec import ProbeKind, ServiceSpec
from bhtui.core.states import Goal, Health, Result, State

from .effects import (
    Effect,
    ForgetHealth,
    Ignored,
    KillTree,
    Record,
    Refusal,
    Signal,
    StartTimer,
    StopTimer,
    Timer,
    WatchHealth,
)
from .exits import Exit
from .instance import Instance, Moved, enter, ignore, leftover_text, limits_text, with_tail
from .moves import (
    SETTLE,
    after_run,
    ask_to_end,
    await_ready,
    be_ready,
    end,
    hold,
    probe_anew,
    settle,
    spawn,
    unpromised,
)
from .restart import SECOND, Action, History, decide, seconds_text


def on_start_asked(i: Instance, by: str, environment: Mapping[str, str], waiting_for: str, now: int) -> Moved:
    """Somebody, or the agent itself, wants it to run. `waiting_for` says which dependency is missing, or is empty."""
    if not i.declared:
        return i, (Refusal(f"cannot start {i.name}: the configuration does not declare it any more"),)
    wanted = replace(i, goal=Goal.UP)
    fresh = replace(
        wanted, asked_by=by, run_environment=dict(environment), history=History(), early_exits=0, last_error="",
        result=Result.NONE, exit_text="", ended="", leftover=0, waiting_for=waiting_for,
        held="",
    )  # fmt: skip
    match i.state:
        case State.WAITING if i.held:  # what a person asks for is done also in a maintenance window
            return (fresh, (Ignored(waiting_for),)) if waiting_for else spawn(fresh, now, "asked to start now")
        case State.STOPPED | State.FAILED:
            if waiting_for:
                return enter(fresh, State.WAITING, now, waiting_for)
            return spawn(fresh, now, "asked to start")
        case State.BACKOFF:
            return (fresh, (Ignored(waiting_for),)) if waiting_for else spawn(fresh, now, "asked to start now")
        case State.STOPPING:
            return replace(fresh, again=True, result=i.result, exit_text=i.exit_text), ()
        case State.WAITING | State.STARTING | State.RUNNING:
            return ignore(wanted, "it was asked to start before")


def on_dependencies(i: Instance, waiting_for: str, now: int, held: str = "") -> Moved:
    """What it depends on has changed. `held`: what holds automatic restarts."""
    match i.state:
        case State.WAITING | State.BACKOFF if i.held:
            return ignore(i, i.held)
        case State.BACKOFF if i.waiting_for and not waiting_for and held:
            return hold(i, held)
        case State.WAITING if not waiting_for:
            return spawn(i, now, "what it depends on is there")
        case State.BACKOFF if i.waiting_for and not waiting_for:
            return spawn(i, now, "what it depends on is there again")
        case State.WAITING | State.BACKOFF if i.waiting_for:
            return replace(i, waiting_for=waiting_for), ()
        case State.STOPPING if i.again:
            return replace(i, waiting_for=waiting_for), ()
        case _:
            return ignore(i, "it does not wait for others")


def on_spawned(
    i: Instance, pid: int, started_ns: int, now: int, held_by: str = "", not_held: Mapping[str, str] | None = None
) -> Moved:
    """The keeper has started its process, at `started_ns`: what it wrote since then is of this run.

    `not_held` has each limit that nothing holds, and why.
    """
    told = limits_text(not_held or {})
    running = replace(i, pid=pid, started_ns=started_ns, held_by=held_by, not_held=told)
    running, effects = _spawned(i, running, pid, now)
    if not told:
        return running, effects
    message = f"{i.name} runs with limits that are not held: {told}"
    return running, (Record(EventKind.LIMITS_NOT_HELD, message, dict(not_held or {})), *effects)


def on_limits_set(i: Instance, held_by: str, not_held: Mapping[str, str]) -> Moved:
    """Its limits were set anew while it runs; what holds them is a fact of its present process."""
    if i.pid is None:
        return ignore(i, "it has no process that limits could hold")
    return replace(i, held_by=held_by, not_held=limits_text(not_held)), (
        Ignored(f"{i.name} goes on with other limits"),
    )


def on_limits_applied(i: Instance, spec: ServiceSpec, held_by: str, not_held: Mapping[str, str]) -> Moved:
    """Its process is held to the limits of `spec` as it runs, and is now as if it had been started with that."""
    i, effects = on_limits_set(i, held_by, not_held)
    return replace(i, ran_as=fingerprint(spec)), effects


def _spawned(i: Instance, running: Instance, pid: int, now: int) -> Moved:
    match i.state:
        case State.STARTING if i.pid is None:
            return await_ready(running, i.spec.probe.ready_timeout, now)
        case State.STOPPING if i.pid is None:
            return running, ask_to_end(running, i.spec.stop.grace)
        case _:
            return ignore(i, f"no process was expected, yet {pid} was started")


def on_spawn_failed(i: Instance, reason: str, now: int, chance: float) -> Moved:
    """Its process could not be started."""
    match i.state:
        case State.STARTING if i.pid is None:
            return after_run(replace(i, result=Result.SPAWN_ERROR, exit_text=""), reason, 0.0, now, chance)
        case State.STOPPING if i.pid is None:
            return settle(replace(i, result=Result.SPAWN_ERROR), now, chance)
        case _:
            return ignore(i, "no process was expected")


def on_health(i: Instance, health: Health, detail: str, now: int, held: str = "") -> Moved:
    """What the probes say has changed. `held`: what holds automatic restarts."""
    match i.state:
        case State.STARTING if i.pid is not None and health in (Health.HEALTHY, Health.DEGRADED):
            return be_ready(i, health, detail, now)
        case State.STARTING if i.pid is not None:
            return replace(i, health=health, health_detail=detail), ()
        case State.RUNNING if health is i.health:
            return ignore(replace(i, health_detail=detail), "its health is as before")
        case State.RUNNING:
            return _health_changed(i, health, detail, now, held)
        case _:
            return ignore(i, "its health does not matter now")


def _health_changed(i: Instance, health: Health, detail: str, now: int, held: str) -> Moved:
    message = f"{i.name} {health}" + (f": {detail}" if detail else "")
    record = Record(EventKind.HEALTH_CHANGED, message, {"from": str(i.health), "to": str(health), "detail": detail})
    i = replace(i, health=health, health_detail=detail, held="")
    if health is Health.UNHEALTHY and i.spec.probe.liveness and not i.spec.is_foreign:
        i = replace(i, last_error=f"unhealthy: {detail}")
        if held:  # unwell is better than down, until the window is over
            i, effects = hold(i, held)
            return i, (record, *effects)
        i, effects = end(i, Result.LIVENESS, now, "its liveness probe failed")
        return i, (record, *effects)
    return i, (record,)


def on_start_timeout(i: Instance, now: int) -> Moved:
    """It should have been ready by now."""
    if i.state is not State.STARTING or i.pid is None:
        return ignore(i, "it is not being started")
    why = f"not healthy within {seconds_text(i.spec.probe.ready_timeout)}"
    why += f": {i.health_detail}" if i.health_detail else ""
    return end(replace(i, last_error=why), Result.START_TIMEOUT, now, why)


def on_stop_asked(i: Instance, grace: float | None, now: int) -> Moved:
    """Somebody wants it to end. `grace` in seconds; None: as declared; 0: it is killed at once."""
    i = replace(i, goal=Goal.DOWN, again=False, asked_by="")
    match i.state:
        case State.RUNNING if not i.early_exits:  # it ran well: what was before is no reason for anything now
            return end(replace(i, last_error=""), Result.NONE, now, "asked to stop", grace)
        case State.STARTING | State.RUNNING:
            return end(i, Result.NONE, now, "asked to stop", grace)
        case State.WAITING | State.BACKOFF | State.FAILED:
            i, record = enter(unpromised(i), State.STOPPED, now, "asked to stop", waiting_for="", next_start_ns=0)
            return i, (*record, StopTimer(Timer.BACKOFF))
        case State.STOPPING if grace is not None and i.pid is not None:
            hurry = StartTimer(Timer.GRACE, grace, i.incarnation) if grace > 0 else KillTree(i.incarnation)
            return i, (hurry,)
        case State.STOPPING:
            return ignore(i, "it was asked to stop before")
        case State.STOPPED:
            return ignore(i, "there is nothing to stop")


def on_stop_command_failed(i: Instance, why: str, incarnation: int, now: int) -> Moved:  # noqa: ARG001
    """Its stop command failed while its process still runs; the signal does the work."""
    if i.state is not State.STOPPING or i.pid is None or i.incarnation != incarnation:
        return ignore(i, "its process is gone")
    told = f"its stop command failed ({why}); {i.spec.stop.signal} was sent"
    record = Record(EventKind.STOP_COMMAND_FAILED, f"{i.name}: {told}", {"reason": why})
    return replace(i, stop_trouble=told), (record, Signal(i.spec.stop.signal))


def on_grace_over(i: Instance, now: int) -> Moved:  # noqa: ARG001 - every event has its time
    """The time to end by itself is over."""
    if i.state is not State.STOPPING or i.pid is None:
        return ignore(i, "its process is gone")
    return i, (KillTree(i.incarnation),)


def on_exited(i: Instance, exit_: Exit, now: int, chance: float) -> Moved:
    """Its process has ended. What is left of its tree is killed in any case."""
    if i.pid is None or exit_.incarnation != i.incarnation:
        return ignore(i, "that process was not its own")
    ran = _ran(i, exit_, now)
    ended = f"{exit_.text} after {seconds_text(ran)}"
    gone = replace(i, pid=None, health=Health.UNKNOWN, health_detail="", result=exit_.result, exit_text=exit_.text)
    quiet: tuple[Effect, ...] = (ForgetHealth(), StopTimer(Timer.READY), StopTimer(Timer.GRACE))
    clean = (*quiet, KillTree(i.incarnation))
    match i.state:
        case State.STARTING | State.RUNNING:
            early = i.state is State.STARTING or ran < SETTLE
            gone = replace(gone, early_exits=i.early_exits + 1 if early else 0, leftover=0)
            after, effects = after_run(gone, ended, ran, now, chance, exit_.tail)
            # The delay runs while what is left is killed; its end is taken from the mailbox only after that.
            return after, (*quiet, *effects, KillTree(i.incarnation))
        case State.STOPPING:
            asked_for = i.stop_cause is Result.NONE and exit_.is_end_by(i.spec.stop.signal)
            result = Result.SUCCESS if asked_for else exit_.result if i.stop_cause is Result.NONE else i.stop_cause
            error = with_tail(i.last_error, exit_.tail) if i.stop_cause is not Result.NONE else i.last_error
            return replace(gone, result=result, last_error=error), clean
        case State.STOPPED | State.WAITING | State.BACKOFF | State.FAILED:
            return ignore(gone, "it had no process")


def on_killed(i: Instance, left: int, now: int, chance: float) -> Moved:
    """What was left of its process tree has been killed: `left` processes beside the main one."""
    if i.pid is None:
        i = replace(i, leftover=left)
    match i.state:
        case State.STOPPING if i.pid is None:
            return settle(i, now, chance)
        case State.STOPPING:
            return ignore(i, "the end of its main process is still to come")
        case State.BACKOFF | State.FAILED if left and i.last_error:
            first, *rest = i.last_error.split("\n")
            return replace(i, last_error="\n".join((f"{first}; {leftover_text(i)}", *rest))), ()
        case _:
            return ignore(i, "it has been settled")


def on_backoff_over(i: Instance, waiting_for: str, now: int, held: str = "") -> Moved:
    """The delay before its next start is over. `held`: what holds automatic restarts."""
    if i.state is not State.BACKOFF:
        return ignore(i, "it does not wait for a restart")
    if held:
        return hold(i, held)
    if waiting_for:  # a restart that cannot succeed would only use up the start limit
        return replace(i, waiting_for=waiting_for, next_start_ns=0), ()
    return spawn(i, now, f"restart {i.history.restarts}")


def on_holds_changed(i: Instance, held: str, waiting_for: str, now: int) -> Moved:
    """Maintenance windows have opened or closed; `held` is what holds automatic restarts now, or empty."""
    if not i.held:
        return ignore(i, "it is not held")
    if held:
        return replace(i, held=held), ()
    i = replace(i, held="")
    match i.state:
        case State.WAITING | State.BACKOFF if waiting_for:
            return replace(i, waiting_for=waiting_for), ()
        case State.WAITING | State.BACKOFF:
            return spawn(i, now, "no maintenance window holds it any more")
        case State.RUNNING if i.health is Health.UNHEALTHY and i.spec.probe.liveness:
            return end(i, Result.LIVENESS, now, "its liveness probe failed in a maintenance window")
        case _:
            return i, ()


def on_still_held(i: Instance, held: str, now: int) -> Moved:
    """It was held when an earlier agent ended, and is held now."""
    if i.state not in (State.STOPPED, State.FAILED):
        return ignore(i, "it has taken its process already")
    i, record = enter(i, State.WAITING, now, held)
    i, effects = hold(i, held)
    return i, (*record, *effects)


def on_adopted(i: Instance, pid: int, ready: bool, now: int) -> Moved:
    """Its process, started by an earlier life of the agent, still runs. Incarnation and start time are set already."""
    if i.state not in (State.STOPPED, State.FAILED):
        return ignore(i, f"it has taken its process already; {pid} is not adopted")
    adopted = Record(EventKind.INSTANCE_ADOPTED, f"{i.name} runs on with pid {pid}", {"pid": pid})
    i, record = enter(replace(i, pid=pid), State.RUNNING if ready else State.STARTING, now, "adopted")
    effects: tuple[Effect, ...]
    if ready:
        i, effects = probe_anew(i)
    else:
        passed = max(0.0, (now - i.started_ns) / SECOND)  # the clock may have been set meanwhile
        left = max(0.0, i.spec.probe.ready_timeout - passed)
        i, effects = await_ready(i, left, now)
    if i.goal is Goal.UP:
        return i, (adopted, *record, *effects)
    i, more = on_stop_asked(i, None, now)
    return i, (adopted, *record, *effects, *more)


def on_ended_unseen(i: Instance, exit_: Exit, waiting_for: str, now: int, chance: float, held: str = "") -> Moved:
    """Its process has ended while there was no agent. Nothing of it is left. `held`: what holds automatic restarts."""
    if i.state not in (State.STOPPED, State.FAILED) or i.goal is Goal.DOWN:
        return ignore(i, "it should not run, and does not")
    i = replace(i, result=exit_.result, exit_text=exit_.text, ended=exit_.text, waiting_for=waiting_for)
    ran = _ran(i, exit_, now)
    success = i.result is Result.SUCCESS
    said = decide(i.spec.restart, i.history, exit_.text, success, ran, now, chance)
    i = replace(i, history=said.history, last_error="" if success else with_tail(said.reason, exit_.tail))
    match said.action:
        case Action.RESTART if held:
            return on_still_held(i, held, now)
        case Action.RESTART if waiting_for:
            return enter(i, State.WAITING, now, waiting_for)
        case Action.RESTART:
            return spawn(i, now, f"ended while the agent was away: {exit_.text}")
        case Action.FAIL if i.state is State.STOPPED:
            return enter(i, State.FAILED, now, said.reason)
        case _:
            return ignore(i, "it has done what it had to do")


def _ran(i: Instance, exit_: Exit, now: int) -> float:
    """Seconds for which its process lived."""
    by_clock = max(0.0, ((exit_.time_ns or now) - i.started_ns) / SECOND)
    if exit_.lived is None or abs(by_clock - exit_.lived) < 1:
        return by_clock
    return exit_.lived  # the clock was set meanwhile


def on_clock_set(i: Instance, step: int) -> Moved:
    """The host's clock was put forward by `step` nanoseconds (back: less than 0): ages and delays stay as they were."""

    def moved(moment: int) -> int:
        return moment + step if moment else 0

    history = replace(i.history, recent=tuple(map(moved, i.history.recent)))
    i = replace(
        i, started_ns=moved(i.started_ns), since_ns=moved(i.since_ns), next_start_ns=moved(i.next_start_ns),
        history=history,
    )  # fmt: skip
    # A probe that reads the log looks for lines since the start, which are written with other times now.
    is_read = i.state is State.STARTING and i.pid is not None and i.spec.probe.kind is ProbeKind.LOG
    return i, ((WatchHealth(i.incarnation, starting=True),) if is_read else ())


def on_spec_changed(i: Instance, spec: ServiceSpec, declared: bool, later: bool = False) -> Moved:
    """Another configuration was applied. It holds from the next start on, and for probes at once, in every state.

    `later`: its turn is still to come, and until then all goes on as it is, probes too.
    """
    if later:
        return replace(i, coming=None if spec == i.spec else spec, declared=declared), ()
    probe = i.spec.probe
    i = replace(i, spec=spec, declared=declared, coming=None)
    if i.state is State.RUNNING and i.spec.probe != probe:
        return probe_anew(i)
    return i, ()
