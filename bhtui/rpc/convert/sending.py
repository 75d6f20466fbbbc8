"""The object that `--output json` writes for what is sent elsewhere: `logs outputs`, `metrics remote-write`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bhtui.core.outputs import OutputStatus
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.units import format_time

_TIMES = {"last_sent_ns": "last_sent", "last_error_ns": "last_error_time", "failing_since_ns": "failing_since"}


def sending_to_json(status: OutputStatus | RemoteWriteStatus, host: str = "") -> dict[str, Any]:
    """Its keys and their order are fixed: those of the dataclass. Times are null for never."""
    said: dict[str, Any] = {"host": host}
    for name, value in asdict(status).items():
        if name in _TIMES:
            said[_TIMES[name]] = format_time(value) if value else None
        else:
            said[name] = value
    return said
