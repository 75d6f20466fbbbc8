"""A container as its engine tells of it; read from the answers of Docker and of Podman alike. Pure.

Podman's answers differ from Docker's in small things: no health check is an empty word, no restart policy too, and what
has just ended is called `stopped`, also when its restart policy is about to start it again.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from bhtui.core.spec import LimitsSpec
from bhtui.core.states import Health

CORE = 1_000_000_000
"""One core, in NanoCpus."""
ENDLESS = 1 << 60
"""So many bytes are no limit, whoever wrote them down as one."""
SHORT_ID = 12
"""Characters of an id that people are shown."""
NEVER = ("", "no")
"""Restart policies that restart nothing."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))")


class Status(StrEnum):
    """What a container is doing, in the words of the engines."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"  # its restart policy waits before it starts it again
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"  # the engine could not remove all of it


_STATUSES = {
    "configured": Status.CREATED,
    "initialized": Status.CREATED,
    "stopping": Status.RUNNING,
    "unknown": Status.DEAD,
}
_HEALTH = {"healthy": Health.HEALTHY, "unhealthy": Health.UNHEALTHY}


@dataclass(frozen=True, slots=True)
class Container:
    """One container, whole. Times are Unix nanoseconds, 0: never."""

    id: str
    name: str
    image: str
    status: Status
    pid: int | None = None
    """Of its first process, as the engine's host numbers it."""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    """Why the engine could not start it."""
    created_ns: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    restarts: int = 0
    """By its restart policy, since somebody last started it."""
    policy: str = ""
    """When the engine starts it again: `always`, `on-failure:5`; empty: never."""
    health: Health | None = None
    """Of its HEALTHCHECK; UNKNOWN while it starts; None: it has none."""
    health_detail: str = ""
    """What the last check printed, when it was not well."""
    tty: bool = False
    """Whether its output is one raw stream."""
    stop_timeout: float = 10.0
    """Seconds that it has to end, unless somebody says otherwise."""
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    """As the engine says it holds them."""
    cpu_by_quota: bool = False
    """Whether its limit of processors was given as quota and period: Docker then takes it in no other way."""
    ports: tuple[int, ...] = ()
    """TCP ports of the host that lead into it."""

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID]

    @property
    def is_up(self) -> bool:
        """Whether it has processes."""
        return self.status in (Status.RUNNING, Status.PAUSED) and self.pid is not None


@dataclass(frozen=True, slots=True)
class Summary:
    """One container in a list of all: what it costs little to know."""

    engine: str
    """`docker`, `podman`."""
    id: str
    name: str
    image: str
    status: Status
    detail: str = ""
    """The engine's own words: `Up 3 minutes (healthy)`, `Exited (137) 4 seconds ago`."""
    created_ns: int = 0
    ports: tuple[int, ...] = ()
    """TCP ports of the host that lead into it."""
    cpu_percent: float | None = None
    """Of one core, since it was last listed."""
    memory_bytes: int | None = None


def from_inspect(said: Mapping[str, Any]) -> Container:
    """The answer to `inspect`. Raises ValueError when it is not one."""
    try:
        state, host, config = said["State"], said.get("HostConfig") or {}, said.get("Config") or {}
        health, detail = _health(state.get("Health"), state)
        policy = _policy(host.get("RestartPolicy") or {})
        return Container(
            id=said["Id"],
            name=said["Name"].lstrip("/"),
            image=config.get("Image") or said.get("ImageName") or said.get("Image", ""),
            status=_status(state, policy),
            pid=state.get("Pid") or None,
            exit_code=int(state.get("ExitCode") or 0),
            oom_killed=bool(state.get("OOMKilled")),
            error=state.get("Error") or "",
            created_ns=time_ns(said.get("Created")),
            started_ns=time_ns(state.get("StartedAt")),
            finished_ns=time_ns(state.get("FinishedAt")),
            restarts=int(said.get("RestartCount") or 0),
            policy=policy,
            health=health,
            health_detail=detail,
            tty=bool(config.get("Tty")),
            stop_timeout=_grace(config.get("StopTimeout")),
            limits=_limits(host),
            cpu_by_quota=(host.get("CpuQuota") or 0) > 0 or (host.get("CpuPeriod") or 0) > 0,
            ports=_ports((said.get("NetworkSettings") or {}).get("Ports")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no container: {error}") from error


def from_list(engine: str, said: Sequence[Mapping[str, Any]]) -> list[Summary]:
    """The answer to `list`. Raises ValueError when it is not one."""
    try:
        return [
            Summary(
                engine=engine,
                id=one["Id"],
                name=(one.get("Names") or [one["Id"][:SHORT_ID]])[0].lstrip("/"),
                image=one.get("Image") or "",
                status=_word(one.get("State") or ""),
                detail=one.get("Status") or "",
                created_ns=int(one.get("Created") or 0) * 1_000_000_000,
                ports=tuple(sorted({
                    int(port["PublicPort"]) for port in one.get("Ports") or ()
                    if port.get("PublicPort") and port.get("Type", "tcp") == "tcp"
                })),
            )
            for one in said
        ]  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no list of containers: {error}") from error


def time_ns(text: object) -> int:
    """Unix nanoseconds of an RFC 3339 time; 0 for none, which Go writes as the year 1, and for what is no time."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return 0
    seconds = _seconds(match[1])
    if match[3]:
        shift = (int(match[4]) * 60 + int(match[5])) * 60
        seconds -= shift if match[3] == "+" else -shift
    return max(0, seconds * 1_000_000_000 + int((match[2] or "0").ljust(9, "0")))


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    """Lines of a log come many in a second."""
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return -1 << 40


def _word(text: str) -> Status:
    try:
        return _STATUSES.get(text) or Status(text)
    except ValueError:
        return Status.DEAD


def _status(state: Mapping[str, Any], policy: str) -> Status:
    """The flags are asked where the word is missing, as in answers of old engines.

    Podman says `stopped` for the moment between an end and what follows from it.
    """
    word = state.get("Status")
    if word == "stopped":
        return Status.RESTARTING if policy else Status.EXITED
    if word:
        return _word(word)
    if state.get("Restarting"):
        return Status.RESTARTING
    if state.get("Paused"):
        return Status.PAUSED
    return Status.RUNNING if state.get("Running") else Status.EXITED


def _policy(said: Mapping[str, Any]) -> str:
    name, most = said.get("Name") or "", said.get("MaximumRetryCount") or 0
    if name in NEVER:
        return ""
    return f"{name}:{most}" if most else str(name)


def _health(said: Mapping[str, Any] | None, state: Mapping[str, Any]) -> tuple[Health | None, str]:
    word = (said or {}).get("Status") or "none"
    if said is None or word == "none" or not state.get("Running"):
        return None, ""
    health = _HEALTH.get(word, Health.UNKNOWN)
    runs = said.get("Log") or ()
    if health is Health.HEALTHY or not runs:
        return health, "" if health is Health.HEALTHY else f"its health check says {word}"
    last = runs[-1]
    printed = " ".join((last.get("Output") or "").split())[:200]
    return health, f"exit {last.get('ExitCode')}" + (f": {printed}" if printed else "")


def _limits(host: Mapping[str, Any]) -> LimitsSpec:
    memory, nano, pids = (host.get(key) or 0 for key in ("Memory", "NanoCpus", "PidsLimit"))
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or 100_000
    cpu = nano / CORE if nano > 0 else quota / period if quota > 0 else None
    return LimitsSpec(memory if 0 < memory < ENDLESS else None, cpu, pids if pids > 0 else None)


def _grace(said: object) -> float:
    """Negative: it is waited for without an end; an hour is one."""
    if not isinstance(said, int):
        return 10.0
    return float(said) if said >= 0 else 3600.0


def _ports(said: Mapping[str, Any] | None) -> tuple[int, ...]:
    bound = [bind for name, binds in (said or {}).items() if name.endswith("/tcp") for bind in binds or ()]
    return tuple(sorted({int(bind["HostPort"]) for bind in bound if str(bind.get("HostPort", "")).isdigit()}))
