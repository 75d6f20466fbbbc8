"""Columns of backups: services and their days, snapshots, files in them, differences."""

from __future__ import annotations

import stat
from dataclasses import dataclass

from bhtui.core.units import format_age, format_size
from bhtui.rpc.blackhole.v1 import backup_pb2

from ..models.host import HostView
from ..models.protection import DAYS, Day, Protected, days
from ..paint import Spans, plain
from . import cells
from .column import Column

DAY = {
    Day.FULL: ("█", "ok"),
    Day.INCREMENTAL: ("▄", "ok"),
    Day.BAD: ("x", "bad"),
    Day.GAP: ("·", "bad"),
    Day.BEFORE: (" ", ""),
    Day.OPEN: ("▁", "dim"),
}
KIND_SIGN = {"added": ("+", "ok"), "removed": ("-", "bad"), "changed": ("~", "warn"), "meta": ("·", "dim")}


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A snapshot of a host."""

    host: HostView
    snapshot: backup_pb2.BackupSnapshot


def strip(row: Protected, now: float, width: int) -> Spans:
    """Its days, today last."""
    return tuple(DAY[one] for one in days(row.snapshots, now, None, min(width, DAYS)))


def _state(row: Protected, _now: float, _width: int) -> Spans:
    if running := row.running:
        share = f"{running.bytes * 100 // running.bytes_total} %" if running.bytes_total else running.phase
        return ((f"▶ {share}", "link"),)
    if row.state.late:
        return (("✗ late" if row.state.last_good_ns else "✗ none", "bad"),)
    if row.problem:
        return (("! trouble", "warn"),)
    return (("● kept", "ok"),) if row.state.last_good_ns else (("○ none yet", "dim"),)


def _last(row: Protected, now: float, _width: int) -> Spans:
    at = row.state.last_good_ns
    return cells.age(row.host.instance_age(at, now), "bad" if row.state.late else "") if at else cells.NOTHING


def _drill(row: Protected, now: float, _width: int) -> Spans:
    if row.state.drill_problem:
        return (("failed", "bad"),)
    at = row.state.drilled_ns
    return ((f"{format_age(row.host.instance_age(at, now))} ago", ""),) if at else (("never", "dim"),)


PROTECTION: tuple[Column[Protected], ...] = (
    Column("HOST", 8, lambda row, _, __: cells.text(row.host.name, "dim"), priority=1, grow=1, most=20,
           sort=lambda row, _: row.host.name),
    Column("SERVICE", 9, lambda row, _, __: cells.text(row.service, "strong"), grow=1, most=24,
           sort=lambda row, _: row.service),
    Column("STATE", 11, _state, sort=lambda row, _: row.rank),
    Column("GOOD", 6, _last, "right", sort=lambda row, _: row.state.last_good_ns),
    Column("DRILL", 10, _drill, "right", priority=2, sort=lambda row, _: row.state.drilled_ns),
    Column("LAST 5 WEEKS", DAYS, strip),
)  # fmt: skip


def _sign(row: BackupRow, _now: float, _width: int) -> Spans:
    one = row.snapshot
    return (("✗", "bad"),) if one.problem or one.drill_problem else (("✓", "ok"),) if one.verified else (("·", "dim"),)


def _check(row: BackupRow, now: float, _width: int) -> Spans:
    one = row.snapshot
    if one.problem:
        return (("damaged", "bad"),)
    return (
        ((f"{format_age(row.host.instance_age(one.verified_ns, now))} ago", "ok"),)
        if one.verified
        else (("no", "dim"),)
    )


def _drilled(row: BackupRow, _now: float, _width: int) -> Spans:
    one = row.snapshot
    if one.drill_problem:
        return (("failed", "bad"),)
    return ((f"{one.drill_seconds:.0f} s", "ok"),) if one.drilled_ns else (("no", "dim"),)


SNAPSHOTS: tuple[Column[BackupRow], ...] = (
    Column("", 1, _sign),
    Column("AGO", 6, lambda row, now, _: cells.age(row.host.instance_age(row.snapshot.time_ns, now)), "right"),
    Column("TYPE", 4, lambda row, _, __: cells.text(
        {"incremental": "inc"}.get(row.snapshot.type, row.snapshot.type), "strong")),
    Column("SIZE", 6, lambda row, _, __: ((format_size(row.snapshot.bytes_total), ""),), "right"),
    Column("NEW", 6, lambda row, _, __: ((format_size(row.snapshot.bytes_added), ""),), "right", priority=2),
    Column("CHECKED", 8, _check, "right", priority=3),
    Column("DRILL", 6, _drilled, "right", priority=4),
    Column("SERVICE", 7, lambda row, _, __: cells.text(" ".join(row.snapshot.services), "dim"), priority=1, grow=2,
           most=40),
    Column("ID", 8, lambda row, _, __: cells.text(row.snapshot.id[:8], "faint"), priority=5),
    Column("KEPT AS", 12, lambda row, _, __: cells.text(", ".join(row.snapshot.kept), "dim"), priority=6, grow=3,
           most=50),
)  # fmt: skip


def _name(row: backup_pb2.BackupEntry, _now: float, _width: int) -> Spans:
    name = plain(row.path.rpartition("/")[2])
    if row.type == "dir":
        return ((name + "/", "link"),)
    return ((name, ""), (f" → {plain(row.linktarget)}" if row.linktarget else "", "dim"))


FILES: tuple[Column[backup_pb2.BackupEntry], ...] = (
    Column("NAME", 20, _name, grow=5, most=90, sort=lambda row, _: (row.type != "dir", row.path)),
    Column("SIZE", 7, lambda row, _, __: _size(row.size, row.type == "file"), "right", sort=lambda row, _: -row.size),
    Column("CHANGED", 8, lambda row, now, _: cells.age(max(0.0, now - row.mtime_ns / 1e9)), "right", priority=1,
           sort=lambda row, _: -row.mtime_ns),
    Column("MODE", 10, lambda row, _, __: ((_mode(row), "dim"),), priority=2),
    Column("OWNER", 10, lambda row, _, __: cells.text(f"{row.user}:{row.group}", "dim"), priority=3, grow=1, most=24),
)  # fmt: skip


def _mode(row: backup_pb2.BackupEntry) -> str:
    bits = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO,
            "socket": stat.S_IFSOCK, "dev": stat.S_IFBLK, "chardev": stat.S_IFCHR}  # fmt: skip
    return stat.filemode(bits.get(row.type, 0) | row.mode)


def _size(size: int, is_there: bool) -> Spans:
    return ((format_size(size), ""),) if is_there else cells.NOTHING


CHANGES: tuple[Column[backup_pb2.BackupChange], ...] = (
    Column("", 1, lambda row, _, __: (KIND_SIGN.get(row.kind, ("?", "dim")),), sort=lambda row, _: row.kind),
    Column("PATH", 30, lambda row, _, __: cells.text(row.path, KIND_SIGN.get(row.kind, ("", ""))[1]), grow=5, most=120,
           sort=lambda row, _: row.path),
    Column("BEFORE", 7, lambda row, _, __: _size(row.size_a, row.kind != "added"), "right",
           sort=lambda row, _: -row.size_a),
    Column("AFTER", 7, lambda row, _, __: _size(row.size_b, row.kind != "removed"), "right",
           sort=lambda row, _: -row.size_b),
)  # fmt: skip
