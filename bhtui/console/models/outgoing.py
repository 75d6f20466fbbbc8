"""What leaves hosts for servers elsewhere: log outputs and remote write, as rows of one table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2

from .host import HostView

REMOTE_WRITE = "remote write"
KIND = "prometheus"
"""Also the name of one that has none of its own."""
_TROUBLE = ("failing", "lagging")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One log output, or remote write, of one host. Counts are of lines or of samples."""

    host: HostView
    name: str
    kind: str
    target: str
    state: str
    unit: str
    sent: int
    sent_bytes: int
    retried: int
    refused: int
    lost: int
    behind: int
    behind_bytes: int
    behind_seconds: float
    last_sent_ns: int
    last_error: str
    last_error_ns: int
    failing_since_ns: int

    @property
    def key(self) -> str:
        return f"{self.host.name} {self.unit} {self.name}"

    @property
    def is_trouble(self) -> bool:
        return self.state in _TROUBLE


def outgoing(views: Iterable[HostView]) -> list[Outgoing]:
    """Everything that is known, trouble first."""
    found = []
    for view in views:
        found += [_output(view, one) for one in view.outputs.outputs] if view.outputs is not None else []
        found += [_remote_write(view, one) for one in view.remote_write.statuses] if view.remote_write else []
    return sorted(found, key=lambda one: (not one.is_trouble, one.host.name, one.unit, one.name))


def _output(view: HostView, one: logs_pb2.LogOutput) -> Outgoing:
    return Outgoing(
        view, one.name, one.type, one.target, one.state, "lines", one.sent, one.sent_bytes, one.retried,
        one.dead_lettered, one.dropped, one.behind_lines, one.behind_bytes, one.behind_seconds, one.last_sent_ns,
        one.last_error, one.last_error_ns, one.failing_since_ns,
    )  # fmt: skip


def _remote_write(view: HostView, one: metrics_pb2.RemoteWriteStatus) -> Outgoing:
    name = REMOTE_WRITE if one.name in ("", KIND) else f"{REMOTE_WRITE} {one.name}"
    return Outgoing(
        view, name, KIND, one.target, one.state, "samples", one.sent, one.sent_bytes, one.retried,
        one.rejected, one.dropped, one.behind_samples, one.behind_bytes, one.behind_seconds, one.last_sent_ns,
        one.last_error, one.last_error_ns, one.failing_since_ns,
    )  # fmt: skip
