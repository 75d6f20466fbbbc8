"""`services`: each service, in Compose's words wherever Compose has one."""

from __future__ import annotations

import re
import resource
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bhtui.core.autoscale import FIXED
from bhtui.core.spec import Condition, LimitsSpec, RateSpec, RestartSpec, ServiceKind, ServiceSpec, StopSpec

from .backup import ServiceBackup
from .endpoints import Endpoints
from .fields import (
    Command,
    Count,
    Duration,
    Environment,
    Labels,
    Name,
    OwnUrl,
    Port,
    Section,
    SignalName,
    Size,
    SocketAddress,
    Text,
    Texts,
    Umask,
    Wait,
    environment,
    name,
    text,
)
from .healthcheck import Healthcheck
from .logging import Logging, RateLimit
from .outputs import Rotate
from .restart import BESIDE, RestartSection, from_word
from .scale import Scale, section

RLIMITS = frozenset(key.removeprefix("RLIMIT_").lower() for key in vars(resource) if key.startswith("RLIMIT_"))


class Dependency(Section):
    """What a dependency must have reached."""

    INSTEAD: ClassVar[dict[str, str]] = {"required": "leave it out: every dependency is required"}

    condition: Condition = Condition.STARTED
    """What it must have reached before this service is started."""


def dependencies(value: Any) -> Any:
    """Compose's plain list as the mapping it stands for."""
    if isinstance(value, list):
        return {name(item): {"condition": Condition.STARTED.value} for item in value}
    return value


def secret_files(value: Any) -> Any:
    """A mapping of variables to files; Compose's list names secrets that are declared elsewhere. Raises ValueError."""
    if isinstance(value, list):
        raise ValueError("write a mapping of variables to the files that hold them: {DB_PASSWORD: /etc/secrets/db}")
    return environment(value)


def io_class(value: Any) -> str:
    """`idle`, `best-effort:0-7` or `realtime:0-7`. Raises ValueError."""
    kind, colon, level = text(value).partition(":")
    if (kind == "idle" and not colon) or (kind in ("best-effort", "realtime") and level in set("01234567")):
        return text(value)
    raise ValueError(f"{text(value)!r} is not idle, best-effort:0-7 or realtime:0-7")


def port(value: Any) -> Any:
    """A port alone: nothing is mapped, because the service has the host's own ports. Raises ValueError."""
    written = text(value)
    if ":" in written or "/" in written or "-" in written[1:]:
        raise ValueError(f"{written!r} is not a port; a service has the host's own ports, so write the number alone")
    return written


def rlimits(value: Any) -> dict[str, tuple[int, int]]:
    """`{nofile: 1024}` or `{nofile: {soft: 1024, hard: 4096}}`; -1 or `unlimited`. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError("this must be a mapping like {nofile: 65536}")
    if unknown := sorted(set(value) - RLIMITS):
        raise ValueError(f"there is no resource limit {unknown[0]!r}; known are {', '.join(sorted(RLIMITS))}")
    return {key: _rlimit(item) for key, item in value.items()}


def _rlimit(value: Any) -> tuple[int, int]:
    if isinstance(value, Mapping):
        if set(value) != {"soft", "hard"}:
            raise ValueError("write one number, or {soft: NUMBER, hard: NUMBER}")
        soft, hard = _bound(value["soft"]), _bound(value["hard"])
        if hard != -1 and (soft == -1 or soft > hard):
            raise ValueError("soft is above hard")
        return soft, hard
    return _bound(value), _bound(value)


def _bound(value: Any) -> int:
    written = text(value)
    if written in ("-1", "unlimited"):
        return -1
    if not written.isascii() or not written.isdigit() or int(written[:20]) >= 1 << 63:
        raise ValueError(f"{written!r} is not a number, -1 or unlimited")
    return int(written)


_UNIT = re.compile(
    r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.(service|socket|timer|mount|path|target|slice|scope|swap)"
)


def unit_name(value: Any) -> str:
    """`nginx` is nginx.service. Raises ValueError."""
    name = text(value)
    name = name if "." in name else f"{name}.service"
    if not _UNIT.fullmatch(name) or len(name) > 255:
        raise ValueError(f"{text(value)!r} is not the name of a unit, as `systemctl list-units` shows them")
    return name


_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")


def container_name(value: Any) -> str:
    """As `docker ps` shows it, not its id: the name stays when the container is made anew. Raises ValueError."""
    name = text(value).removeprefix("/")
    if not _CONTAINER_NAME.fullmatch(name):
        raise ValueError(
            f"{text(value)!r} is not the name of a container, as `docker ps -a` or `podman ps -a` shows them"
        )
    return name


def engine_name(value: Any) -> str:
    """`docker`, `podman`, or the path of a socket. Raises ValueError."""
    written = text(value).removeprefix("unix://")
    if written in ("docker", "podman") or (written.startswith("/") and len(written) <= 107):
        return written
    raise ValueError(f"{text(value)!r} is not docker, podman or the path of a socket (at most 107 bytes)")


PressureStep = Literal["clear-cache", "gc", "restart"]


class Limits(Section):
    """What each instance may use."""

    INSTEAD: ClassVar[dict[str, str]] = {"cpus": "write cpu, in cores", "mem": "write memory"}

    memory: Annotated[Size, Field(ge=1 << 20)] | None = None
    """Bytes that the instance may hold, its children included; at least 1M. None: no limit."""
    cpu: Annotated[float, Field(ge=0.01)] | None = None
    """Cores; 0.5 is half of one. None: no limit."""
    pids: Count | None = None
    """Processes and threads. None: no limit."""
    iops: Count | None = None
    """Operations a second on each disk below `data` (or `working_dir`), of reads and writes each. None: no limit."""
    bandwidth: Annotated[Size, Field(ge=1)] | None = None
    """Bytes a second on each of these disks, of reads and writes each. None: no limit."""
    nice: Annotated[int, Field(ge=-20, le=19)] | None = None
    """Priority of the processor, -20 (first) to 19 (last). None: the agent's own."""
    ionice: Annotated[str, BeforeValidator(io_class)] | None = None
    """Priority of the disks. None: the agent's own."""
    on_pressure: list[PressureStep] | None = None
    """What is done at 0.9 of the memory limit, in this order. None: `[clear-cache, gc]` where it has a `contract`."""

    def spec(self) -> LimitsSpec:
        """As a frozen value."""
        return LimitsSpec(**{field.name: getattr(self, field.name) for field in fields(LimitsSpec)})


class ServiceLogging(Section):
    """Of one service: when its captured log is rotated, and how much goes into it."""

    INSTEAD: ClassVar[dict[str, str]] = {
        "driver": "output is captured into files; write rotate: {max_size: 100MB} here, outputs at the top level",
        "options": "write rotate: {max_size: 100MB, max_backups: 10}",
    }

    rotate: Rotate | None = None
    """Instead of `logging.rotate`."""
    rate_limit: RateLimit | None = None
    """Instead of `logging.rate_limit`."""


NEEDED: Mapping[ServiceKind, str] = {ServiceKind.PROCESS: "command", ServiceKind.SYSTEMD: "unit",
                                         ServiceKind.CONTAINER: "container"}  # fmt: skip
"""What says which program, unit or container a service of a kind is."""


def missing_key(value: Mapping[str, Any]) -> str:
    """The key that a service as it is written lacks for its kind; empty: none, or another fault is nearer."""
    kind = value.get("kind") or ServiceKind.PROCESS
    key = next((key for each, key in NEEDED.items() if each == kind), "")
    is_other = key == "command" and any(
        value.get(other) is not None for other in ("unit", "container")
    )  # that the kind is missing is told then
    return key if key and value.get(key) is None and not is_other else ""


_CONTAINER = (
    "containers are made by their engine; leave it out, and name one that exists: kind: container, container: NAME"
)
_OF_CONTAINERS = (
    "image", "build", "networks", "network_mode", "hostname", "links", "cap_add", "cap_drop", "tty",
    "privileged", "pull_policy", "platform", "dns", "extra_hosts", "tmpfs", "ipc", "pid", "init", "expose",
)  # fmt: skip
_LIMITS = "write it below limits: {memory: 64M, cpu: 0.5, pids: 100}"


class Service(Section):
    """One service as written."""

    INSTEAD: ClassVar[dict[str, str]] = {
        **dict.fromkeys(_OF_CONTAINERS, _CONTAINER),
        **dict.fromkeys(("mem_limit", "memory", "cpus", "cpu", "pids_limit", "nice", "mem_reservation"), _LIMITS),
        "container_name": "write kind: container and container: NAME for one that exists",
        "volumes": "a service sees the host's own files; write data: [PATH] for what a backup takes",
        "entrypoint": "write the whole command line as command",
        "deploy": "write replicas, limits and restart directly in the service",
        "extends": "use an anchor and a merge key: <<: *base",
        "rlimits": "write ulimits",
        "env": "write environment",
        "cwd": "write working_dir",
        "stdin_open": "a service has no terminal; leave it out",
    }  # fmt: skip

    kind: ServiceKind = ServiceKind.PROCESS
    """Who supervises it: `process`: the agent; `systemd` and `container`: systemd, Docker or Podman does, and the agent
    mirrors and asks."""
    command: Command | None = None
    """The program and its arguments; text is split at its spaces, quotes hold together. No shell runs it: write
    `[sh, -c, LINE]` for `|`, `>`, `&&`, `$(...)`, which are refused. Needed by a process."""
    unit: Annotated[str, BeforeValidator(unit_name)] | None = None
    """The existing unit that this service stands for, `nginx.service`. Needed by `kind: systemd`."""
    scope: Literal["system", "user"] = "system"
    """Whose unit: the host's, or one of the agent's own user (`systemctl --user`)."""
    container: Annotated[str, BeforeValidator(container_name)] | None = None
    """The existing container that this service stands for, by its name. Needed by `kind: container`."""
    engine: Annotated[str, BeforeValidator(engine_name)] | None = None
    """Which engine has it: `docker`, `podman`, or the path of a socket. None: the one that has it."""
    working_dir: Text | None = None
    """Where it is started; a relative path begins at the configuration's folder. None: `/`."""
    environment: Environment = Field(default_factory=dict)
    """Variables; they win over those of `env_file`."""
    env_file: Texts = ()
    """Files of KEY=VALUE lines, read when the configuration is; later files win over earlier ones."""
    secrets: Annotated[dict[str, str], BeforeValidator(secret_files)] = Field(default_factory=dict)
    """Variables and the files their values are read from at each start; never shown, never stored."""
    user: Text = ""
    """`name`, `name:group` or numbers, as which it runs. Empty: the agent's own user."""
    umask: Umask | None = None
    """Octal, as shells have it. None: 022."""
    depends_on: Annotated[dict[Name, Dependency], BeforeValidator(dependencies)] = Field(default_factory=dict)
    """Services that must be there first, and what each must have reached. A list means `service_started`."""
    healthcheck: Healthcheck = Healthcheck()
    """How its health is found out. None: it is healthy as long as it runs."""
    restart: Annotated[RestartSection, BeforeValidator(from_word)] = RestartSection()
    """When it is started again: `no`, `on-failure`, `always`, `unless-stopped`, or a mapping with the delays."""
    restart_delay: Wait | None = None
    """`restart.delay`, beside a word."""
    restart_factor: Annotated[float, Field(ge=1, le=100)] | None = None
    """`restart.factor`, beside a word."""
    restart_maximum: Wait | None = None
    """`restart.maximum`, beside a word."""
    restart_jitter: Annotated[float, Field(ge=0, le=1)] | None = None
    """`restart.jitter`, beside a word."""
    restart_start_limit: Annotated[int, Field(ge=0)] | None = None
    """`restart.start_limit`, beside a word."""
    restart_start_window: Wait | None = None
    """`restart.start_window`, beside a word."""
    restart_reset_after: Duration | None = None
    """`restart.reset_after`, beside a word."""
    stop_signal: SignalName = "SIGTERM"
    """The signal that asks it to end."""
    stop_grace_period: Duration = 10.0
    """Seconds it has to end, before it is killed with all its children."""
    stop_command: Command | None = None
    """Run instead of sending the signal; MAINPID is in its environment."""
    limits: Limits = Limits()
    """What each instance may use."""
    ulimits: Annotated[dict[str, tuple[int, int]], BeforeValidator(rlimits)] = Field(default_factory=dict)
    """Resource limits of its processes, setrlimit(2): one number, or `{soft, hard}`."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Instances that run at the same time, `api-1`, `api-2`; 0: none. `blackhole scale` sets another."""
    scale: Annotated[Scale, BeforeValidator(section)] | None = None
    """The number of instances follows their load, within bounds. None: `replicas` run, until `blackhole scale`."""
    ports: list[Annotated[Port, BeforeValidator(port)]] = Field(default_factory=list)
    """TCP ports it listens on; checked before a start, so that whoever holds one can be named. Those of the first
    instance: each further one has the next, and finds it where `{port}` is written and in BLACKHOLE_PORT."""
    port_step: Annotated[int, Field(ge=0, le=10000)] = 1
    """By how much the ports of an instance lie above those of the one before; 0: all share them (SO_REUSEPORT)."""
    data: Texts = ()
    """Folders and files that a backup takes."""
    backup: ServiceBackup = ServiceBackup()
    """What it says of its own backups."""
    metrics: OwnUrl | None = None
    """URL of its own Prometheus text: asked every ten seconds for requests, errors and latency."""
    contract: SocketAddress | None = None
    """gRPC address where it speaks blackhole.service.v1: what `resources clear-cache`, `resources gc` and
    `restart --reload-config` ask."""
    endpoints: Endpoints = Endpoints()
    """How others are told where its instances can be reached; those that have `ports`."""
    reload_signal: SignalName | None = None
    """Makes it read its own configuration again; `restart --reload-config` sends it to what it does not restart."""
    profiles: list[Name] = Field(default_factory=list)
    """Where one of these is chosen (`--profile`, BLACKHOLE_PROFILES) the service is declared; empty: everywhere."""
    labels: Labels = Field(default_factory=dict)
    """Names and values for people. Checked only: this version does not act on it."""
    logging: ServiceLogging = ServiceLogging()
    """When its captured log is rotated, and how much goes into it."""

    def _rate_limit(self, logging: Logging) -> RateSpec:
        declared = self.logging.rate_limit or logging.rate_limit
        return declared.spec() if declared else RateSpec()

    def pressure_steps(self) -> tuple[str, ...]:
        """As declared, or what its contract can do."""
        if self.limits.on_pressure is not None:
            return tuple(self.limits.on_pressure)
        return ("clear-cache", "gc") if self.contract else ()

    def restart_spec(self) -> RestartSpec:
        """The policy with the delays that stand beside it."""
        beside = {key: getattr(self, f"restart_{key}") for key in BESIDE}
        return self.restart.model_copy(update={k: v for k, v in beside.items() if v is not None}).spec()

    def spec(
        self, own_name: str, base: Path, from_files: Mapping[str, str], logging: Logging, tuning: Mapping[str, str]
    ) -> ServiceSpec:
        """As a frozen value; relative paths begin at `base`, the configuration's folder."""
        return ServiceSpec(
            name=own_name,
            command=self.command or (),
            working_dir=absolute(self.working_dir, base) if self.working_dir else "",
            environment={**from_files, **self.environment},
            secrets={key: absolute(file, base) for key, file in self.secrets.items()},
            user=self.user,
            umask=self.umask,
            depends_on={key: item.condition for key, item in self.depends_on.items()},
            probe=self.healthcheck.spec(),
            restart=self.restart_spec(),
            stop=StopSpec(self.stop_signal, self.stop_grace_period, self.stop_command or ()),
            limits=self.limits.spec(),
            on_pressure=self.pressure_steps(),
            rlimits=self.ulimits,
            replicas=self.replicas,
            ports=tuple(self.ports),
            data=tuple(absolute(path, base) for path in self.data),
            metrics=self.metrics or "",
            contract=self.contract or "",
            reload_signal=self.reload_signal or "",
            rotate=(self.logging.rotate or logging.rotate).spec(),
            rate_limit=self._rate_limit(logging),
            labels=self.labels,
            tuning=tuning,
            port_step=self.port_step,
            endpoints=self.endpoints.spec(base),
            kind=self.kind,
            unit=self.unit or "",
            scope=self.scope if self.unit else "",
            container=self.container or "",
            engine=self.engine or "",
            scale=self.scale.spec() if self.scale else FIXED,
            backup=self.backup.spec(),
        )


def absolute(path: str, base: Path) -> str:
    """The path from the base, with `~` for the home of who reads this and without `..` where that is certain."""
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:  # a `~name` that is nobody's
        expanded = Path(path)
    return str(base / expanded)
