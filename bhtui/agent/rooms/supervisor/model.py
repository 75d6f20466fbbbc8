"""What the supervisor needs of others, and the values that pass between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bhtui.agent.command import Here
from bhtui.agent.keeper import KeptProcess, Killed, LogSpec, SpawnRequest
from bhtui.agent.memory import Overrides
from bhtui.core.spec import LimitsSpec, ProbeSpec, ServiceSpec, Spec
from bhtui.core.states import Health

Text = TypeVar("Text", bound="ConfigText")


class Verdict(Protocol):
    """What the probes of an instance say, thresholds applied."""

    @property
    def health(self) -> Health: ...
    @property
    def detail(self) -> str: ...


class HealthProbes(Protocol):
    """Finds out how instances are."""

    def watch(
        self,
        instance: str,
        probe: ProbeSpec,
        on_result: Callable[[Verdict], None],
        pid: int,
        log_path: Path,
        here: Here,
        *,
        starting: bool = True,
        since_ns: int = 0,
    ) -> None:
        """Probes it from now on; calls back at each change. `starting`: often, until it is well for the first time.

        `here` says how its commands run.
        """

    def forget(self, instance: str) -> None:
        """Probes it no more."""

    async def check(self, instance: str) -> Verdict:
        """Probes it now, whatever its interval. Raises NotFound when it is not watched."""


class Prepared(Protocol):
    """Where the limits of an instance are held."""

    @property
    def cgroups(self) -> tuple[str, ...]: ...
    @property
    def rlimits(self) -> Mapping[str, tuple[int, int]]: ...
    @property
    def held_by(self) -> str: ...
    @property
    def not_held(self) -> Mapping[str, str]: ...
    @property
    def refused(self) -> Sequence[str]:
        """Those of them that could be held, had the kernel taken the value."""


class Limits(Protocol):
    """Holds instances to their limits."""

    @property
    def effective(self) -> Callable[[ServiceSpec], ServiceSpec]:
        """A declared service with the limits that hold, those set at run time included."""

    def prepare(self, instance: str, limits: LimitsSpec, paths: Sequence[str] = ()) -> Prepared:
        """Makes what holds the limits, before the process starts. Raises BlackholeError.

        `paths` are on the disks that limits on disks mean.
        """

    def holder(self, name: str) -> tuple[str, str]:
        """What holds a limit on this host, or empty and why nothing does."""

    def prioritise(self, instance: str, pid: int, limits: LimitsSpec) -> Mapping[str, str]:
        """Gives the tree of a running instance its nice and ionice; what was not set, and why."""

    def remove(self, instance: str) -> None:
        """The instance has no process any more."""

    def follow(self, instance: str, cgroup: str) -> None:
        """The instance is in a group that others made (`/system.slice/nginx.service`); empty: in none any more."""

    def oom_kills(self, instance: str) -> int:
        """How many of its processes the kernel has killed for want of memory."""


class Sample(Protocol):
    """What an instance uses now."""

    @property
    def cpu_percent(self) -> float | None: ...
    @property
    def memory_bytes(self) -> int | None: ...
    @property
    def threads(self) -> int | None: ...
    @property
    def fds(self) -> int | None: ...


class Usage(Protocol):
    """Measures what instances use."""

    def of(self, instance: str) -> Sample | None: ...
    def track(self, instance: str, pid: int) -> None: ...
    def forget(self, instance: str) -> None: ...


class Records(Overrides, Protocol):
    """The tables of instances and of overrides: what must outlive the agent."""

    def save_instance(self, name: str, record: Mapping[str, Any]) -> None: ...
    def load_instances(self) -> Mapping[str, Mapping[str, Any]]: ...
    def delete_instance(self, name: str) -> None: ...


class ConfigText(Protocol):
    """A configuration as it was written, and where."""

    @property
    def yaml(self) -> str: ...
    @property
    def path(self) -> str: ...


class Config(Protocol[Text]):
    """The configuration in force, and others to be put in its place."""

    @property
    def spec(self) -> Spec: ...
    @property
    def text(self) -> Text: ...

    def candidate(self, yaml: str, path: str) -> tuple[Spec, Text]:
        """Another configuration, checked; empty text: the file is read. Raises ConfigError, NotFound."""

    def changed_on_disk(self) -> tuple[Spec, Text] | None:
        """The file as it is now, if that is another configuration. Raises ConfigError; NotFound: it is gone."""

    def adopt(self, spec: Spec, text: Text) -> None:
        """Puts a checked one in force, for good."""


class Keeper(Protocol):
    """The parent of the processes, `bhtui.agent.keeper.Keeper`. Every method raises KeeperError in words for people."""

    boot_id: str
    held: bool
    """Whether it starts nothing since an emergency stop."""

    async def spawn(self, request: SpawnRequest) -> KeptProcess: ...
    async def signal(self, key: str, number: int) -> None: ...
    async def bound(self, key: str, log: LogSpec) -> None:
        """Other bounds for the log of a process."""

    async def kill(self, key: str) -> Killed:
        """Kills the whole tree."""

    async def list(self) -> Sequence[KeptProcess]: ...
    async def forget(self, key: str) -> None: ...
    async def emergency(self) -> Killed:
        """Kills everything at once, and holds it down."""

    async def resume(self) -> None: ...


Tail = Callable[[Path, int, int], Awaitable[tuple[str, ...]]]
"""The last `n` lines of a log that are not older than a time in nanoseconds."""
