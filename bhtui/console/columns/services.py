"""Columns of the services of a host."""

from __future__ import annotations

from dataclasses import dataclass

from bhtui.core.units import format_age, format_size

from ..models.host import HostView, InstanceView
from ..models.trouble import STYLE, Level
from ..paint import Spans, meter, spark
from . import cells
from .column import Column


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """An instance with the host it is on."""

    host: HostView
    view: InstanceView


def _dimmed(row: ServiceRow, now: float, spans: Spans) -> Spans:
    return spans if row.host.fresh(now) else tuple((text, "faint") for text, _ in spans)


def state_text(row: ServiceRow, now: float) -> str:
    """The state, with what belongs to it: `backoff 8 s`."""
    status = row.view.status
    if status.state == "backoff" and status.HasField("next_start_seconds"):
        left = max(0.0, status.next_start_seconds - (now - row.host.seen_at))
        return f"backoff {left:.0f} s"
    if status.state == "running" and status.health in ("degraded", "unhealthy"):
        return status.health
    return status.state


def _state(row: ServiceRow, now: float, _: int) -> Spans:
    level = row.view.level
    return _dimmed(row, now, ((state_text(row, now), STYLE[level] if level is not Level.FINE else "ok"),))


def _health(row: ServiceRow, now: float, _: int) -> Spans:
    status = row.view.status
    if status.state != "running" or status.probe in ("", "none"):
        return cells.NOTHING
    style = {"healthy": "ok", "degraded": "warn", "unhealthy": "bad"}.get(status.health, "dim")
    return _dimmed(row, now, ((f"{status.health}", style),))


def _restarts(row: ServiceRow, now: float, _: int) -> Spans:
    count = row.view.status.restarts
    return _dimmed(row, now, ((f"↻{count}", "warn"),)) if count else (("", ""),)


def _cpu(row: ServiceRow, now: float, width: int) -> Spans:
    status = row.view.status
    if not status.HasField("cpu_percent"):
        return cells.NOTHING
    number = f"{status.cpu_percent:.0f} %".rjust(6)
    bars = spark(row.view.cpu, width - 7, 100.0) if width >= 12 else ""
    return _dimmed(row, now, ((bars, "g3"), (" " if bars else "", ""), (number, "")))


def _memory(row: ServiceRow, now: float, _: int) -> Spans:
    status = row.view.status
    if not status.HasField("memory_bytes"):
        return cells.NOTHING
    limit = status.memory_limit_bytes if status.HasField("memory_limit_bytes") else 0
    return _dimmed(
        row, now, ((format_size(status.memory_bytes), cells.heat(status.memory_bytes / limit) if limit else ""),)
    )


def _limit(row: ServiceRow, now: float, width: int) -> Spans:
    status = row.view.status
    if not status.HasField("memory_limit_bytes") or not status.memory_limit_bytes:
        return cells.NOTHING
    share = status.memory_bytes / status.memory_limit_bytes
    full, empty = meter(share, width - 7)
    return _dimmed(
        row,
        now,
        ((full, cells.heat(share) or "g2"), (empty, "faint"), (format_size(status.memory_limit_bytes).rjust(7), "dim")),
    )


def _up(row: ServiceRow, now: float, _: int) -> Spans:
    status = row.view.status
    if not status.HasField("uptime_seconds"):
        return cells.NOTHING
    more = now - row.host.seen_at if row.host.fresh(now) else 0.0
    return _dimmed(row, now, ((format_age(status.uptime_seconds + more), ""),))


def _ports(row: ServiceRow, now: float, _: int) -> Spans:
    return _dimmed(row, now, cells.text(" ".join(f":{port}" for port in row.view.status.ports), "dim"))


SERVICES: tuple[Column[ServiceRow], ...] = (
    Column("", 1, lambda row, now, _: _dimmed(row, now, cells.sign(row.view.level))),
    Column(
        "SERVICE",
        10,
        lambda row, _, __: ((row.view.name, "strong"),),
        grow=2,
        most=24,
        sort=lambda row, _: row.view.name,
    ),
    Column("STATE", 11, _state, grow=1, most=14, sort=lambda row, _: -row.view.level),
    Column("", 3, _restarts, priority=5, sort=lambda row, _: -row.view.status.restarts),
    Column("HEALTH", 9, _health, priority=7),
    Column("CPU", 6, _cpu, "right", priority=1, grow=2, most=24, sort=lambda row, _: -row.view.status.cpu_percent),
    Column("MEM", 6, _memory, "right", priority=3, sort=lambda row, _: -row.view.status.memory_bytes),
    Column("OF LIMIT", 14, _limit, "right", priority=8, grow=1, most=18),
    Column("PORTS", 8, _ports, priority=9, grow=1, most=16),
    Column(
        "PID",
        7,
        lambda row, now, _: _dimmed(row, now, cells.text(str(row.view.status.pid or ""), "dim")),
        "right",
        priority=10,
    ),
    Column("UP", 6, _up, "right", priority=4, sort=lambda row, _: -row.view.status.uptime_seconds),
)
