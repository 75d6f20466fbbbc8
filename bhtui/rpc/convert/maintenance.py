"""Maintenance windows: messages, core types, and the JSON that `blackhole maintenance windows` prints."""

from __future__ import annotations

from typing import Any

from bhtui.core.maintenance import Window
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import maintenance_pb2 as pb

from . import flat


def to_message(window: Window) -> pb.Window:
    return flat.encode(window, pb.Window)


def from_message(message: pb.Window) -> Window:
    return flat.decode(message, Window, {"services": tuple})


def to_json(window: Window, host: str = "") -> dict[str, Any]:
    """The object of `maintenance windows --output json`; its keys and their order are fixed."""
    return {
        "host": host,
        "id": window.id,
        "services": list(window.services),
        "open": window.open,
        "from": format_time(window.from_ns) if window.from_ns else None,
        "until": format_time(window.until_ns) if window.until_ns else None,
        "start": window.start,
        "timezone": window.timezone,
        "actor": window.actor,
        "reason": window.reason,
    }
