"""What needs a person first: how bad the state of an instance or a host is, and the word for it."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING

from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import status_pb2

if TYPE_CHECKING:
    from .host import HostView


class Level(IntEnum):
    """Worse is more. `OFF` is not running and not wanted to."""

    OFF = 0
    FINE = 1
    NOTICE = 2
    WARN = 3
    BAD = 4


SIGN = {Level.OFF: "○", Level.FINE: "✓", Level.NOTICE: "~", Level.WARN: "!", Level.BAD: "✗"}
STYLE = {Level.OFF: "dim", Level.FINE: "ok", Level.NOTICE: "notice", Level.WARN: "warn", Level.BAD: "bad"}

_HEALTH = {"unhealthy": Level.BAD, "degraded": Level.WARN}

BROKEN_LINKS = {
    "auth-failed": "auth failed",
    "host-key-changed": "host key changed",
    "unknown-host-key": "unknown host key",
    "no-route": "no route",
    "agent-too-old": "agent too old",
    "python-too-old": "python too old",
    "failed": "failed",
    "agent-stopped": "agent stopped",
    "closed": "closed",
}
"""Links that will not come back by themselves, or say why they have not come yet."""

CRASH_SHOWN = 300.0
"""Seconds that an instance is told to have crashed after it was started again."""
_ANNOUNCED = re.compile(r", restart (\d+) in [^;\n]+")
"""How a crash announces the start that follows."""


def instance_level(status: status_pb2.InstanceStatus) -> Level:
    """How bad one instance is."""
    match status.state, status.goal:
        case "failed" | "backoff", _:
            return Level.BAD
        case "stopped", "up":
            return Level.OFF if completed(status) else Level.WARN
        case "stopped", _:
            return Level.OFF
        case "waiting" | "starting" | "stopping", _:
            return Level.NOTICE
    if crashed(status):
        return max(Level.WARN, _HEALTH.get(status.health, Level.FINE))
    return _HEALTH.get(status.health, Level.FINE)


def crashed(status: status_pb2.InstanceStatus) -> bool:
    """Whether it runs again after a crash of late. The agent tells the error for the first seconds of a run, which is
    too short for a person to have seen it."""
    new = status.HasField("uptime_seconds") and status.uptime_seconds < CRASH_SHOWN
    return status.state == "running" and status.restarts > 0 and (new or bool(status.last_error))


def completed(status: status_pb2.InstanceStatus) -> bool:
    """Whether it ran, ended with 0, and need not run again: as one that prepares what others need."""
    return status.state == "stopped" and status.goal == "up" and status.result == "success"


def is_up(status: status_pb2.InstanceStatus) -> bool:
    """Whether it does its work now."""
    return status.state == "running" and status.health not in _HEALTH


def word(status: status_pb2.InstanceStatus) -> str:
    """How an instance is, in one word."""
    if status.state != "running":
        return status.state
    return status.health if status.health in _HEALTH else "crashed" if crashed(status) else status.state


def link_level(view: HostView, now: float) -> Level:
    """How bad a connection is."""
    if view.fresh(now):
        return Level.FINE
    return Level.BAD if view.link.state in BROKEN_LINKS else Level.NOTICE


def link_text(view: HostView, now: float) -> str:
    """The word for a connection: `live`, `stale 12 s`, `auth failed`."""
    if view.fresh(now):
        return "live"
    if view.link.state in BROKEN_LINKS:
        return BROKEN_LINKS[view.link.state]
    if view.seen_at:
        word = "stale" if view.link.state in ("live", "stale") else view.link.state
        return f"{word} {format_age(view.age(now))}"
    return "connecting" if view.link.state == "live" else view.link.state


def host_level(view: HostView, now: float) -> Level:
    """The worst of its connection, its instances, and what its agent says of itself."""
    return max(
        [
            link_level(view, now),
            Level.WARN if _failed_units(view) or view.notes else Level.OFF,
            *(Level.FINE if one.level is Level.OFF else one.level for one in view.instances.values()),
        ]
    )


def _failed_units(view: HostView) -> int:
    """Units that failed on a host where nothing is declared; elsewhere the services are what counts."""
    return 0 if view.instances or view.overview is None else len(view.overview.failed)


def counts(view: HostView) -> tuple[int, int]:
    """Instances that are in a bad state, and those that want a look."""
    levels = [one.level for one in view.instances.values()]
    return levels.count(Level.BAD), levels.count(Level.WARN)


def worst_text(view: HostView) -> str:
    """The worst instance in words: `api-1 failed`, `api-1 stopping`; empty when all are as they should be."""
    bad = [one for one in view.instances.values() if one.level >= Level.NOTICE]
    if not bad:
        return ""
    worst = max(bad, key=lambda one: one.level)
    return f"{worst.name} {word(worst.status)}" + (f" +{len(bad) - 1}" if len(bad) > 1 else "")


def notes_text(view: HostView) -> str:
    """What its agent says of itself in one line; empty when all is well."""
    return "; ".join(view.notes)


def trouble_text(view: HostView, now: float) -> str:
    """The worst of a host in words: its worst instance, or its connection when that is worse."""
    link = link_level(view, now)
    if (failed := _failed_units(view)) and link is Level.FINE:
        return f"{failed} unit{'s' if failed > 1 else ''} failed"
    worst = max((one.level for one in view.instances.values()), default=Level.OFF)
    if view.notes and worst < Level.WARN and link is Level.FINE:
        return view.notes[0] + (f" +{len(view.notes) - 1}" if len(view.notes) > 1 else "")
    wins = worst >= link if worst >= Level.WARN else link is Level.FINE
    return (worst_text(view) if wins else "") or link_text(view, now)


def reason(status: status_pb2.InstanceStatus) -> str:
    """Why an instance is not well, in one line; empty when it is."""
    error = status.last_error.splitlines()[0] if status.last_error else ""
    if status.state == "stopped" and status.goal != "up" and _ANNOUNCED.search(error):
        return ""  # of an earlier run; a person has stopped it since
    if status.held:
        return f"held: {status.held}" + (f"; {error}" if error else "")
    if status.state in ("failed", "backoff", "stopped", "starting") and error:
        return error
    if status.state == "waiting" and status.waiting_for:
        return f"waits for {status.waiting_for}"
    unasked = status.health == "unknown" and status.state == "running" and status.ref and status.health_detail
    if unasked or status.health in ("unhealthy", "degraded"):
        return status.health_detail
    if not crashed(status):
        return ""
    ago = f"restarted {format_age(status.uptime_seconds)} ago, last end: {status.result}"
    return _ANNOUNCED.sub(r"; restart \1", error) or ago
