"""What sources say: at this moment, of this host, this was seen."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from bhtui.rpc.blackhole.v1 import (
    agent_pb2,
    backup_pb2,
    events_pb2,
    logs_pb2,
    metrics_pb2,
    operations_pb2,
    overview_pb2,
    status_pb2,
)


@dataclass(frozen=True, slots=True)
class HostInfo:
    """A host as the inventory declares it."""

    name: str
    address: str = ""
    group: str = ""
    production: bool = False
    """Whether a change wants the host's name typed."""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """The state of a connection, as ssh.link names it, and what is behind it."""

    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LogsSeen:
    """A batch of a log stream; `stream` tells the streams of one console apart."""

    stream: str
    batch: logs_pb2.LogBatch


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something a source was refused; shown, never fatal."""

    text: str


Body = HostInfo | LinkSeen | LogsSeen | Trouble | Message

MESSAGES: dict[str, type[Message]] = {
    "info": agent_pb2.AgentInfo,
    "status": status_pb2.Snapshot,
    "events": events_pb2.EventBatch,
    "operations": operations_pb2.ListOperationsResponse,
    "operation": operations_pb2.Operation,
    "backups": backup_pb2.ListBackupsResponse,
    "overview": overview_pb2.OverviewResponse,
    "series": metrics_pb2.SeriesResponse,
    "outputs": logs_pb2.LogOutputsResponse,
    "remote-write": metrics_pb2.RemoteWriteResponse,
}
"""Bodies that are messages of the API, by the name a recording gives them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen. `time` is Unix seconds by this console's clock."""

    time: float
    host: str
    body: Body
