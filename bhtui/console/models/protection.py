"""How well services are protected by backups: a row a service, with its days. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import Enum

from bhtui.rpc.blackhole.v1 import backup_pb2

from .host import HostView

DAYS = 35
"""Five weeks: a monthly backup is always among them."""


class Day(Enum):
    """What one day has."""

    FULL = "full"
    INCREMENTAL = "incremental"
    BAD = "bad"
    """Backups, and each has a known problem."""
    GAP = "gap"
    """None, though there were some before."""
    BEFORE = "before"
    """None yet."""
    OPEN = "open"
    """Today, and none so far."""


@dataclass(frozen=True, slots=True)
class Protected:
    """One service of one host that has data."""

    host: HostView
    state: backup_pb2.ServiceProtection
    snapshots: tuple[backup_pb2.BackupSnapshot, ...]
    """Newest first."""
    running: backup_pb2.BackupProgress | None

    @property
    def service(self) -> str:
        return self.state.service

    @property
    def key(self) -> str:
        return f"{self.host.name} {self.service}"

    @property
    def problem(self) -> str:
        """What is wrong; empty: nothing."""
        if self.state.error:
            return self.state.error
        if self.state.drill_problem:
            return f"the last drill failed: {self.state.drill_problem}"
        bad = next((one.problem for one in self.snapshots[:1] if one.problem), "")
        return f"the newest has a problem: {bad}" if bad else ""

    @property
    def rank(self) -> int:
        """How urgent it is, 0 most."""
        return 0 if self.state.late else 1 if self.problem else 2 if not self.state.last_good_ns else 3


def protected(views: Iterable[HostView]) -> list[Protected]:
    """Every service with data, the worst first."""
    found = []
    for view in views:
        if view.backups is None:
            continue
        running = {one.service: one for one in view.backups.running}
        for state in view.backups.services:
            mine = tuple(one for one in view.backups.snapshots if state.service in one.services)
            found.append(Protected(view, state, mine, running.get(state.service)))
    return sorted(found, key=lambda one: (one.rank, one.host.name, one.service))


def days(
    snapshots: Sequence[backup_pb2.BackupSnapshot], now: float, zone: tzinfo | None, count: int = DAYS
) -> list[Day]:
    """The last days, today last. `now` in Unix seconds; a day is one of the zone's, None: that of this machine."""
    by_day: dict[object, list[backup_pb2.BackupSnapshot]] = {}
    for one in snapshots:
        by_day.setdefault(datetime.fromtimestamp(one.time_ns / 1e9, zone).date(), []).append(one)
    today = datetime.fromtimestamp(now, zone).date()
    first = min(by_day, default=None, key=str)
    found = []
    for back in range(count - 1, -1, -1):
        day = today - timedelta(days=back)
        if mine := by_day.get(day):
            good = [one for one in mine if not one.problem]
            kind = Day.FULL if any(one.type == "full" for one in good) else Day.INCREMENTAL
            found.append(kind if good else Day.BAD)
        elif not back:
            found.append(Day.OPEN)
        else:
            found.append(Day.GAP if first is not None and str(day) > str(first) else Day.BEFORE)
    return found


def remaining(running: backup_pb2.BackupProgress) -> float | None:
    """Seconds until it is done, if it goes on as so far; None: nobody knows."""
    if not running.bytes or running.bytes_total <= running.bytes or running.seconds < 1:
        return None
    return (running.bytes_total - running.bytes) * running.seconds / running.bytes
