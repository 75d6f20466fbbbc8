"""`maintenance`: what is done at regular intervals."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim
from pydantic import BeforeValidator, Field

from bhtui.core.maintenance import WindowSpec

from .fields import Name, Period, Section, Wait, cron, text

DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
DAYS = re.compile(rf"(?:({DAY}(?:[-,]{DAY})*)\s+)?([0-9]{{1,2}}):([0-9]{{2}})", re.IGNORECASE)
GAPS = 40
"""Beginnings of a window that are looked at to see whether it ever closes."""


def window_start(value: Any) -> str:
    """`Sun 02:00`, `02:00`, or cron's own fields, as those. Raises ValueError."""
    written = text(value).strip()
    if match := DAYS.fullmatch(written):
        days, hour, minute = match[1] or "*", int(match[2]), int(match[3])
        if hour > 23 or minute > 59:
            raise ValueError(f"{written!r} is no time of a day")
        return cron(f"{minute} {hour} * * {days.upper()}")
    try:
        return cron(written)
    except ValueError as error:
        raise ValueError(f"{error}; or a day and a time like 'Sun 02:00'") from None


def time_zone(value: Any) -> str:
    """The name of a time zone that this machine knows. Raises ValueError."""
    written = text(value)
    try:
        return ZoneInfo(written).key
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{written!r} is no time zone like Europe/Berlin that is known here") from None


WindowStart = Annotated[str, BeforeValidator(window_start)]
TimeZone = Annotated[str, BeforeValidator(time_zone)]

Task = Literal[
    "clean_temp_files", "rotate_logs", "compact_database", "defragment_storage", "rebuild_indexes", "analyze_tables",
    "check_updates", "update_geoip", "refresh_certificates",
]  # fmt: skip


class Round(Section):
    """Some tasks, in order. In an interval, `m` is a month; minutes are `min`."""

    interval: Period
    """Time between two rounds; `m` is a month, minutes are `min`."""
    tasks: Annotated[list[Task], Field(min_length=1)]
    """What is done, in order."""


class MaintenanceWindow(Section):
    """A time in which nothing is restarted by itself: what ends stays down until it is over."""

    name: Name
    """What status and events call it."""
    start: WindowStart
    """When it opens: `Sun 02:00`, `Mon-Fri 22:30`, `02:00` for every day, or five fields as cron has them."""
    duration: Wait
    """How long it is open."""
    services: list[Name] = Field(default_factory=list)
    """Whom it holds; left out: all services."""
    timezone: TimeZone = ""
    """`Europe/Berlin`; left out: that of the host."""

    def spec(self) -> WindowSpec:
        """As a core value."""
        return WindowSpec(self.name, self.start, self.duration, tuple(self.services), self.timezone)

    def is_endless(self) -> bool:
        """Whether it opens again before it closes, each time."""
        found = CronSim(self.start, datetime(2024, 1, 1, tzinfo=UTC))
        starts = [start for start, _ in zip(found, range(GAPS), strict=False)]
        return all(later - start <= timedelta(seconds=self.duration) for start, later in pairwise(starts))


class Maintenance(Section):
    """The section."""

    windows: list[MaintenanceWindow] = Field(default_factory=list)
    """Times in which automatic restarts are held; what people ask for is done as ever."""

    schedule: dict[Name, Round] = Field(default_factory=dict)
    """Rounds by name. Checked only: this version does not act on it."""
