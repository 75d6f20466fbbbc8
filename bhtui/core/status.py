"""What `status` shows: the host and each instance, as seen at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from .spec import ProbeKind, ServiceKind
from .states import Goal, Health, Result, State


@dataclass(frozen=True, slots=True)
class Scaling:
    """The number of instances of a service, where that is not what the configuration declares by itself."""

    replicas: int
    declared: int
    by: str
    """Who set it at run time."""
    seconds: float
    """How long ago that was."""


@dataclass(frozen=True, slots=True)
class LogDropped:
    """What of an instance's output was over its rate limit, since its keeper was started."""

    lines: int
    bytes: int
    seconds: float
    """How long ago the last of it was dropped."""
    limit: str = ""
    """`1000 lines in 30 s`; empty: there is none any more."""


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One instance. Unknown numbers are None, never 0."""

    service: str
    instance: str
    state: State
    goal: Goal
    health: Health
    health_detail: str = ""
    """What the last probe said, when it was not well."""
    probe: ProbeKind = ProbeKind.NONE
    result: Result = Result.NONE
    pid: int | None = None
    uptime_seconds: float | None = None
    restarts: int = 0
    next_start_seconds: float | None = None
    """Seconds until the next start, in `backoff`."""
    cpu_percent: float | None = None
    """Of one core."""
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    limits_held_by: str = ""
    """`cgroup v2`, `cgroup v1`, `rlimits`, or empty: no limit."""
    last_error: str = ""
    """Why it is not running, with its last log lines."""
    waiting_for: str = ""
    since_ns: int = 0
    """When it entered its state."""
    threads: int | None = None
    fds: int | None = None
    ports: tuple[int, ...] = ()
    limits_not_held: str = ""
    """Declared limits that nothing holds here, each with the reason; empty: all are held."""
    limits_override_by: str = ""
    """Who last set one of its limits or priorities at run time; empty: all are as declared."""
    limits_override_seconds: float | None = None
    """How long ago that was."""
    endpoint: str = ""
    """`host:port` at which others reach it while it is running and well; empty: it has no port."""
    scaling: Scaling | None = None
    """Who set the number of its service's instances at run time; None: it is as declared."""
    kind: ServiceKind = ServiceKind.PROCESS
    """Who supervises it: we, systemd, or a container engine."""
    ref: str = ""
    """The unit or container it stands for; empty for a process."""
    auto_scale: str = ""
    """`auto 1..5: cpu 91 % of the limit over 60 s, above 80 %: 2 -> 3`: how their number follows their load."""
    held: str = ""
    """What holds the restart that would come by itself: `maintenance window "night" until 03:00`; empty: nothing."""
    restarts_note: str = ""
    """Of a unit or container: how a maintenance window holds the restarts of its manager, or why it cannot; empty: none
    is open for it."""
    untold: str = ""
    """Why others still know another set of ready instances: its on_change fails, and how; empty: nothing has failed."""
    log_dropped: LogDropped | None = None
    """What it wrote over its rate limit, and is in no log; None: nothing."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The host as its agent sees it."""

    hostname: str
    os: str = ""
    uptime_seconds: float = 0.0
    load1: float = 0.0
    cpu_percent: float | None = None
    """Of all cores together, 0 to 100."""
    cpus: int = 1
    memory_used_bytes: int = 0
    memory_total_bytes: int = 0
    disk_used_percent: float = 0.0
    """Of the file system that holds the agent's state."""
    time_ns: int = 0
    last_backup_ns: int = 0
    """0: none."""
