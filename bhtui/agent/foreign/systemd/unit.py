"""From the properties of a unit to what is shown of it. Pure.

systemd stamps each moment by two clocks. The host's may have been set since; the steady one was not, so that is the one
that counts where the two do not agree. Time for which the host was suspended does not count then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bhtui.agent.foreign.model import Observation
from bhtui.core.states import Result, State

from .exits import exit_text

USEC, SECOND = 1_000, 1_000_000_000
"""Nanoseconds in one of systemd's microseconds."""
FOREVER = 2**64 - 1
Properties = Mapping[str, Any]

_STATES = {
    "active": State.RUNNING,
    "reloading": State.RUNNING,
    "refreshing": State.RUNNING,
    "activating": State.STARTING,
    "deactivating": State.STOPPING,
    "inactive": State.STOPPED,
    "maintenance": State.STOPPED,
    "failed": State.FAILED,
}
_RESULTS = {
    "success": Result.SUCCESS,
    "exit-code": Result.EXIT_CODE,
    "signal": Result.SIGNAL,
    "core-dump": Result.SIGNAL,
    "oom-kill": Result.OOM_KILL,
    "timeout": Result.START_TIMEOUT,
    "watchdog": Result.LIVENESS,
    "protocol": Result.SPAWN_ERROR,
    "resources": Result.SPAWN_ERROR,
    "start-limit-hit": Result.EXIT_CODE,
}
EXITED = 1
"""CLD_EXITED: it ended by itself."""


def observation(
    unit: str,
    scope: str,
    p: Properties,
    job_ended: bool | None,
    would_restart: bool = False,
    ahead_ns: int | None = None,
) -> Observation:
    """What the properties say. `job_ended`: whether somebody's job was done since it was last up; None: not known.

    `ahead_ns`: by how much the host's clock is ahead of the steady one (CLOCK_MONOTONIC) now; None: not known.
    """
    state = state_of(p)
    ran = bytes(p.get("InvocationID") or ()).hex()
    is_down = state in (State.STOPPED, State.FAILED, State.BACKOFF)
    result = _RESULTS.get(p.get("Result", "success"), Result.UNKNOWN)
    return Observation(
        state=state,
        run=ran,
        pid=(p.get("MainPID") or p.get("ControlPID") or None) if not is_down else None,
        since_ns=_since(state, p, ahead_ns),
        next_start_ns=_next_start(p, ahead_ns) if state is State.BACKOFF else 0,
        restarts=p.get("NRestarts", 0),
        result=result if is_down else Result.NONE,
        text=_text(unit, scope, state, ran, p) if is_down else "",
        was_asked=state is State.STOPPED and _was_asked(p, job_ended),
        cgroup=p.get("ControlGroup", ""),
        would_restart=would_restart,
    )


def state_of(p: Properties) -> State:
    """The state of ours that the unit's comes to."""
    if str(p.get("SubState", "")).startswith("auto-restart"):
        return State.BACKOFF
    return _STATES.get(p.get("ActiveState", ""), State.STOPPED)


def _since(state: State, p: Properties, ahead_ns: int | None) -> int:
    entered = _moment(p, "ActiveEnterTimestamp", ahead_ns)
    left = _moment(p, "InactiveExitTimestamp", ahead_ns)
    return entered if state in (State.RUNNING, State.STOPPING) and entered >= left else left


def _next_start(p: Properties, ahead_ns: int | None) -> int:
    delay = p.get("RestartUSecNext") or p.get("RestartUSec", 0)
    changed = _moment(p, "StateChangeTimestamp", ahead_ns)
    return changed + delay * USEC if changed and delay != FOREVER else 0


def _moment(p: Properties, name: str, ahead_ns: int | None) -> int:
    """When that was, as the host's clock counts now, in Unix nanoseconds; 0: never."""
    stamped = int(p.get(name, 0)) * USEC
    steady = int(p.get(f"{name}Monotonic", 0)) * USEC
    if not (stamped and steady) or ahead_ns is None:
        return stamped
    counted = steady + ahead_ns
    # In whole seconds, or it would be another moment at each look.
    return stamped if abs(counted - stamped) < SECOND else counted - counted % SECOND


def _was_asked(p: Properties, job_ended: bool | None) -> bool:
    """A job that takes a unit down was somebody's wish. Where none was seen its end is judged by itself."""
    if p.get("Type") == "oneshot" and not p.get("RemainAfterExit"):
        return False
    if job_ended is not None:
        return job_ended
    return True


def _text(unit: str, scope: str, state: State, ran: str, p: Properties) -> str:
    if state is not State.STOPPED or ran:
        return exit_text(p)
    return hindrance(unit, scope, p)


def hindrance(unit: str, scope: str, p: Properties) -> str:
    """Why a unit that has not run cannot, or does not by itself; empty: nothing hinders it."""
    command = "systemctl --user" if scope == "user" else "systemctl"
    match p.get("LoadState"):
        case "not-found":
            return f"there is no {unit} on this host; install it, or correct `unit`"
        case "masked":
            return f"{unit} is masked, so that nobody can start it; {command} unmask {unit}"
        case "error" | "bad-setting":
            _, text = p.get("LoadError") or ("", "")
            return f"systemd cannot read {unit}: {text or p['LoadState']}; systemd-analyze verify {unit}"
    if p.get("UnitFileState") == "disabled":
        return f"it has not run since the host was started, and is disabled; {command} enable {unit}"
    return ""
