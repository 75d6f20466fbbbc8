"""Limits of a service as properties of its unit. Pure, but for looking whether the kernel has what holds them.

systemd.resource-control(5); the properties are those of `systemctl set-property`, in D-Bus's own units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.core.spec import LimitsSpec

HELD_BY = "systemd unit properties"
HIGH = 0.95
"""As for our own processes: from this part of the memory limit on the kernel slows it down."""
FOREVER = 2**64 - 1
CONTROLLER_FILES = {
    "memory": "memory.max",
    "cpu": "cpu.max",
    "pids": "pids.max",
    "iops": "io.max",
    "bandwidth": "io.max",
}
"""What of cgroup v2 holds which limit."""
SIGNATURES = {
    "MemoryMax": "t",
    "MemoryHigh": "t",
    "MemorySwapMax": "t",
    "CPUQuotaPerSecUSec": "t",
    "TasksMax": "t",
    "IOReadIOPSMax": "a(st)",
    "IOWriteIOPSMax": "a(st)",
    "IOReadBandwidthMax": "a(st)",
    "IOWriteBandwidthMax": "a(st)",
}
PROPERTIES = {
    "memory": ("MemoryMax", "MemoryHigh", "MemorySwapMax"),
    "cpu": ("CPUQuotaPerSecUSec",),
    "pids": ("TasksMax",),
    "iops": ("IOReadIOPSMax", "IOWriteIOPSMax"),
    "bandwidth": ("IOReadBandwidthMax", "IOWriteBandwidthMax"),
}
"""The properties of each limit of ours."""
Value = Any


def wanted(limits: LimitsSpec, paths: Sequence[str]) -> dict[str, dict[str, Value]]:
    """By limit: its properties and their values; only what is limited."""
    found: dict[str, dict[str, Value]] = {}
    if limits.memory is not None:
        found["memory"] = {"MemoryMax": limits.memory, "MemoryHigh": round(limits.memory * HIGH), "MemorySwapMax": 0}
    if limits.cpu is not None:
        found["cpu"] = {"CPUQuotaPerSecUSec": max(1000, round(limits.cpu * 1_000_000))}
    if limits.pids is not None:
        found["pids"] = {"TasksMax": limits.pids}
    for name in ("iops", "bandwidth"):
        if (amount := getattr(limits, name)) is not None:
            found[name] = {each: [[path, amount] for path in paths] for each in PROPERTIES[name]}
    return found


def lifted(limits: LimitsSpec, before: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """By limit: what is to be put back of what was there before it was set here."""
    return {
        name: {each: before[each] for each in properties if each in before}
        for name, properties in PROPERTIES.items()
        if getattr(limits, name) is None and any(each in before for each in properties)
    }


def to_bus(values: Mapping[str, Value]) -> list[tuple[str, tuple[str, Value]]]:
    """As SetUnitProperties takes them. A list adds to what is there, so an empty one goes before it."""
    found: list[tuple[str, tuple[str, Value]]] = []
    for name, value in values.items():
        if SIGNATURES[name] == "t":
            found.append((name, ("t", value)))
            continue
        found.append((name, ("a(st)", [])))
        if value:
            found.append((name, ("a(st)", [(path, amount) for path, amount in value])))
    return found


def before(name: str, value: Any) -> Value:
    """What is to be put back later, as JSON values; None: systemd does not tell, so it was without a limit."""
    if SIGNATURES[name] == "t":
        return FOREVER if value is None else value
    return [list(each) for each in value or ()]


def without_controller(names: Iterable[str], group: Path, scope: str) -> dict[str, str]:
    """Which of these limits the kernel cannot hold in this group of cgroup v2, and why."""
    whose = " given to this user's systemd" if scope == "user" else " there"
    return {
        name: f"the {CONTROLLER_FILES[name].partition('.')[0]} controller is not{whose}"
        for name in names
        if not (group / CONTROLLER_FILES[name]).exists()
    }
