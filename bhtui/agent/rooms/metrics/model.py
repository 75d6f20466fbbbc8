"""What is measured, and how it is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

HOST = "host"
Row = tuple[tuple[str, ...], float]
"""The values of its labels, and the value, of one series."""
Fold = Callable[[Iterable[float]], float]


class Metric(NamedTuple):
    """One thing that is measured."""

    help: str
    fold: Fold = sum
    """What several instances of a service come to together."""


INSTANCE_METRICS: Mapping[str, Metric] = {
    "cpu_percent": Metric("Processor time, in percent of one core."),
    "memory_bytes": Metric("Memory that cannot be dropped: the working set of the group, else the sum of RSS."),
    "threads": Metric("Threads of all its processes."),
    "fds": Metric("Open file descriptors of all its processes."),
    "read_bytes_per_second": Metric("Read from storage, not from the cache."),
    "write_bytes_per_second": Metric("Written to storage; what is still in the cache is not counted."),
    "throttled_percent": Metric("Part of the time in which it had to wait for its processor limit.", max),
    "oom_kills": Metric("Processes that the kernel has killed for want of memory since its group was made."),
    "pressure_cpu_percent": Metric("Part of the time in which some of it waited for a processor (PSI).", max),
    "pressure_memory_percent": Metric("Part of the time in which some of it waited for memory (PSI).", max),
    "pressure_io_percent": Metric("Part of the time in which some of it waited for storage (PSI).", max),
    "rss_bytes": Metric("Resident memory of all its processes; what they share counts in each."),
    "pss_bytes": Metric(
        "The same with what is shared divided among those who share it, every ten seconds, up to 1 GiB."
    ),
}
"""Of an instance, in the order of `Sample`. Pressure needs cgroup v2."""

HOST_METRICS: Mapping[str, Metric] = {
    "cpu_percent": Metric("Processor time, in percent of all processors together."),
    "memory_bytes": Metric("Memory that is not available to new programs without swapping."),
    "load1": Metric("Load average of one minute."),
    "swap_bytes": Metric("Swap space in use."),
    "disk_used_percent": Metric("Of the file system that holds the agent's state."),
    "read_bytes_per_second": Metric("Read from all disks."),
    "write_bytes_per_second": Metric("Written to all disks."),
    "receive_bytes_per_second": Metric("Received from the network, without loopback."),
    "send_bytes_per_second": Metric("Sent to the network, without loopback."),
    "pressure_cpu_percent": Metric("Part of the time in which something waited for a processor (PSI)."),
    "pressure_memory_percent": Metric("Part of the time in which something waited for memory (PSI)."),
    "pressure_io_percent": Metric("Part of the time in which something waited for storage (PSI)."),
}
"""Of the host, in the order of `HostSample`."""

SERVED_METRICS: Mapping[str, Metric] = {
    "requests_per_second": Metric("Requests it has served, as it says itself."),
    "errors_per_second": Metric("Those that failed by its own fault: HTTP 5xx, gRPC Internal and the like."),
    "latency_p50_seconds": Metric("Half of its requests took no longer.", max),
    "latency_p95_seconds": Metric("95 of 100 took no longer.", max),
    "latency_p99_seconds": Metric("99 of 100 took no longer.", max),
}
"""Of an instance that serves Prometheus' text at its `metrics` address, every ten seconds."""

METRICS = tuple(dict.fromkeys((*INSTANCE_METRICS, *SERVED_METRICS, *HOST_METRICS)))
"""Everything that can be asked for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the whole tree of an instance uses at one moment: INSTANCE_METRICS. Unknown numbers are None, never 0."""

    cpu_percent: float | None = None
    """None in the first one, as all that is since the sample before."""
    memory_bytes: int | None = None
    threads: int | None = None
    fds: int | None = None
    read_bytes_per_second: float | None = None
    write_bytes_per_second: float | None = None
    throttled_percent: float | None = None
    oom_kills: int | None = None
    pressure_cpu_percent: float | None = None
    pressure_memory_percent: float | None = None
    pressure_io_percent: float | None = None
    rss_bytes: int | None = None
    pss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HostSample:
    """The host at one moment: HOST_METRICS. Unknown numbers are None."""

    cpu_percent: float | None = None
    memory_bytes: int | None = None
    load1: float | None = None
    swap_bytes: int | None = None
    disk_used_percent: float | None = None
    read_bytes_per_second: float | None = None
    write_bytes_per_second: float | None = None
    receive_bytes_per_second: float | None = None
    send_bytes_per_second: float | None = None
    pressure_cpu_percent: float | None = None
    pressure_memory_percent: float | None = None
    pressure_io_percent: float | None = None


def service_of(instance: str) -> str:
    """The service of an instance: `api` of `api-1`. The host is its own."""
    return instance.rpartition("-")[0] or instance
