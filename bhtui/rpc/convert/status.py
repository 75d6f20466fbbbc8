"""Instances and the host: messages, core types, and the JSON that `blackhole status` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bhtui.core.spec import ProbeKind, ServiceKind
from bhtui.core.states import Goal, Health, Result, State
from bhtui.core.status import HostStatus, InstanceStatus, LogDropped, Scaling
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import status_pb2 as pb

from . import flat

_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "state": State,
    "goal": Goal,
    "health": Health,
    "probe": ProbeKind,
    "result": Result,
    "ports": tuple,
    "kind": lambda text: ServiceKind(text or "process"),
}


def instance_to_message(status: InstanceStatus) -> pb.InstanceStatus:
    scaling = flat.encode(status.scaling, pb.Scaling) if status.scaling else None
    dropped = flat.encode(status.log_dropped, pb.LogDropped) if status.log_dropped else None
    return flat.encode(status, pb.InstanceStatus, scaling=scaling, log_dropped=dropped)


def instance_from_message(message: pb.InstanceStatus) -> InstanceStatus:
    scaling = flat.decode(message.scaling, Scaling) if message.HasField("scaling") else None
    dropped = flat.decode(message.log_dropped, LogDropped) if message.HasField("log_dropped") else None
    given = {"scaling": lambda _: scaling, "log_dropped": lambda _: dropped}
    return flat.decode(message, InstanceStatus, {**_CONVERT, **given})


def host_to_message(status: HostStatus) -> pb.HostStatus:
    return flat.encode(status, pb.HostStatus)


def host_from_message(message: pb.HostStatus) -> HostStatus:
    return flat.decode(message, HostStatus)


def instance_to_json(status: InstanceStatus, host: str = "") -> dict[str, Any]:
    """The object of `status --output json`; its keys and their order are fixed. The client fills in `host`."""
    return {
        "host": host,
        "service": status.service,
        "instance": status.instance,
        "state": str(status.state),
        "goal": str(status.goal),
        "health": str(status.health),
        "health_detail": status.health_detail,
        "probe": str(status.probe),
        "result": str(status.result),
        "pid": status.pid,
        "uptime_seconds": _rounded(status.uptime_seconds, 3),
        "restarts": status.restarts,
        "next_start_seconds": _rounded(status.next_start_seconds, 3),
        "cpu_percent": _rounded(status.cpu_percent, 1),
        "memory_bytes": status.memory_bytes,
        "memory_limit_bytes": status.memory_limit_bytes,
        "limits_held_by": status.limits_held_by,
        "last_error": status.last_error,
        "waiting_for": status.waiting_for,
        "since": format_time(status.since_ns) if status.since_ns else None,
        "threads": status.threads,
        "fds": status.fds,
        "ports": list(status.ports),
        "limits_not_held": status.limits_not_held,
        "limits_override_by": status.limits_override_by,
        "limits_override_seconds": _rounded(status.limits_override_seconds, 0),
        "endpoint": status.endpoint,
        "scaling": _scaling_to_json(status.scaling),
        "held": status.held,
        "restarts_note": status.restarts_note,
        "kind": str(status.kind),
        "ref": status.ref,
        "auto_scale": status.auto_scale,
        "untold": status.untold,
        "log_dropped": _dropped_to_json(status.log_dropped),
    }


def message_to_json(message: pb.InstanceStatus, host: str = "") -> dict[str, Any]:
    """The same object from what came over gRPC."""
    return instance_to_json(instance_from_message(message), host)


def _scaling_to_json(scaling: Scaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    return {
        "replicas": scaling.replicas,
        "declared": scaling.declared,
        "by": scaling.by,
        "seconds": _rounded(scaling.seconds, 0),
    }


def _dropped_to_json(dropped: LogDropped | None) -> dict[str, Any] | None:
    if dropped is None:
        return None
    return {
        "lines": dropped.lines,
        "bytes": dropped.bytes,
        "seconds": _rounded(dropped.seconds, 0),
        "limit": dropped.limit,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
