"""Sets the limits of one group in each cgroup v1 hierarchy.

https://docs.kernel.org/admin-guide/cgroup-v1/memory.html and the files beside it
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from bhtui.core.spec import LimitsSpec

from . import fs
from .cgroup2 import LEAST_QUOTA_US, PERIOD_US
from .model import Counters

NONE = -1
WEIGHTS = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501,
    1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
"""Shares of the processor that the kernel gives to nice -20 to 19 (kernel/sched/core.c, sched_prio_to_weight)."""


def set_memory(group: Path, limits: LimitsSpec) -> None:
    """Bytes of memory; what is beyond may not go to swap either. Raises OSError."""
    amount = NONE if limits.memory is None else limits.memory
    files = [group / "memory.limit_in_bytes"]
    if (swap := group / "memory.memsw.limit_in_bytes").exists():
        files.append(swap)
    # Memory must never exceed memory and swap together: a limit is raised from the second file, lowered from the first.
    try:
        _write_all(files, amount)
    except OSError:
        _write_all(files[::-1], amount)


def _write_all(files: list[Path], amount: int) -> None:
    for file in files:
        fs.write(file, amount)


def set_cpu(group: Path, limits: LimitsSpec) -> None:
    """Cores. Raises OSError."""
    fs.write(group / "cpu.cfs_period_us", PERIOD_US)
    quota = NONE if limits.cpu is None else max(LEAST_QUOTA_US, round(limits.cpu * PERIOD_US))
    fs.write(group / "cpu.cfs_quota_us", quota)


def set_weight(group: Path, limits: LimitsSpec) -> None:
    """What nice means between groups: within one it only orders its own threads. Raises OSError."""
    fs.write(group / "cpu.shares", WEIGHTS[(limits.nice or 0) + 20])


def set_pids(group: Path, limits: LimitsSpec) -> None:
    """Processes and threads together. Raises OSError."""
    fs.write(group / "pids.max", "max" if limits.pids is None else limits.pids)


def set_iops(group: Path, limits: LimitsSpec, devices: Collection[str]) -> None:
    """Operations a second on each of the devices (`254:0`), none on others. Raises OSError."""
    for file in ("read_iops_device", "write_iops_device"):
        _throttle(group / f"blkio.throttle.{file}", devices, limits.iops)


def set_bandwidth(group: Path, limits: LimitsSpec, devices: Collection[str]) -> None:
    """Bytes a second on each of the devices, none on others. Raises OSError."""
    for file in ("read_bps_device", "write_bps_device"):
        _throttle(group / f"blkio.throttle.{file}", devices, limits.bandwidth)


def _throttle(file: Path, devices: Collection[str], amount: int | None) -> None:
    wanted = set() if amount is None else set(devices)
    limited = {line.split()[0] for line in fs.read(file).splitlines() if line.strip()}
    for device in sorted(limited | wanted):
        fs.write(file, f"{device} {amount if device in wanted else 0}")  # 0: no limit


def counters(groups: Mapping[str, Path]) -> Counters:
    """What the kernel has counted in the groups of one instance, by controller."""
    none = Path("/nowhere")
    cpu, memory = groups.get("cpu", none) / "cpu.stat", groups.get("memory", none)
    counts = [fs.read(memory / name).strip() for name in ("memory.failcnt", "memory.memsw.failcnt")]
    kills = fs.find(memory / "memory.oom_control", "oom_kill")
    # Some kernels count none of the hits that ended in a kill.
    hits = [float(count) for count in counts if count.isdigit()]
    return Counters(
        fs.find(cpu, "nr_periods"),
        fs.find(cpu, "nr_throttled"),
        fs.find(cpu, "throttled_time", 1e-9),
        max(sum(hits), kills or 0.0) if hits else None,
        kills,
    )


def oom_kills(group: Path) -> int:
    """How many processes in the group the kernel has killed for want of memory (Linux 4.13 and newer)."""
    return fs.value(group / "memory.oom_control", "oom_kill")


SETTERS = {"memory": set_memory, "cpu": set_cpu, "pids": set_pids}
DEVICE_SETTERS = {"iops": set_iops, "bandwidth": set_bandwidth}
CONTROLLERS = {"memory": "memory", "cpu": "cpu", "pids": "pids", "iops": "blkio", "bandwidth": "blkio"}
"""What of the kernel holds which limit."""
UNHELD_WRITES = "writes through the page cache, which cgroup v1 counts for nobody (reads and direct writes are held)"
"""What a limit on a disk does not hold here (cgroup-v1/blkio-controller.html, "buffered writes")."""
