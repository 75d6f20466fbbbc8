"""Measures the host: processors, memory, load, disks, network, pressure (proc(5), statvfs(3), os-release(5))."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from . import procfs
from .model import HostSample

PRESSURES = ("cpu", "memory", "io")
_WHOLE_DISK = re.compile(r"(?:[shv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+|pmem\d+|dasd[a-z]+)")


@dataclass(frozen=True, slots=True)
class HostReading:
    """The counters of the host at one moment."""

    time_ns: int = 0
    """Monotonic."""
    busy_ticks: int = 0
    total_ticks: int = 0
    """Of all processors since boot."""
    load1: float = 0.0
    uptime_seconds: float = 0.0
    memory_used_bytes: int = 0
    """What is not available to new programs without swapping."""
    memory_total_bytes: int = 0
    swap_used_bytes: int = 0
    disk_used_percent: float = 0.0
    """As df counts: of the space that is not reserved for root."""
    disk_bytes: tuple[int, int] | None = None
    """Read and written, by all disks since boot."""
    network_bytes: tuple[int, int] | None = None
    """Received and sent, by all interfaces but loopback."""
    stalled_us: tuple[int | None, ...] = (None, None, None)
    """Microseconds in which something waited for processor, memory, storage."""


def measure(folder: Path) -> HostReading:
    """Reads everything once."""
    busy, total = _processors(procfs.read("/proc/stat"))
    memory = _memory(procfs.read("/proc/meminfo"))
    uptime = procfs.read("/proc/uptime").split()
    load = procfs.read("/proc/loadavg").split()
    return HostReading(
        time_ns=time.monotonic_ns(),
        busy_ticks=busy,
        total_ticks=total,
        load1=float(load[0]) if load else 0.0,
        uptime_seconds=float(uptime[0]) if uptime else 0.0,
        memory_used_bytes=memory.total - memory.available,
        memory_total_bytes=memory.total,
        swap_used_bytes=memory.swap_used,
        disk_used_percent=_disk_percent(folder),
        disk_bytes=disk_bytes(procfs.read("/proc/diskstats").decode()),
        network_bytes=network_bytes(procfs.read("/proc/net/dev").decode()),
        stalled_us=tuple(stalled_us(procfs.read(f"/proc/pressure/{what}")) for what in PRESSURES),
    )


def sample(before: HostReading, after: HostReading) -> HostSample:
    """What the host used between two readings; without a first one, what one alone tells."""
    seconds = (after.time_ns - before.time_ns) / 1e9 if before.total_ticks else 0.0
    reads, writes = _rates(before.disk_bytes, after.disk_bytes, seconds)
    receives, sends = _rates(before.network_bytes, after.network_bytes, seconds)
    waits = (_percent(old, new, seconds) for old, new in zip(before.stalled_us, after.stalled_us, strict=True))
    return HostSample(
        cpu_percent(before, after) if before.total_ticks else None,
        after.memory_used_bytes,
        after.load1,
        after.swap_used_bytes,
        after.disk_used_percent,
        reads,
        writes,
        receives,
        sends,
        *waits,
    )


def cpu_percent(before: HostReading, after: HostReading) -> float | None:
    """Of all processors together, 0 to 100, between two readings; None when no time has passed."""
    total = after.total_ticks - before.total_ticks
    return None if total <= 0 else min(100.0, max(0.0, 100 * (after.busy_ticks - before.busy_ticks) / total))


def stalled_us(text: bytes) -> int | None:
    """Microseconds since boot of the line `some` of a pressure file
    (https://docs.kernel.org/accounting/psi.html); None when there is none."""
    first = text.partition(b"\n")[0]
    total = first.rpartition(b"total=")[2]
    return int(total) if first.startswith(b"some ") and total.isdigit() else None


def disk_bytes(text: str) -> tuple[int, int] | None:
    """Read and written by whole disks, from /proc/diskstats: its sectors have 512 bytes, and what lies on top of
    others (partitions, device mapper, md, loop) is left out, or it would count twice."""
    found: list[tuple[int, int]] = []
    for fields in map(str.split, text.splitlines()):
        name = fields[2] if len(fields) > 9 else ""
        if _WHOLE_DISK.fullmatch(name):
            found.append((int(fields[5]) * 512, int(fields[9]) * 512))
    return _sums(found)


def network_bytes(text: str) -> tuple[int, int] | None:
    """Received and sent by all interfaces but loopback, from /proc/net/dev."""
    rows = [line.partition(":") for line in text.splitlines()[2:]]
    split = [(name.strip(), numbers.split()) for name, _, numbers in rows]
    return _sums([(int(numbers[0]), int(numbers[8])) for name, numbers in split if name != "lo" and len(numbers) > 8])


def _sums(found: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    return (sum(each[0] for each in found), sum(each[1] for each in found)) if found else None


def _rates(
    before: tuple[int, int] | None, after: tuple[int, int] | None, seconds: float
) -> tuple[float | None, float | None]:
    """Growth a second; a counter that fell (a disk was taken away) is not known this time."""
    if before is None or after is None or seconds <= 0 or after[0] < before[0] or after[1] < before[1]:
        return None, None
    return (after[0] - before[0]) / seconds, (after[1] - before[1]) / seconds


def _percent(before: int | None, after: int | None, seconds: float) -> float | None:
    if before is None or after is None or seconds <= 0:
        return None
    return min(100.0, max(0.0, (after - before) / 1e6 / seconds * 100))


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


class _Memory(NamedTuple):
    total: int
    available: int
    swap_used: int


def _memory(text: bytes) -> _Memory:
    """Bytes."""
    values = {line.split()[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if len(line.split()) > 1}
    available = values.get(b"MemAvailable:", values.get(b"MemFree:", 0))
    return _Memory(values.get(b"MemTotal:", 0), available, values.get(b"SwapTotal:", 0) - values.get(b"SwapFree:", 0))


def _disk_percent(folder: Path) -> float:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    space = os.statvfs(folder)
    used = space.f_blocks - space.f_bfree
    usable = used + space.f_bavail
    return 100 * used / usable if usable else 0.0
