"""What was declared: the configuration after it was checked, as frozen values.

Durations are seconds, sizes bytes, CPU in cores. Paths are absolute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .autoscale import FIXED, AutoScaleSpec
from .backup import ALL_DATA, NO_BACKUP, BackupSpec, ServiceBackup
from .maintenance import WindowSpec
from .outputs import OutputSpec


class Condition(StrEnum):
    """What a dependency must have reached, in Compose's words."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class Restart(StrEnum):
    """When an ended process is started again, in Compose's words."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


class ProbeKind(StrEnum):
    """How a probe asks."""

    TCP = "tcp"
    HTTP = "http"
    GRPC = "grpc"  # grpc.health.v1, and the contract where it is offered
    COMMAND = "test"
    LOG = "log"
    NONE = "none"  # healthy as long as it runs


class ServiceKind(StrEnum):
    """Who supervises a service on the host."""

    PROCESS = "process"  # we do
    SYSTEMD = "systemd"  # systemd does: an existing unit
    CONTAINER = "container"  # Docker or Podman does: an existing container


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """How the health of an instance is found out."""

    kind: ProbeKind = ProbeKind.NONE
    target: str = ""
    """`host:port` (tcp, grpc; also `unix:PATH` for grpc), URL (http), regular expression (log)."""
    command: tuple[str, ...] = ()
    interval: float = 5.0
    timeout: float = 5.0
    retries: int = 3
    """Failures in a row after which a healthy instance is unhealthy."""
    successes: int = 1
    """Successes in a row after which an unhealthy instance is healthy."""
    start_period: float = 0.0
    """Failures within this time after the start are not counted."""
    ready_timeout: float = 30.0
    """A start that is not healthy after this long has failed."""
    liveness: bool = False
    """Whether an instance that became unhealthy is restarted."""


@dataclass(frozen=True, slots=True)
class RestartSpec:
    """The restart policy: wait delay, delay * factor, ... up to maximum, with jitter; give up at the start limit."""

    policy: Restart = Restart.ON_FAILURE
    delay: float = 0.02
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.1
    """Part of the delay by which it varies either way."""
    start_limit: int = 10
    """Restarts within start_window after which the instance is failed; 0: never."""
    start_window: float = 60.0
    reset_after: float = 10.0
    """A run of this length sets the delay back."""


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What an instance may use; None: no limit."""

    memory: int | None = None
    cpu: float | None = None
    pids: int | None = None
    iops: int | None = None
    bandwidth: int | None = None
    nice: int | None = None
    ionice: str | None = None
    """`idle`, `best-effort:0-7` or `realtime:0-7`."""


@dataclass(frozen=True, slots=True)
class StopSpec:
    """How an instance is asked to end, before it is killed with all its children."""

    signal: str = "SIGTERM"
    grace: float = 10.0
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RotateSpec:
    """When a captured log is rotated and what is kept."""

    max_size: int = 100 << 20
    max_age: float = 7 * 86400.0
    max_backups: int = 10


@dataclass(frozen=True, slots=True)
class RateSpec:
    """How much of an instance's output is kept: so many lines and bytes in each stretch of time; 0: no bound."""

    lines: int = 0
    bytes: int = 0
    per: float = 30.0
    """Seconds."""

    def __bool__(self) -> bool:
        return bool(self.lines or self.bytes)


@dataclass(frozen=True, slots=True)
class EndpointsSpec:
    """How others are told where the instances of a service can be reached."""

    host: str = "127.0.0.1"
    """The address that goes before the port."""
    drain: float = 1.0
    """Seconds between the moment others were told that an instance goes and its stop, in scaling and rolling."""
    on_change: tuple[str, ...] = ()
    """Run when another set of instances is ready, with that set on its standard input."""
    timeout: float = 10.0
    """Seconds after which the command has failed."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service."""

    name: str
    command: tuple[str, ...]
    working_dir: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """With env_file merged in, env_file first."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Variable name to the file its value is read from at start; never shown, never stored."""
    user: str = ""
    umask: int | None = None
    depends_on: Mapping[str, Condition] = field(default_factory=dict)
    probe: ProbeSpec = ProbeSpec()
    restart: RestartSpec = RestartSpec()
    stop: StopSpec = StopSpec()
    limits: LimitsSpec = LimitsSpec()
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """`nofile` and the like to (soft, hard); -1 is unlimited."""
    replicas: int = 1
    ports: tuple[int, ...] = ()
    """TCP ports it will listen on; checked to be free before a start, so that the holder can be named. Those of its
    first instance, where there are several."""
    data: tuple[str, ...] = ()
    metrics: str = ""
    """URL of its Prometheus text, or empty."""
    contract: str = ""
    """gRPC address at which it speaks blackhole.service.v1, or empty."""
    reload_signal: str = ""
    """Signal that makes it read its configuration again, or empty."""
    rotate: RotateSpec = RotateSpec()
    labels: Mapping[str, str] = field(default_factory=dict)
    on_pressure: tuple[str, ...] = ()
    """What is done when an instance nears its memory limit, in this order: `clear-cache`, `gc`, `restart`."""
    tuning: Mapping[str, str] = field(default_factory=dict)
    """The guide's `performance.<service>` keys, handed on as BLACKHOLE_TUNING_<KEY>."""
    hidden: tuple[str, ...] = field(default=(), compare=False)
    """Which of the values above are not to be shown, as `environment.DB` or `command`: they came from variables or
    from an env_file."""
    port_step: int = 1
    """By how much the ports of each further instance lie above those of the one before; 0: they share theirs."""
    endpoints: EndpointsSpec = EndpointsSpec()
    kind: ServiceKind = ServiceKind.PROCESS
    """Who supervises it. What is not a process has no command: its own manager knows how it is started."""
    unit: str = ""
    """Name of the systemd unit it stands for, `nginx.service`."""
    scope: str = ""
    """Whose unit: `system`, or `user`: the agent's own."""
    container: str = ""
    """Name of the container it stands for."""
    engine: str = ""
    """Which engine has the container: `docker`, `podman`, the path of a socket; empty: the one that has it."""
    scale: AutoScaleSpec = FIXED
    """Whether and how their number follows their load."""
    backup: ServiceBackup = ALL_DATA
    """What it says of its own backups; what they take is `data`."""
    rate_limit: RateSpec = RateSpec()

    @property
    def is_foreign(self) -> bool:
        """Whether the host's own manager supervises it, and we mirror and ask."""
        return self.kind is not ServiceKind.PROCESS

    @property
    def ref(self) -> str:
        """What the manager calls it: the unit or container; empty for a process."""
        return self.unit or self.container

    @property
    def identity(self) -> tuple[ServiceKind, str, str, str]:
        """Equal when two specs mean the same unit or container, or each a process of ours."""
        return self.kind, self.ref, self.scope, self.engine

    @property
    def disk_paths(self) -> tuple[str, ...]:
        """Where it keeps what it writes: limits on disks are those of the disks below these paths."""
        return self.data or (self.working_dir or "/",)

    def instance_names(self) -> tuple[str, ...]:
        """The names of its instances, `api-1` first."""
        return tuple(f"{self.name}-{index}" for index in range(1, self.replicas + 1))


@dataclass(frozen=True, slots=True)
class RemoteWriteSpec:
    """Where every figure of the endpoint is sent too, by Prometheus' remote write 1.0."""

    name: str
    """What commands and events call it."""
    url: str
    """The whole address: `https://prometheus.example:9090/api/v1/write`."""
    interval: float = 15.0
    """Seconds from one taking of the figures to the next."""
    buffer: int = 128 << 20
    """Bytes on disk that may wait to be sent; beyond it the oldest are given up."""
    warn_after: float = 60.0
    """Seconds that it may fail or lag before an event says so."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """On every series, besides `job` and `host`, which they may replace."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """In every request: a tenant. Secrets are not written here."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Who we are and whom we trust (`username password_file bearer_token_file tls`), as log outputs have it."""


@dataclass(frozen=True, slots=True)
class MetricsSpec:
    """The Prometheus endpoint and the history."""

    listen: str = ""
    """`127.0.0.1:9090`, or empty: no endpoint."""
    fine: float = 3600.0
    """Seconds for which samples of every second are kept."""
    coarse: float = 7 * 86400.0
    """Seconds for which steps of ten seconds are kept."""
    space: int = 256 << 20
    """Bytes that those steps may take on disk; beyond it the oldest go sooner."""
    remote_write: tuple[RemoteWriteSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything that one host's configuration declares."""

    services: Mapping[str, ServiceSpec] = field(default_factory=dict)
    metrics: MetricsSpec = MetricsSpec()
    log_level: str = "info"
    log_format: str = "text"
    sections: Mapping[str, Any] = field(default_factory=dict)
    """The guide's other sections (`backup alerts maintenance automation logging`), checked, as plain data."""
    digest: str = ""
    """SHA-256 of the source, hex."""
    source: str = ""
    """Path of the file it was read from, or empty."""
    outputs: tuple[OutputSpec, ...] = ()
    """Where captured lines are sent besides the files of each service."""
    windows: tuple[WindowSpec, ...] = ()
    """Times in which nothing is restarted by itself."""
    backup: BackupSpec = NO_BACKUP
    """When backups are made, where, and how many are kept."""
