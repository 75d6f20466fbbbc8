"""Sets the limits of one group in each cgroup v1 hierarchy.

https://docs.kernel.org/admin-guide/cgroup-v1/memory.html and the files beside it
"""

from __future__ import annotations

from pathlib import Path

from bhtui.core.spec import LimitsSpec

from . import fs
from .cgroup2 import LEAST_QUOTA_US, PERIOD_US

NONE = -1


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


def set_pids(group: Path, limits: LimitsSpec) -> None:
    """Processes and threads together. Raises OSError."""
    fs.write(group / "pids.max", "max" if limits.pids is None else limits.pids)


def oom_kills(group: Path) -> int:
    """How many processes in the group the kernel has killed for want of memory (Linux 4.13 and newer)."""
    return fs.value(group / "memory.oom_control", "oom_kill")


SETTERS = {"memory": set_memory, "cpu": set_cpu, "pids": set_pids}
