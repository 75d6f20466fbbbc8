"""Limits as the engines take them. Pure.

Docker's `update` changes memory, processors and processes of a container that exists, not its limits on disks; a value
that is left out stays. Podman takes the OCI runtime's own words, and those on disks too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from bhtui.core.spec import LimitsSpec

from .container import CORE, Container, Status
from .sockets import DOCKER

PERIOD_US = 100_000
UNLIMITED = -1
FREE_MEMORY = 1 << 61
"""Bytes that mean no limit to Docker, which takes no -1; as many again of swap, or there would be none of it."""
LEAST_MEMORY = 6 << 20
"""Docker takes no less."""
CHANGEABLE = (Status.RUNNING, Status.PAUSED)
"""Podman changes limits of what runs only; it forgets them with the run."""
HELD = ("memory", "cpu", "pids")
ON_DISKS = ("iops", "bandwidth")
NOT_ON_DISKS = "docker cannot change limits on disks of a container that exists; give them when it is created"


def too_little(engine: str, wanted: LimitsSpec) -> str:
    """Why the engine would take no such limit of memory; empty: it would."""
    if engine == DOCKER and wanted.memory and wanted.memory < LEAST_MEMORY:
        return f"docker takes no less than {LEAST_MEMORY >> 20}M"
    return ""


def no_disk(paths: Collection[str]) -> str:
    """Why a limit on disks means nothing there."""
    return f"{', '.join(paths)} is on no disk of this host (in memory, or on a network)"


def own(found: Container) -> dict[str, Any]:
    """What the container has before anything is set from here, as JSON values."""
    return {"id": found.id, **{name: getattr(found.limits, name) for name in HELD}}


def target(wanted: LimitsSpec, before: Mapping[str, Any]) -> LimitsSpec:
    """What is to hold: what is wanted, and where nothing is, what the container had before."""
    kept = {name: before.get(name) for name in HELD if getattr(wanted, name) is None}
    return replace(wanted, **kept)


def for_docker(wanted: LimitsSpec, found: Container, cpus: int) -> dict[str, Any]:
    """The body of Docker's `update` for what is otherwise than it is; `cpus` is how many the host has."""
    has = found.limits
    body: dict[str, Any] = {}
    if wanted.memory != has.memory:
        memory, swap = wanted.memory, wanted.memory  # of both together: what is beyond may not go to swap
        body |= {"Memory": memory or FREE_MEMORY, "MemorySwap": swap or 2 * FREE_MEMORY}
    if wanted.cpu != has.cpu and found.cpu_by_quota:
        body |= {"CpuQuota": round(wanted.cpu * PERIOD_US) if wanted.cpu else UNLIMITED, "CpuPeriod": PERIOD_US}
    elif wanted.cpu != has.cpu:  # all there are: it has no other word for no limit
        body |= {"NanoCpus": round(min(wanted.cpu or cpus, cpus) * CORE)}
    if wanted.pids != has.pids:
        body |= {"PidsLimit": wanted.pids or UNLIMITED}
    return body


def for_podman(wanted: LimitsSpec, devices: Collection[str] = ()) -> dict[str, Any]:
    """The body of Podman's own `update`: all, as what it says of a container may be from its creation.

    `devices` (`254:0`) are those that limits on disks mean.
    """
    memory = wanted.memory or UNLIMITED
    body: dict[str, Any] = {
        "memory": {"limit": memory, "swap": memory},
        "cpu": {"quota": round(wanted.cpu * PERIOD_US) if wanted.cpu else UNLIMITED, "period": PERIOD_US},
        "pids": {"limit": wanted.pids or UNLIMITED},
    }
    if (wanted.iops or wanted.bandwidth) and devices:
        body["blockIO"] = _on_disks(wanted, devices)
    return body


def _on_disks(wanted: LimitsSpec, devices: Collection[str]) -> dict[str, Any]:
    numbers = [tuple(map(int, device.split(":"))) for device in sorted(devices)]
    found: dict[str, Any] = {}
    for rate, keys in (
        (wanted.bandwidth, ("throttleReadBpsDevice", "throttleWriteBpsDevice")),
        (wanted.iops, ("throttleReadIOPSDevice", "throttleWriteIOPSDevice")),
    ):
        for key in keys if rate else ():
            found[key] = [{"major": major, "minor": minor, "rate": rate} for major, minor in numbers]
    return found


def not_held(engine: str, wanted: LimitsSpec) -> dict[str, str]:
    """Which limits the engine cannot hold whatever it is asked, and why."""
    return {name: NOT_ON_DISKS for name in ON_DISKS if engine == DOCKER and getattr(wanted, name) is not None}
