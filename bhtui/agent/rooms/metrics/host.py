"""Measures the host: processors, memory, load, the disk of the agent's state (proc(5), statvfs(3), os-release(5))."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from . import procfs


@dataclass(frozen=True, slots=True)
class HostReading:
    """The host at one moment."""

    busy_ticks: int = 0
    total_ticks: int = 0
    """Of all processors since boot."""
    load1: float = 0.0
    uptime_seconds: float = 0.0
    memory_used_bytes: int = 0
    """What is not available to new programs without swapping."""
    memory_total_bytes: int = 0
    disk_used_percent: float = 0.0
    """As df counts: of the space that is not reserved for root."""


def measure(folder: Path) -> HostReading:
    """Reads everything once."""
    busy, total = _processors(procfs.read("/proc/stat"))
    memory_total, available = _memory(procfs.read("/proc/meminfo"))
    uptime = procfs.read("/proc/uptime").split()
    load = procfs.read("/proc/loadavg").split()
    return HostReading(
        busy,
        total,
        float(load[0]) if load else 0.0,
        float(uptime[0]) if uptime else 0.0,
        memory_total - available,
        memory_total,
        _disk_percent(folder),
    )


def cpu_percent(before: HostReading, after: HostReading) -> float | None:
    """Of all processors together, 0 to 100, between two readings; None when no time has passed."""
    total = after.total_ticks - before.total_ticks
    return None if total <= 0 else min(100.0, max(0.0, 100 * (after.busy_ticks - before.busy_ticks) / total))


def os_name() -> str:
    """`Debian GNU/Linux 12 (bookworm)`."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _processors(text: bytes) -> tuple[int, int]:
    """Busy and all ticks. user nice system idle iowait irq softirq steal; guest time is in user already."""
    numbers = [int(field) for field in text.partition(b"\n")[0].split()[1:9]]
    return (sum(numbers) - sum(numbers[3:5]), sum(numbers)) if numbers else (0, 0)


def _memory(text: bytes) -> tuple[int, int]:
    """Total and available bytes."""
    values = {line.split()[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if len(line.split()) > 1}
    return values.get(b"MemTotal:", 0), values.get(b"MemAvailable:", values.get(b"MemFree:", 0))


def _disk_percent(folder: Path) -> float:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    space = os.statvfs(folder)
    used = space.f_blocks - space.f_bfree
    usable = used + space.f_bavail
    return 100 * used / usable if usable else 0.0
