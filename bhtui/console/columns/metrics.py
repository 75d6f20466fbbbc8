"""What graphs show of each metric, as data: its name for people, and how its scale begins; and sets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bhtui.core.measure import shown

_MEGA = 1024.0 * 1024


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is shown."""

    name: str
    label: str
    binary: bool = False
    least: float = 1.0
    """The smallest top of its scale."""

    def show(self, value: float) -> str:
        """A value with its unit."""
        return shown(self.name, value)

    def full(self, limit: float | None) -> float | None:
        """As much as there can be: the limit, or all of a percentage; None: no value is too much by itself."""
        return limit or (100.0 if self.name.endswith("_percent") else None)


METRICS = (
    Metric("cpu_percent", "cpu", least=5.0),
    Metric("memory_bytes", "memory", binary=True, least=_MEGA),
    Metric("requests_per_second", "requests", least=1.0),
    Metric("errors_per_second", "errors", least=0.1),
    Metric("latency_p95_seconds", "latency p95", least=0.01),
    Metric("receive_bytes_per_second", "received", binary=True, least=1024.0),
    Metric("send_bytes_per_second", "sent", binary=True, least=1024.0),
    Metric("read_bytes_per_second", "read", binary=True, least=1024.0),
    Metric("write_bytes_per_second", "write", binary=True, least=1024.0),
    Metric("throttled_percent", "throttled", least=5.0),
    Metric("pressure_cpu_percent", "waits for cpu", least=5.0),
    Metric("pressure_memory_percent", "waits for memory", least=5.0),
    Metric("pressure_io_percent", "waits for disk", least=5.0),
    Metric("load1", "load", least=1.0),
    Metric("disk_used_percent", "disk used", least=5.0),
    Metric("swap_bytes", "swap", binary=True, least=_MEGA),
    Metric("threads", "threads", least=4.0),
    Metric("fds", "files open", least=8.0),
)
"""In the order of the graph pane."""

MORE = (
    Metric("rss_bytes", "rss", binary=True, least=_MEGA),
    Metric("pss_bytes", "pss", binary=True, least=_MEGA),
    Metric("oom_kills", "killed for memory", least=1.0),
    Metric("latency_p50_seconds", "latency p50", least=0.01),
    Metric("latency_p99_seconds", "latency p99", least=0.01),
)
"""What the graph screen has besides."""

BY_NAME: Mapping[str, Metric] = {one.name: one for one in (*METRICS, *MORE)}

SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("overview", (
        "cpu_percent", "memory_bytes", "requests_per_second", "errors_per_second", "latency_p95_seconds", "load1",
        "disk_used_percent", "read_bytes_per_second", "write_bytes_per_second", "receive_bytes_per_second",
        "send_bytes_per_second",
    )),
    ("cpu", ("cpu_percent", "throttled_percent", "pressure_cpu_percent", "load1", "threads")),
    ("memory", ("memory_bytes", "rss_bytes", "pss_bytes", "swap_bytes", "pressure_memory_percent", "oom_kills")),
    ("disk and network", (
        "read_bytes_per_second", "write_bytes_per_second", "pressure_io_percent", "disk_used_percent",
        "receive_bytes_per_second", "send_bytes_per_second", "fds",
    )),
    ("requests", (
        "requests_per_second", "errors_per_second", "latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds",
    )),
    ("everything", tuple(BY_NAME)),
)  # fmt: skip
"""Names of sets, and what is in each."""
