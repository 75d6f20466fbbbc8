"""Sets the limits of one cgroup v2 group.

https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

from pathlib import Path

from bhtui.core.spec import LimitsSpec

from . import fs

PERIOD_US = 100_000
LEAST_QUOTA_US = 1000
"""The kernel takes no less."""


def set_memory(group: Path, limits: LimitsSpec) -> None:
    """Bytes of memory; what is beyond may not go to swap either. Raises OSError."""
    fs.write(group / "memory.max", "max" if limits.memory is None else limits.memory)
    swap = group / "memory.swap.max"
    if swap.exists():
        fs.write(swap, "max" if limits.memory is None else 0)


def set_cpu(group: Path, limits: LimitsSpec) -> None:
    """Cores. Raises OSError."""
    quota = "max" if limits.cpu is None else max(LEAST_QUOTA_US, round(limits.cpu * PERIOD_US))
    fs.write(group / "cpu.max", f"{quota} {PERIOD_US}")


def set_pids(group: Path, limits: LimitsSpec) -> None:
    """Processes and threads together. Raises OSError."""
    fs.write(group / "pids.max", "max" if limits.pids is None else limits.pids)


def oom_kills(group: Path) -> int:
    """How many processes in the group the kernel has killed for want of memory."""
    return fs.value(group / "memory.events", "oom_kill")


SETTERS = {"memory": set_memory, "cpu": set_cpu, "pids": set_pids}
