"""One host as the console knows it: a frozen view, and the reducer that makes the next one of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bhtui.core.logorder import Offset
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

from ..sources.message import HostInfo, LinkSeen, Seen, Trouble
from .trouble import Level, instance_level

HISTORY = 120
"""Samples of a sparkline that are kept."""
EVENTS_KEPT = 2000
OPERATIONS_KEPT = 200
CONNECTING = LinkSeen("connecting")
SILENT_AFTER = 3.5
"""Seconds without a word after which a live link is called stale; a snapshot is due every second."""
_ENDED = frozenset({"done", "failed", "cancelled"})

LATE_WORD_NS = 5 * 10**9
"""What a host says may have been under way for so long."""


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance, and its recent CPU use."""

    status: status_pb2.InstanceStatus
    cpu: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        return self.status.instance

    @property
    def level(self) -> Level:
        return instance_level(self.status)


@dataclass(frozen=True, slots=True)
class HostView:
    """Everything known of one host. Last known values stay when the connection is gone; `seen_at` tells their age."""

    info: HostInfo
    link: LinkSeen = CONNECTING
    seen_at: float = 0.0
    status: status_pb2.HostStatus | None = None
    instances: Mapping[str, InstanceView] = field(default_factory=dict)
    agent: agent_pb2.AgentInfo | None = None
    cpu: tuple[float, ...] = ()
    events: tuple[events_pb2.Event, ...] = ()
    operations: tuple[operations_pb2.Operation, ...] = ()
    """Newest first."""
    backups: backup_pb2.ListBackupsResponse | None = None
    trouble: str = ""
    overview: overview_pb2.OverviewResponse | None = None
    outputs: logs_pb2.LogOutputsResponse | None = None
    remote_write: metrics_pb2.RemoteWriteResponse | None = None
    notes: tuple[str, ...] = ()
    """What is wrong with its agent itself: log outputs that fail, a keeper that was lost."""

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(view.status.service for view in self.instances.values()))

    def fresh(self, now: float) -> bool:
        """Whether what is shown is what is."""
        return self.link.state == "live" and self.seen_at > 0 and now - self.seen_at < SILENT_AFTER

    def age(self, now: float) -> float:
        """Seconds since the last word."""
        return max(0.0, now - self.seen_at) if self.seen_at else 0.0

    def instance_age(self, at_ns: int, now: float) -> float:
        """Seconds since a moment of the host's clock, whatever this machine's clock says."""
        skew = self.seen_at - self.status.time_ns / 1e9 if self.status and self.status.time_ns else 0.0
        return max(0.0, now - skew - at_ns / 1e9)

    @property
    def clock_offset_ns(self) -> int:
        """What has to be added to the times of the host to have them by this machine's clock; 0 for a clock that is
        right."""
        if self.status is None or not self.status.time_ns:
            return 0
        offset, seen_ns = Offset(), int(self.seen_at * 1e9)
        offset.measure(self.status.time_ns, seen_ns - LATE_WORD_NS, seen_ns)
        return offset.ns and seen_ns - self.status.time_ns


def reduce_host(view: HostView, seen: Seen) -> HostView:
    """The view after something was seen; the old one when it says nothing about a host."""
    match seen.body:
        case HostInfo() as info:
            return replace(view, info=info)
        case LinkSeen() as link if link != view.link:
            return replace(view, link=link, trouble="")
        case Trouble(text):
            return replace(view, trouble=text)
        case agent_pb2.AgentInfo() as agent:
            return replace(view, agent=agent)
        case status_pb2.Snapshot() as snapshot:
            return _with_snapshot(view, snapshot, seen.time)
        case events_pb2.EventBatch() as batch:
            return _with_events(view, batch)
        case operations_pb2.ListOperationsResponse() as listed:
            return replace(view, operations=_merged(view.operations, tuple(listed.operations)))
        case operations_pb2.Operation() as operation:
            return replace(view, operations=_merged(view.operations, (operation,)))
        case backup_pb2.ListBackupsResponse() as backups:
            return replace(view, backups=backups)
        case overview_pb2.OverviewResponse() as overview:
            return replace(view, overview=overview)
        case logs_pb2.LogOutputsResponse() as outputs:
            return replace(view, outputs=outputs)
        case metrics_pb2.RemoteWriteResponse() as remote_write:
            return replace(view, remote_write=remote_write)
        case _:
            return view


def _with_snapshot(view: HostView, snapshot: status_pb2.Snapshot, now: float) -> HostView:
    known = {} if snapshot.full else dict(view.instances)
    for gone in snapshot.removed:
        known.pop(gone, None)
    changed = {status.instance: status for status in snapshot.instances}
    for name, status in changed.items():
        if name not in known:
            known[name] = InstanceView(status, view.instances[name].cpu if name in view.instances else ())
    instances = {name: _sampled(old, changed.get(name, old.status)) for name, old in known.items()}
    host = snapshot.host if snapshot.HasField("host") else view.status
    cpu = view.cpu
    if host is not None and host.HasField("cpu_percent"):
        cpu = (*cpu, host.cpu_percent)[-HISTORY:]
    return replace(view, status=host, instances=instances, seen_at=now, cpu=cpu, notes=tuple(snapshot.notes))


def _sampled(old: InstanceView, status: status_pb2.InstanceStatus) -> InstanceView:
    value = status.cpu_percent if status.HasField("cpu_percent") else 0.0
    return InstanceView(status, (*old.cpu, value)[-HISTORY:])


def _with_events(view: HostView, batch: events_pb2.EventBatch) -> HostView:
    last = view.events[-1].seq if view.events else 0
    new = tuple(event for event in batch.events if event.seq > last)
    return replace(view, events=(*view.events, *new)[-EVENTS_KEPT:]) if new else view


def _merged(
    old: tuple[operations_pb2.Operation, ...], new: tuple[operations_pb2.Operation, ...]
) -> tuple[operations_pb2.Operation, ...]:
    """Both, newest first. A late answer never brings an ended operation back to life."""
    by_id = {operation.id: operation for operation in old}
    for operation in new:
        before = by_id.get(operation.id)
        if before is None or before.state not in _ENDED or operation.state in _ENDED:
            by_id[operation.id] = operation
    return tuple(sorted(by_id.values(), key=lambda one: one.created_ns, reverse=True)[:OPERATIONS_KEPT])
