"""When the next backup is made. Pure: the clock, the zone and the name of the host are arguments.

A moment comes due when cron says so by the host's clock, later by the host's own part of the jitter, which never
changes: many hosts do not begin at once, and each is still found at its usual time. What was handled last is
remembered, so a moment that passed while the host was down is still due when it is back; of several only the last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from cronsim import CronSim

from bhtui.core.backup import BackupSchedule, BackupType

SECOND = 1_000_000_000
LATE_SECONDS = 90.0
"""A moment that is found due later than this was missed, and is made up for only where that is wanted."""


@dataclass(frozen=True, slots=True)
class Due:
    """A backup that is to be made now."""

    type: BackupType
    moment_ns: int
    """When it came due."""
    missed: bool
    """Whether that is longer ago than it takes to notice."""


def offset_ns(schedule: BackupSchedule, host: str) -> int:
    """This host's part of the jitter."""
    digest = hashlib.sha256(host.encode()).digest()
    return int(schedule.jitter * SECOND * int.from_bytes(digest[:6], "big") / (1 << 48))


def expressions(schedule: BackupSchedule) -> dict[BackupType, str]:
    """By type: when it is made."""
    both = {BackupType.FULL: schedule.full, BackupType.INCREMENTAL: schedule.incremental}
    return {type_: cron for type_, cron in both.items() if cron}


def next_ns(schedule: BackupSchedule, host: str, zone: tzinfo, now_ns: int) -> dict[BackupType, int]:
    """When each comes due next, after `now_ns`."""
    late = offset_ns(schedule, host)
    found: dict[BackupType, int] = {}
    for type_, cron in expressions(schedule).items():
        moment = next(CronSim(cron, _at((now_ns - late) // SECOND, zone)), None)
        if moment is not None:
            found[type_] = round(moment.timestamp()) * SECOND + late
    return found


def due(
    schedule: BackupSchedule, handled: Mapping[str, int], host: str, zone: tzinfo, now_ns: int
) -> tuple[Due | None, dict[str, int]]:
    """What is to be made now, and what was handled once it is. `handled` is by type; what it lacks begins now.

    Where both types are due the full one is made, which is as good as the other.
    """
    late = offset_ns(schedule, host)
    settled: dict[str, int] = {}
    found: list[Due] = []
    for type_, cron in expressions(schedule).items():
        before = min(handled.get(type_, now_ns), now_ns)  # a clock that was set back begins anew
        moment = latest(cron, zone, now_ns - late)
        settled[type_] = before
        if moment is not None and moment + late > before:
            settled[type_] = moment + late
            missed = now_ns - (moment + late) > LATE_SECONDS * SECOND
            if schedule.catch_up or not missed:
                found.append(Due(type_, moment + late, missed))
    return (found[0] if found else None), settled


def latest(cron: str, zone: tzinfo, now_ns: int) -> int | None:
    """The last moment at or before `now_ns`."""
    # CronSim looks before its start, so from the next second one that is now counts.
    moment = next(CronSim(cron, _at(now_ns // SECOND + 1, zone), reverse=True), None)
    return None if moment is None else round(moment.timestamp()) * SECOND


def _at(seconds: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(seconds, zone)
