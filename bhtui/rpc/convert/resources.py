"""Resources of instances: messages, core types, and the JSON that `blackhole resources` prints."""

from __future__ import annotations

from typing import Any

from bhtui.core.resources import DiskUse, InstanceResources, LimitState
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import resources_pb2 as pb

from . import flat

WHOLE = frozenset({"memory", "pids", "iops", "bandwidth", "nice"})
"""Limits that are whole numbers."""


def to_message(seen: InstanceResources) -> pb.InstanceResources:
    return flat.encode(
        seen,
        pb.InstanceResources,
        limits=[flat.encode(limit, pb.LimitState) for limit in seen.limits],
        disks=[flat.encode(disk, pb.DiskUse) for disk in seen.disks],
    )


def from_message(message: pb.InstanceResources) -> InstanceResources:
    return flat.decode(
        message,
        InstanceResources,
        {
            "limits": lambda limits: tuple(flat.decode(limit, LimitState) for limit in limits),
            "disks": lambda disks: tuple(flat.decode(disk, DiskUse) for disk in disks),
            "on_pressure": tuple,
        },
    )


def to_json(seen: InstanceResources, host: str = "") -> dict[str, Any]:
    """The object of `resources memory --output json` and its like; its keys and their order are fixed."""
    return {
        "host": host,
        "service": seen.service,
        "instance": seen.instance,
        "pid": seen.pid,
        "memory_bytes": seen.memory_bytes,
        "cpu_percent": _rounded(seen.cpu_percent),
        "threads": seen.threads,
        "fds": seen.fds,
        "fds_limit": seen.fds_limit,
        "read_bytes_per_second": _rounded(seen.read_bytes_per_second),
        "write_bytes_per_second": _rounded(seen.write_bytes_per_second),
        "cpu_periods": seen.cpu_periods,
        "cpu_throttled": seen.cpu_throttled,
        "cpu_throttled_seconds": _rounded(seen.cpu_throttled_seconds),
        "memory_hits": seen.memory_hits,
        "oom_kills": seen.oom_kills,
        "limits": {limit.name: _limit_to_json(limit) for limit in seen.limits},
        "disks": [
            {
                "path": disk.path,
                "device": disk.device,
                "total_bytes": disk.total_bytes,
                "free_bytes": disk.free_bytes,
            }
            for disk in seen.disks
        ],
        "contract": seen.contract,
        "on_pressure": list(seen.on_pressure),
    }


def _limit_to_json(limit: LimitState) -> dict[str, Any]:
    amount = int(limit.amount) if limit.amount is not None and limit.name in WHOLE else limit.amount
    return {
        "value": limit.word or amount,
        "origin": "override" if limit.override_by else "spec",
        "set_by": limit.override_by,
        "set": format_time(limit.override_ns) if limit.override_ns else None,
        "held_by": limit.held_by,
        "not_held": limit.not_held,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
