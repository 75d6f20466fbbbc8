"""What a container's engine says of it, in the words of the agent. Pure.

An engine does not say whether a container ended by itself or was asked to: `asked` comes from its events.
"""

from __future__ import annotations

from collections.abc import Iterable

from bhtui.agent.foreign.model import Observation
from bhtui.core.states import Health, Result, State
from bhtui.core.units import format_size

from .container import Container, Status
from .engine import EngineEvent
from .sockets import DOCKER, PODMAN

SIGNALLED = 128
"""An exit code beyond this is that of a signal, as shells and engines write it."""
NAMES = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE",
         15: "SIGTERM"}  # fmt: skip
ENDING = {"2", "3", "9", "15", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"}
"""Signals that ask for the end."""
ENDED_BY_ASKING = {SIGNALLED + number for number in (2, 3, 9, 15)}
OBEYED = {SIGNALLED + 2, SIGNALLED + 15}
AFTER_ASKING = {0, *ENDED_BY_ASKING}
"""How what was asked to end ends."""
PAUSED = "it is paused: its processes are frozen; `blackhole restart` lets it go on anew, `{} unpause {}` as it was"
SLACK_NS = 5_000_000_000


def run_of(found: Container) -> str:
    """Names its present or latest run; a container made anew under the same name has another. Empty: it never ran."""
    return f"{found.short_id}@{found.started_ns}" if found.started_ns else ""


def has_ended(found: Container) -> bool:
    """Whether it is at rest after a run, so that it matters why."""
    return found.status in (Status.EXITED, Status.DEAD) and bool(found.started_ns)


def was_asked(found: Container, engine: str, events: Iterable[EngineEvent]) -> bool:
    """Whether somebody asked for the end of its latest run. `events` are those since that run began.

    Podman has no event of a stop that the container obeyed; that SIGTERM or SIGINT ended it tells as much.
    """
    if found.oom_killed:
        return False
    for event in events:
        late = found.finished_ns and event.time_ns > found.finished_ns + SLACK_NS
        if late or event.time_ns < found.started_ns:
            continue
        if event.action == "stop":
            return True
        if event.action == "kill":
            signal = event.attributes.get("signal", "")
            if signal in ENDING or (not signal and found.exit_code in ENDED_BY_ASKING):
                return True
    if engine == PODMAN and found.exit_code in OBEYED:
        return True
    # Docker leaves at rest what it has to restart only when somebody stopped it; its events reach back 256 of them.
    return engine == DOCKER and found.policy in ("always", "unless-stopped")


def observation(found: Container, engine: str, asked: bool, cgroup: str = "", sees_pid: bool = True) -> Observation:
    """How it is. `sees_pid`: its process can be seen from here under the number that the engine gives it."""
    state, text = _state(found, engine, asked)
    up = state in (State.RUNNING, State.STARTING)
    health, detail = (found.health, found.health_detail) if up else (None, "")
    if found.status is Status.PAUSED:
        health, detail = Health.UNHEALTHY, PAUSED.format(engine, found.name)
    return Observation(
        state=state,
        run=run_of(found),
        pid=found.pid if sees_pid and found.is_up else None,
        since_ns=found.started_ns,
        restarts=found.restarts,
        result=Result.NONE if up else _result(found, state),
        text=text,
        was_asked=asked,
        cgroup=cgroup if found.is_up else "",
        health=health,
        health_detail=detail,
    )


def _state(found: Container, engine: str, asked: bool) -> tuple[State, str]:
    match found.status:
        case Status.RUNNING if found.health is Health.UNKNOWN:
            return State.STARTING, "its health check has not passed yet"
        case Status.RUNNING | Status.PAUSED:
            return State.RUNNING, ""
        case Status.RESTARTING:
            return State.BACKOFF, f"{ended(found)}; {engine} restarts it ({found.policy or 'its policy'})"
        case Status.REMOVING:
            return State.STOPPING, f"{engine} removes it"
        case Status.CREATED if found.error:
            return State.FAILED, f"{engine} could not start it: {found.error}"
        case Status.CREATED:
            return State.STOPPED, "it was never started"
        case Status.DEAD:
            return State.FAILED, f"{ended(found)}; {engine} could not remove all of it"
    if asked or not found.exit_code:
        return State.STOPPED, ended(found)
    return State.FAILED, f"{ended(found)}; {_left(found, engine)}"


def _left(found: Container, engine: str) -> str:
    """Why the engine does not start it again."""
    if not found.policy:
        return f"{engine} does not restart it"
    if found.error:
        return f"{engine} could not restart it: {found.error}"
    return f"{engine} has given up after {found.restarts} restarts ({found.policy})"


def _result(found: Container, state: State) -> Result:
    if found.status is Status.CREATED:
        return Result.SPAWN_ERROR if state is State.FAILED else Result.NONE
    if found.oom_killed:
        return Result.OOM_KILL
    if SIGNALLED < found.exit_code <= SIGNALLED + 64:
        return Result.SIGNAL
    return Result.EXIT_CODE if found.exit_code else Result.SUCCESS


def ended(found: Container) -> str:
    """`exit 1`, `killed by SIGKILL: out of memory (its limit is 64 M)`."""
    number = found.exit_code - SIGNALLED
    if not 0 < number <= 64:
        return f"exit {found.exit_code}" + (" (out of memory)" if found.oom_killed else "")
    killed = f"killed by {NAMES.get(number, f'signal {number}')}"
    if not found.oom_killed:
        return killed
    limit = f" (its limit is {format_size(found.limits.memory)})" if found.limits.memory else ""
    return f"{killed}: out of memory{limit}"


def absent(name: str, engines: Iterable[str]) -> Observation:
    """There is no such container. Whoever made it anew is recognised by its name."""
    asked = " nor ".join(engines)
    return Observation(State.FAILED, text=f"{asked} has no container {name}; it is taken up when there is one")
