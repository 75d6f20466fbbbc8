"""How well services are protected, out of what hosts say of their backups."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bhtui.console.models.host import HostView
from bhtui.console.models.protection import DAYS, Day, days, protected, remaining
from bhtui.console.sources.message import HostInfo
from bhtui.rpc.blackhole.v1 import backup_pb2

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC).timestamp()


def snapshot(age_days: float, kind: str = "incremental", problem: str = "") -> backup_pb2.BackupSnapshot:
    return backup_pb2.BackupSnapshot(
        id=f"{age_days}", time_ns=int((NOW - age_days * 86400) * 1e9), type=kind, services=["api"], problem=problem
    )


def test_each_day_has_the_best_it_got():
    found = days(
        [snapshot(0.1), snapshot(1), snapshot(1.2, "full"), snapshot(3, problem="x"), snapshot(4)], NOW, UTC, 6
    )
    assert found == [Day.BEFORE, Day.INCREMENTAL, Day.BAD, Day.GAP, Day.FULL, Day.INCREMENTAL]


def test_today_is_open_until_there_is_one_and_days_before_the_first_are_no_gaps():
    assert days([snapshot(2)], NOW, UTC, 4) == [Day.BEFORE, Day.INCREMENTAL, Day.GAP, Day.OPEN]
    assert days([], NOW, UTC) == [Day.BEFORE] * (DAYS - 1) + [Day.OPEN]


def view(name: str, *states: backup_pb2.ServiceProtection, **more: object) -> HostView:
    return HostView(HostInfo(name), backups=backup_pb2.ListBackupsResponse(services=states, **more))


def test_the_worst_comes_first():
    state = backup_pb2.ServiceProtection
    rows = protected(
        [
            view("b", state(service="fine", last_good_ns=1), state(service="never")),
            view("a", state(service="late", late=True, last_good_ns=1), state(service="failed", error="no space")),
            HostView(HostInfo("silent")),
        ]
    )
    assert [row.key for row in rows] == ["a late", "a failed", "b never", "b fine"]


def test_a_problem_is_of_the_last_attempt_the_drill_or_the_newest():
    state = backup_pb2.ServiceProtection
    drilled = view("a", state(service="api", drill_problem="not well"), snapshots=[snapshot(1, problem="cut")])
    (row,) = protected([drilled])
    assert row.problem == "the last drill failed: not well"
    (row,) = protected([view("a", state(service="api"), snapshots=[snapshot(1, problem="cut")])])
    assert row.problem == "the newest has a problem: cut"
    assert len(row.snapshots) == 1


@pytest.mark.parametrize(("done", "total", "seconds", "left"), [(50, 100, 10, 10), (0, 100, 10, None), (9, 0, 5, None)])
def test_how_long_it_still_takes(done: int, total: int, seconds: float, left: float | None):
    running = backup_pb2.BackupProgress(bytes=done, bytes_total=total, seconds=seconds)
    assert remaining(running) == left
