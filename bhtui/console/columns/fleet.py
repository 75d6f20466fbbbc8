"""Columns of the fleet: what needs a person first."""

from __future__ import annotations

from bhtui.core.units import format_age, format_size

from ..models.host import HostView
from ..models.overview import bare_text, failed_units, is_bare
from ..models.trouble import (
    STYLE,
    Level,
    completed,
    counts,
    host_level,
    is_up,
    link_level,
    link_text,
    notes_text,
    worst_text,
)
from ..paint import Spans, fit, meter
from . import cells
from .column import Column


def _dimmed(view: HostView, now: float, spans: Spans) -> Spans:
    """Last known values of a host that is out of reach are dimmed."""
    return spans if view.fresh(now) else tuple((text, "faint") for text, _ in spans)


def _name(view: HostView, now: float, width: int) -> Spans:
    level = host_level(view, now)
    style = STYLE[level] if level >= Level.WARN else "strong"
    production = ((" PROD", "mark"),) if view.info.production else ()
    locked = ((" ro", "dim"),) if view.info.read_only else ()
    return fit(((view.name, style), *production, *locked), width)


def _link(view: HostView, now: float, _: int) -> Spans:
    level = link_level(view, now)
    return ((link_text(view, now), "ok" if level is Level.FINE else STYLE[level]),)


def _services(view: HostView, now: float, _: int) -> Spans:
    if not view.instances:
        return cells.NOTHING
    up = sum(is_up(one.status) for one in view.instances.values())
    wanted = sum(not completed(one.status) for one in view.instances.values())
    return _dimmed(view, now, ((f"{up}/{wanted}", "warn" if any(counts(view)) else "" if up == wanted else "dim"),))


def _alert(view: HostView, now: float, _: int) -> Spans:
    bad, warn = counts(view)
    if bad:
        return _dimmed(view, now, ((f"crit {bad}", "bad"),))
    return _dimmed(view, now, ((f"warn {warn}", "warn"),)) if warn else cells.NOTHING


def _what(view: HostView, now: float, _: int) -> Spans:
    if view.link.detail and not view.fresh(now):
        return cells.text(view.link.detail, "dim")
    if view.agent and view.agent.config_error:
        return cells.text(f"configuration refused: {view.agent.config_error}", "warn")
    if view.trouble:
        return cells.text(view.trouble, "warn")
    if is_bare(view):
        return _dimmed(view, now, cells.text(bare_text(view), "warn" if failed_units(view) else "dim"))
    worst = max((one.level for one in view.instances.values()), default=Level.FINE)
    if view.notes and worst < Level.WARN:
        return _dimmed(view, now, cells.text(notes_text(view), "warn"))
    return _dimmed(view, now, cells.text(worst_text(view), STYLE[worst]))


def _cpu(view: HostView, now: float, width: int) -> Spans:
    value = view.status.cpu_percent if view.status and view.status.HasField("cpu_percent") else None
    return _dimmed(view, now, cells.load(view.cpu, value, width))


def _memory(view: HostView, now: float, width: int) -> Spans:
    if not view.status or not view.status.memory_total_bytes:
        return cells.NOTHING
    used, total = view.status.memory_used_bytes, view.status.memory_total_bytes
    numbers = (
        f"{used / 1024**3:.1f}/{format_size(total)}"
        if total >= 1024**3
        else f"{format_size(used)}/{format_size(total)}"
    )
    style = cells.heat(used / total)
    if width < 16:
        return _dimmed(view, now, ((numbers, style),))
    full, empty = meter(used / total, width - 11)
    return _dimmed(view, now, ((full, style or "g2"), (empty, "faint"), (numbers.rjust(11), style)))


def _disk(view: HostView, now: float, _: int) -> Spans:
    if not view.status or not view.status.disk_used_percent:
        return cells.NOTHING
    value = view.status.disk_used_percent
    return _dimmed(view, now, ((f"{value:.0f} %", cells.heat(value / 100)),))


def _backup(view: HostView, now: float, _: int) -> Spans:
    if not view.status or not view.status.last_backup_ns:
        return (("none", "dim"),) if view.status else cells.NOTHING
    age = view.instance_age(view.status.last_backup_ns, now)
    return _dimmed(view, now, ((format_age(age), "" if age < 26 * 3600 else "warn"),))


def _up(view: HostView, now: float, _: int) -> Spans:
    return _dimmed(view, now, cells.age(view.status.uptime_seconds if view.status else None))


def _load(view: HostView, now: float, _: int) -> Spans:
    if not view.status:
        return cells.NOTHING
    return _dimmed(
        view, now, ((f"{view.status.load1:.2f}", cells.heat(view.status.load1 / max(1, view.status.cpus) / 2)),)
    )


def _memory_share(view: HostView) -> float:
    return (
        view.status.memory_used_bytes / view.status.memory_total_bytes
        if view.status and view.status.memory_total_bytes
        else -1
    )


FLEET: tuple[Column[HostView], ...] = (
    Column("", 1, lambda view, now, _: cells.sign(host_level(view, now))),
    Column("HOST", 15, _name, grow=2, most=24, sort=lambda view, _: view.name),
    Column("LINK", 16, _link, sort=lambda view, now: link_text(view, now)),
    Column("SVC", 4, _services, "right", sort=lambda view, _: -len(view.instances)),
    Column("ALERT", 7, _alert, sort=lambda view, _: tuple(-n for n in counts(view))),
    Column(
        "CPU",
        6,
        _cpu,
        "right",
        priority=1,
        grow=3,
        most=27,
        sort=lambda view, _: -(view.cpu[-1] if view.cpu else -1),
    ),
    Column("MEM", 9, _memory, "right", priority=2, grow=3, most=22, sort=lambda view, _: -_memory_share(view)),
    Column(
        "DISK",
        5,
        _disk,
        "right",
        priority=3,
        sort=lambda view, _: -(view.status.disk_used_percent if view.status else -1),
    ),
    Column("LOAD", 5, _load, "right", priority=6, sort=lambda view, _: -(view.status.load1 if view.status else -1)),
    Column(
        "UP", 6, _up, "right", priority=7, sort=lambda view, _: -(view.status.uptime_seconds if view.status else -1)
    ),
    Column(
        "BACKUP", 6, _backup, "right", priority=4, sort=lambda view, _: view.status.last_backup_ns if view.status else 0
    ),
    Column("WHAT", 18, _what, priority=8, grow=4, most=60),
)
