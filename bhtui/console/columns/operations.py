"""Columns of operations and events."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import events_pb2, operations_pb2

from ..models.host import HostView
from ..models.operation import duration, progress
from ..paint import Spans, plain
from . import cells
from .column import Column

T = TypeVar("T")

OPERATION_SIGN = {
    "pending": ("…", "dim"),
    "running": ("▶", "link"),
    "cancelling": ("◂", "warn"),
    "rolling-back": ("↶", "warn"),
    "done": ("✓", "ok"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "warn"),
}
STEP_SIGN = {
    "pending": ("·", "faint"),
    "running": ("▶", "link"),
    "waiting": ("◔", "link"),
    "done": ("✓", "ok"),
    "failed": ("✗", "bad"),
    "skipped": ("-", "dim"),
    "undoing": ("↶", "warn"),
    "undone": ("↶", "dim"),
    "undo-failed": ("✗", "bad"),
}


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation with its host."""

    host: HostView
    operation: operations_pb2.Operation


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with its host."""

    host: HostView
    event: events_pb2.Event


def _outcome(row: OperationRow, _now: float, _width: int) -> Spans:
    one = row.operation
    style = OPERATION_SIGN.get(one.state, ("", ""))[1]
    if one.state in ("running", "pending", "cancelling", "rolling-back"):
        return ((f"{one.state} {progress(one)}".rstrip(), style),)
    return ((one.state, style), (f" {plain(one.error.splitlines()[0])}" if one.error else "", "dim"))


def _who(row: OperationRow, _now: float, _width: int) -> Spans:
    actor = row.operation.actor
    return ((plain(actor.name), ""), (f"@{plain(actor.origin)}" if actor.origin else "", "dim"))


def _when(row: OperationRow, now: float, _: int) -> Spans:
    return ((format_age(row.host.instance_age(row.operation.created_ns, now)), ""),)


def _took(row: OperationRow, now: float, _: int) -> Spans:
    seconds = duration(row.operation, row.host, now)
    return (
        ((f"{seconds:.1f} s" if seconds < 100 else format_age(seconds), ""),) if seconds is not None else cells.NOTHING
    )


OPERATIONS: tuple[Column[OperationRow], ...] = (
    Column("", 1, lambda row, _, __: (OPERATION_SIGN.get(row.operation.state, ("?", "dim")),)),
    Column("AGO", 6, _when, "right"),
    Column("HOST", 9, lambda row, _, __: cells.text(row.host.name, "link"), priority=1, grow=1, most=20),
    Column("WHAT", 8, lambda row, _, __: cells.text(row.operation.kind, "strong"), grow=1, most=16),
    Column("ON", 10, lambda row, _, __: cells.text(" ".join(row.operation.targets)), grow=3, most=40),
    Column("RESULT", 14, _outcome, grow=4, most=60),
    Column("TOOK", 7, _took, "right", priority=2),
    Column("WHO", 14, _who, priority=4, grow=1, most=24),
    Column("REASON", 10, lambda row, _, __: cells.text(row.operation.reason, "dim"), priority=5, grow=3, most=50),
    Column("ID", 8, lambda row, _, __: cells.text(row.operation.id[:8], "faint"), priority=6),
)


def _short(target: str) -> str:
    """An operation's id is told by its beginning, a file without its folder."""
    return target.rpartition("/")[2] if target.startswith("/") else target if len(target) < 32 else target[:8]


def event_style(event: events_pb2.Event) -> str:
    text = f"{event.kind} {event.message}"
    if "failed" in text or "unhealthy" in text or "lost" in event.kind or "refused" in event.kind:
        return "bad"
    if event.kind.endswith(".held") or "backoff" in text or "degraded" in text or "cancelled" in text:
        return "warn"
    return "ok" if "healthy" in text or "done" in text or "running" in text else ""


def _told(event: events_pb2.Event) -> str:
    """What is said, without the name that stands before it."""
    return event.message.removeprefix(f"{event.target} ") if event.target else event.message


EVENTS: tuple[Column[EventRow], ...] = (
    Column("TIME", 8, lambda row, _, __: ((cells.clock(row.event.time_ns), "time"),)),
    Column("SEQ", 6, lambda row, _, __: ((str(row.event.seq), "faint"),), "right", priority=4),
    Column("HOST", 9, lambda row, _, __: cells.text(row.host.name, "link"), priority=2, grow=1, most=20),
    Column("KIND", 15, lambda row, _, __: cells.text(row.event.kind, "dim"), priority=5, grow=1, most=20),
    Column("TARGET", 10, lambda row, _, __: cells.text(_short(row.event.target), "strong"), grow=1, most=18),
    Column("MESSAGE", 44, lambda row, _, __: cells.text(_told(row.event), event_style(row.event)), grow=6, most=200),
    Column("WHO", 8, lambda row, _, __: cells.text(row.event.actor.name, "dim"), priority=3, grow=1, most=16),
)


@cache
def without_host(columns: tuple[Column[T], ...]) -> tuple[Column[T], ...]:
    """The columns of a table that is about one host."""
    return tuple(column for column in columns if column.title != "HOST")
