"""Columns of what leaves hosts: log outputs and remote write."""

from __future__ import annotations

from bhtui.core.units import format_age, format_count, format_size

from ..models.outgoing import Outgoing
from ..paint import Spans, plain
from .column import Column

SIGN = {"ok": ("●", "ok"), "idle": ("○", "dim"), "lagging": ("↻", "warn"), "failing": ("✗", "bad")}


def _state(row: Outgoing, _now: float, _width: int) -> Spans:
    sign, style = SIGN.get(row.state, ("?", "dim"))
    return ((f"{sign} {row.state}", style),)


def _waits(row: Outgoing, _now: float, width: int) -> Spans:
    if not row.behind_bytes:
        return (("0", "dim"),)
    size = f" {format_size(row.behind_bytes)}" if width >= 14 else ""
    return ((f"{format_count(row.behind)}{size}", "warn" if row.is_trouble else ""),)


def _age(row: Outgoing, _now: float, _width: int) -> Spans:
    if row.behind_seconds < 1:
        return (("-", "dim"),)
    return ((format_age(row.behind_seconds), "warn" if row.is_trouble else ""),)


def _number(number: int, style: str) -> Spans:
    return ((format_count(number), style if number else "dim"),)


OUTGOING: tuple[Column[Outgoing], ...] = (
    Column("HOST", 8, lambda row, _, __: ((row.host.name, "dim"),), grow=1, most=20, sort=lambda row, _: row.host.name),
    Column("OUTPUT", 12, lambda row, _, __: ((plain(row.name), "strong"),), grow=1, most=24,
           sort=lambda row, _: row.name),
    Column("STATE", 9, _state, sort=lambda row, _: row.state),
    Column("SENT", 8, lambda row, _, __: ((format_count(row.sent), ""),), "right", sort=lambda row, _: -row.sent),
    Column("WAIT", 8, _waits, "right", grow=1, most=16, sort=lambda row, _: -row.behind_bytes),
    Column("AGE", 6, _age, "right", priority=1, sort=lambda row, _: -row.behind_seconds),
    Column("AGAIN", 6, lambda row, _, __: _number(row.retried, ""), "right", priority=3),
    Column("REFUSED", 7, lambda row, _, __: _number(row.refused, "warn"), "right", priority=2),
    Column("LOST", 5, lambda row, _, __: _number(row.lost, "bad"), "right", priority=2),
    Column("WHERE TO", 14, lambda row, _, __: ((plain(row.target or row.kind), "dim"),), priority=4, grow=3, most=60),
)  # fmt: skip
