"""Sets the limits of one cgroup v2 group.

https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bhtui.core.spec import LimitsSpec

from . import fs
from .model import Counters

PERIOD_US = 100_000
LEAST_QUOTA_US = 1000
"""The kernel takes no less."""


HIGH = 0.95
"""Part of the memory limit from which on the kernel slows an instance down and takes back what it can: above the part
at which the agent acts (0.9), below the one at which processes are killed.
"""


def set_memory(group: Path, limits: LimitsSpec) -> None:
    """Bytes of memory; what is beyond may not go to swap either. Raises OSError."""
    fs.write(group / "memory.high", "max" if limits.memory is None else round(limits.memory * HIGH))
    fs.write(group / "memory.max", "max" if limits.memory is None else limits.memory)
    swap = group / "memory.swap.max"
    if swap.exists():
        fs.write(swap, "max" if limits.memory is None else 0)


def set_cpu(group: Path, limits: LimitsSpec) -> None:
    """Cores. Raises OSError."""
    quota = "max" if limits.cpu is None else max(LEAST_QUOTA_US, round(limits.cpu * PERIOD_US))
    fs.write(group / "cpu.max", f"{quota} {PERIOD_US}")


def set_weight(group: Path, limits: LimitsSpec) -> None:
    """What nice means between groups: within one it only orders its own threads. Raises OSError."""
    fs.write(group / "cpu.weight.nice", limits.nice or 0)


def set_pids(group: Path, limits: LimitsSpec) -> None:
    """Processes and threads together. Raises OSError."""
    fs.write(group / "pids.max", "max" if limits.pids is None else limits.pids)


def set_iops(group: Path, limits: LimitsSpec, devices: Collection[str]) -> None:
    """Operations a second on each of the devices (`254:0`), none on others. Raises OSError."""
    _set_io(group, devices, limits.iops, "riops", "wiops")


def set_bandwidth(group: Path, limits: LimitsSpec, devices: Collection[str]) -> None:
    """Bytes a second on each of the devices, none on others. Raises OSError."""
    _set_io(group, devices, limits.bandwidth, "rbps", "wbps")


def _set_io(group: Path, devices: Collection[str], amount: int | None, *keys: str) -> None:
    file = group / "io.max"
    wanted = set() if amount is None else set(devices)
    limited = {line.split()[0] for line in fs.read(file).splitlines() if line.strip()}
    for device in sorted(limited | wanted):
        value = amount if device in wanted else "max"
        fs.write(file, " ".join((device, *(f"{key}={value}" for key in keys))))


def counters(group: Path) -> Counters:
    """What the kernel has counted."""
    cpu, memory = group / "cpu.stat", group / "memory.events"
    return Counters(
        fs.find(cpu, "nr_periods"),
        fs.find(cpu, "nr_throttled"),
        fs.find(cpu, "throttled_usec", 1e-6),
        _sum(fs.find(memory, "high"), fs.find(memory, "max")),
        fs.find(memory, "oom_kill"),
    )


def _sum(*numbers: float | None) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def oom_kills(group: Path) -> int:
    """How many processes in the group the kernel has killed for want of memory."""
    return fs.value(group / "memory.events", "oom_kill")


SETTERS = {"memory": set_memory, "cpu": set_cpu, "pids": set_pids}
DEVICE_SETTERS = {"iops": set_iops, "bandwidth": set_bandwidth}
CONTROLLERS = {"memory": "memory", "cpu": "cpu", "pids": "pids", "iops": "io", "bandwidth": "io"}
"""What of the kernel holds which limit."""
