"""The overview of a host: messages, core types, and the JSON that `blackhole overview` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from google.protobuf.message import Message

from bhtui.core.overview import (
    Container,
    FileSystem,
    Interface,
    Listener,
    Machine,
    Overview,
    Pressure,
    Process,
    Unit,
)
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb

from . import flat

C = TypeVar("C")


def _many(kind: type[C]) -> Callable[[Iterable[Message]], tuple[C, ...]]:
    return lambda messages: tuple(flat.decode(each, kind) for each in messages)


def machine_to_message(machine: Machine) -> pb.OverviewMachine:
    return flat.encode(
        machine,
        pb.OverviewMachine,
        pressures=[flat.encode(each, pb.OverviewPressure) for each in machine.pressures],
        disks=[flat.encode(each, pb.OverviewFileSystem) for each in machine.disks],
        interfaces=[flat.encode(each, pb.OverviewInterface) for each in machine.interfaces],
    )


def machine_from_message(message: pb.OverviewMachine) -> Machine:
    nested = {"pressures": _many(Pressure), "disks": _many(FileSystem), "interfaces": _many(Interface)}
    return flat.decode(message, Machine, nested)


def to_message(seen: Overview) -> pb.OverviewResponse:
    return flat.encode(
        seen,
        pb.OverviewResponse,
        machine=machine_to_message(seen.machine),
        failed=[flat.encode(each, pb.OverviewUnit) for each in seen.failed],
        units=[flat.encode(each, pb.OverviewUnit) for each in seen.units],
        containers=[flat.encode(each, pb.OverviewContainer) for each in seen.containers],
        listeners=[flat.encode(each, pb.OverviewListener) for each in seen.listeners],
        processes=[flat.encode(each, pb.OverviewProcess) for each in seen.processes],
    )


def from_message(message: pb.OverviewResponse) -> Overview:
    return flat.decode(
        message,
        Overview,
        {
            "machine": machine_from_message,
            "failed": _many(Unit),
            "units": _many(Unit),
            "containers": _many(Container),
            "listeners": _many(Listener),
            "processes": _many(Process),
            "unseen": tuple,
        },
    )


def to_json(seen: Overview, host: str = "") -> dict[str, Any]:
    """The object of `overview --output json`; its keys and their order are fixed."""
    said = asdict(seen)
    said["time"] = format_time(said.pop("time_ns"))
    for unit in (*said["failed"], *said["units"]):
        since = unit.pop("since_ns")
        unit["since"] = format_time(since) if since else None
    return {"host": host, **_rounded(said)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return round(value, 2) if isinstance(value, float) else value
