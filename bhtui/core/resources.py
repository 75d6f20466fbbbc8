"""What `resources` shows: the limits of each instance, what holds them, what is used, and what is near. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .units import format_size

NEAR = 0.9
"""Part of a limit from which on something is near it."""


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit or priority of one instance, as it holds now."""

    name: str
    """memory cpu pids iops bandwidth nice ionice"""
    amount: float | None = None
    """Bytes, cores, a number, operations or bytes a second; absent where it is a word."""
    word: str = ""
    """`idle`, `best-effort:4` (ionice)."""
    override_by: str = ""
    """Who set it at run time; empty: it is as declared."""
    override_ns: int = 0
    """When."""
    held_by: str = ""
    """`cgroup v2`, `cgroup v1`, `rlimits`, `scheduler`; empty: nothing does."""
    not_held: str = ""
    """What of it is not held here, and why; empty: all is."""


@dataclass(frozen=True, slots=True)
class DiskUse:
    """The file system below one of a service's paths."""

    path: str
    device: str
    """`254:0`; empty where it has none (tmpfs, NFS)."""
    total_bytes: int
    free_bytes: int
    """For those who are not root."""

    @property
    def used_part(self) -> float:
        """0 to 1."""
        return 1 - self.free_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class InstanceResources:
    """What one instance uses, and what it may. Unknown numbers are None, never 0."""

    service: str
    instance: str
    pid: int | None = None
    limits: tuple[LimitState, ...] = ()
    memory_bytes: int | None = None
    cpu_percent: float | None = None
    """Of one core."""
    threads: int | None = None
    fds: int | None = None
    """Open file descriptors of the process that is nearest to its limit."""
    fds_limit: int | None = None
    """What that process may have."""
    read_bytes_per_second: float | None = None
    write_bytes_per_second: float | None = None
    cpu_periods: int | None = None
    """Periods of 0.1 s in which it ran under its CPU limit."""
    cpu_throttled: int | None = None
    """How many of these it had to wait in."""
    cpu_throttled_seconds: float | None = None
    memory_hits: int | None = None
    """How often its memory was at the limit and some had to be taken back."""
    oom_kills: int | None = None
    """Processes that the kernel killed for want of memory since its groups were made."""
    disks: tuple[DiskUse, ...] = ()
    contract: str = ""
    """Where caches can be cleared and garbage collected; empty: nowhere."""
    on_pressure: tuple[str, ...] = ()

    def limit(self, name: str) -> LimitState | None:
        """The limit of that name, if there is one."""
        return next((each for each in self.limits if each.name == name), None)

    def amount(self, name: str) -> float | None:
        """The number of the limit of that name, if there is one."""
        found = self.limit(name)
        return found.amount if found else None


def findings(seen: InstanceResources) -> Iterator[tuple[str, str]]:
    """What is near its end: which resource, and a line about it."""
    yield from _near("memory", seen.memory_bytes, seen.amount("memory"), format_size)
    if seen.oom_kills:
        yield "oom", f"{seen.oom_kills} processes were killed for want of memory; raise its limit, or find the leak"
    cores = seen.amount("cpu")
    yield from _near("cpu", seen.cpu_percent, cores and cores * 100, lambda percent: f"{percent:.0f} %")
    yield from _near("pids", seen.threads, seen.amount("pids"), lambda count: f"{count:.0f}")
    yield from _near("fds", seen.fds, seen.fds_limit, lambda count: f"{count:.0f}")
    for disk in seen.disks:
        if disk.used_part >= NEAR:
            free = format_size(disk.free_bytes)
            yield "disk", f"the disk of {disk.path} is {disk.used_part:.0%} full, {free} are free"


def _near(
    name: str, used: float | None, limit: float | None, text: Callable[[float], str]
) -> Iterator[tuple[str, str]]:
    if used is not None and limit and used >= NEAR * limit:
        yield name, f"{text(used)} of {text(limit)} are used ({used / limit:.0%})"
