"""Which windows there are at a moment, and what holds a service. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo

from bhtui.core.maintenance import Window, WindowSpec

from .book import Entry
from .calendar import SECOND, Span, next_span, open_span

Zones = Callable[[str], tzinfo]
"""A time zone by its name; empty: that of the host."""


def windows_at(
    declared: Iterable[WindowSpec],
    opened: Iterable[Entry],
    closed: Mapping[str, int],
    zones: Zones,
    now_ns: int,
) -> list[Window]:
    """Every window: those that are open first, then by when they open next.

    `closed` has the declared ones that do not count until a moment.
    """
    found = [_declared(spec, closed.get(spec.name, 0), zones, now_ns) for spec in declared]
    found += [_opened(entry) for entry in opened if entry.until_ns > now_ns]
    return sorted(found, key=lambda each: (not each.open, each.from_ns == 0, each.from_ns))


def _opened(entry: Entry) -> Window:
    return Window(
        entry.id, entry.services, True, entry.from_ns, entry.until_ns, actor=entry.actor, reason=entry.reason
    )  # fmt: skip


def _declared(spec: WindowSpec, closed_until: int, zones: Zones, now_ns: int) -> Window:
    zone = zones(spec.timezone)
    now = open_span(spec, zone, now_ns)
    is_open = now is not None and closed_until <= now_ns
    span = (now if is_open else next_span(spec, zone, now_ns)) or Span(0, 0)
    return Window(
        spec.name, spec.services, is_open, span.begin_ns, span.end_ns, start=spec.start, timezone=spec.timezone
    )


def next_change(windows: Sequence[Window]) -> int | None:
    """When a window opens or closes next, Unix nanoseconds; None: never."""
    moments = [each.until_ns if each.open else each.from_ns for each in windows]
    return min((moment for moment in moments if moment), default=None)


def holding(windows: Iterable[Window], service: str, zones: Zones, now_ns: int) -> str:
    """`maintenance window "night" until 03:00`, of the one that is open longest; empty: none holds this service."""
    mine = [each for each in windows if each.concerns(service)]
    if not mine:
        return ""
    last = max(mine, key=lambda each: each.until_ns)
    return f'maintenance window "{last.id}" until {clock_text(last.until_ns, zones(""), now_ns)}'


def clock_text(moment_ns: int, zone: tzinfo, now_ns: int) -> str:
    """`03:00`, `Sun 03:00` on another day of the next six, `2026-03-29 03:00` later: by the clock of the host."""
    moment, now = (datetime.fromtimestamp(ns / SECOND, zone) for ns in (moment_ns, now_ns))
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return f"{moment:%a %H:%M}" if 0 < (moment.date() - now.date()).days < 7 else f"{moment:%Y-%m-%d %H:%M}"
