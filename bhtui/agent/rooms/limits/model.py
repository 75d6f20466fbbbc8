"""What holding a limit comes to on this host, and what the room needs of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.states import State

CGROUP2 = "cgroup v2"
CGROUP1 = "cgroup v1"
RLIMITS = "rlimits"
SCHEDULER = "scheduler"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a process of an instance must be given before it runs."""

    cgroups: tuple[str, ...] = ()
    """Folders of the groups to join, by writing the process into their `cgroup.procs`."""
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name in lower case (`data`) to soft and hard limit."""
    held_by: str = ""
    """What holds the declared limits: CGROUP2, CGROUP1, RLIMITS (several: joined by ` + `), or empty: nothing does."""
    not_held: Mapping[str, str] = field(default_factory=dict)
    """Each declared limit that is not held here, and why."""
    refused: tuple[str, ...] = ()
    """Those of them that could be held, had the kernel taken the value."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel has counted for one instance; None: it does not count that."""

    cpu_periods: float | None = None
    cpu_throttled: float | None = None
    cpu_throttled_seconds: float | None = None
    memory_hits: float | None = None
    oom_kills: float | None = None


class Running(Protocol):
    """An instance, as far as limits are concerned."""

    @property
    def name(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def spec(self) -> ServiceSpec: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def state(self) -> State: ...


class Held(Protocol):
    """How the limits of one instance are held."""

    @property
    def held_by(self) -> str: ...
    @property
    def not_held(self) -> Mapping[str, str]: ...
    @property
    def refused(self) -> tuple[str, ...]: ...


class Instances(Protocol):
    """What is declared and what runs, as the supervisor knows it."""

    @property
    def spec(self) -> Spec: ...
    @property
    def picture(self) -> Mapping[str, Running]: ...

    def names(self, wanted: tuple[str, ...] = ()) -> list[str]:
        """The instances of these services or of these names, or all. Raises NotFound."""

    def limits_held(self, instance: str, held_by: str, not_held: Mapping[str, str]) -> None:
        """The limits of a running instance were set anew."""

    async def hold(self, instance: str) -> Held | None:
        """Holds a unit or container to the limits in force, by its manager; None: it is a process of ours.

        Raises BlackholeError when the manager cannot be asked.
        """

    def held(self, instance: str) -> Held | None:
        """How the limits of a unit or container are held; None: nothing was set by this agent."""


class Sample(Protocol):
    """What an instance uses now."""

    @property
    def cpu_percent(self) -> float | None: ...
    @property
    def memory_bytes(self) -> int | None: ...
    @property
    def threads(self) -> int | None: ...
    @property
    def read_bytes_per_second(self) -> float | None: ...
    @property
    def write_bytes_per_second(self) -> float | None: ...


class Usage(Protocol):
    """Measures what instances use."""

    def of(self, instance: str) -> Sample | None: ...
