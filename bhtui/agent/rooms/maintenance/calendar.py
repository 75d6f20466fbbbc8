"""When a declared window is open, and when that changes. Pure.

A window begins when cron says so in its time zone: what falls into the hour that is left out in spring begins right
after it, what falls into the hour that comes twice in autumn begins once. It lasts as many seconds as are declared.
Windows that meet or overlap are one long one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from cronsim import CronSim

from bhtui.core.maintenance import WindowSpec

SECOND = 1_000_000_000
MOST = 400
"""Windows that are put together to one; what follows later is another."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, Unix nanoseconds; the end is outside."""

    begin_ns: int
    end_ns: int


def open_span(window: WindowSpec, zone: tzinfo, now_ns: int) -> Span | None:
    """The time for which it is open at `now_ns`; None: it is not."""
    length = round(window.duration * SECOND)
    begin = _latest(window, zone, now_ns)
    if begin is None or now_ns >= begin + length:
        return None
    return Span(begin, _end(window, zone, begin, length))


def next_span(window: WindowSpec, zone: tzinfo, now_ns: int) -> Span | None:
    """When it opens next, after the present time is over if it is open; None: never again."""
    now = open_span(window, zone, now_ns)
    begin = _next(window, zone, now.end_ns - 1 if now else now_ns)
    length = round(window.duration * SECOND)
    return None if begin is None else Span(begin, _end(window, zone, begin, length))


def _end(window: WindowSpec, zone: tzinfo, begin: int, length: int) -> int:
    end = begin + length
    for _ in range(MOST):
        begin_ = _next(window, zone, begin)
        if begin_ is None or begin_ > end:
            break
        begin, end = begin_, begin_ + length
    return end


def _latest(window: WindowSpec, zone: tzinfo, now_ns: int) -> int | None:
    """The last beginning at or before `now_ns`."""
    # One that was just begun counts, so it is looked for from the next second backwards.
    found = CronSim(window.start, _at(now_ns // SECOND + 1, zone), reverse=True)
    return _first(found)


def _next(window: WindowSpec, zone: tzinfo, now_ns: int) -> int | None:
    """The first beginning after `now_ns`."""
    return _first(CronSim(window.start, _at(now_ns // SECOND, zone)))


def _at(seconds: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(seconds, zone)


def _first(found: CronSim) -> int | None:
    moment = next(found, None)
    return None if moment is None else round(moment.timestamp()) * SECOND
