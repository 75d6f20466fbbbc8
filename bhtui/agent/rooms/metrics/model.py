"""What is measured, and how it is handed out."""

from __future__ import annotations

from dataclasses import dataclass

METRICS = ("cpu_percent", "memory_bytes", "threads", "fds", "read_bytes_per_second", "write_bytes_per_second")
"""Of an instance, in the order of `Sample`. Of the host: cpu_percent and memory_bytes."""

HOST = "host"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the whole tree of an instance uses at one moment. Unknown numbers are None, never 0."""

    cpu_percent: float | None = None
    """Of one core, since the sample before; None in the first one."""
    memory_bytes: int | None = None
    """With a cgroup its working set (all it holds but file cache that can be dropped), else the sum of RSS."""
    threads: int | None = None
    """Of all its processes together."""
    fds: int | None = None
    """Open file descriptors of all its processes together."""
    read_bytes_per_second: float | None = None
    """From storage, not from the cache."""
    write_bytes_per_second: float | None = None
    """To storage; what is in the cache still is not counted."""


def service_of(instance: str) -> str:
    """The service of an instance: `api` of `api-1`. The host is its own."""
    return instance.rpartition("-")[0] or instance
