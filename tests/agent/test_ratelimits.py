"""What is over a rate limit is told once when it begins, once when it is over, and never twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.events.log import EventLog
from bhtui.agent.ratelimits import QUIET_SECONDS, RateLimits
from bhtui.agent.store import Store

PATH, SECOND = "/l/api/api-1.log", 1_000_000_000


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventLog]:
    store = Store(tmp_path / "agent.db")
    yield EventLog(store)
    store.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


def limited(lines: int, last_ns: int, seconds: float = 30.0) -> dict[str, dict[str, Any]]:
    return {PATH: {"lines": lines, "bytes": lines * 10, "last_ns": last_ns, "limit": "9 lines in 30 s",
                   "seconds": seconds}}  # fmt: skip


def test_a_flood_is_told_when_it_begins_and_when_it_is_over(events: EventLog) -> None:
    clock = Clock()
    limits = RateLimits(events, clock)
    limits.take({})
    for lines in (5, 900, 1800):
        limits.take(limited(lines, clock.now))
        clock.now += 10 * SECOND
    last = clock.now - 10 * SECOND
    for _ in range(3):
        clock.now += int(QUIET_SECONDS * SECOND)
        limits.take(limited(1800, last))
    limits.take(limited(1801, clock.now))
    told = [(each.kind, each.target, each.message, each.data["lines"], each.data["over"]) for each in events.read()]
    begins = "api-1 writes more than its rate limit of 9 lines in 30 s; what is over it is dropped and counted"
    over = "api-1 is within its rate limit again: 1800 lines (18 K) were dropped in 20 s"
    kind = "logs.limited"
    assert told == [(kind, "api-1", begins, 5, False), (kind, "api-1", over, 1800, True),
                    (kind, "api-1", begins, 1, False)]  # fmt: skip


def test_what_an_agent_before_has_told_is_not_told_again(events: EventLog) -> None:
    clock = Clock()
    limits = RateLimits(events, clock)
    limits.take(limited(70, clock.now - 3 * SECOND))
    assert events.read() == []
    found = limits.of(Path(PATH))
    assert found
    assert (found.lines, found.bytes, found.seconds, found.limit) == (70, 700, 3.0, "9 lines in 30 s")
    assert limits.of(Path("/l/api/api-2.log")) is None
    assert list(limits.rows()) == [(("api", "api-1", "rate_limit"), 70)]


def test_another_keeper_counts_from_nought(events: EventLog) -> None:
    clock = Clock()
    limits = RateLimits(events, clock)
    limits.take({})
    limits.take(limited(70, clock.now))
    limits.take(limited(3, clock.now))
    assert [each.data["lines"] for each in events.read()] == [70, 3]


def test_a_long_stretch_is_not_over_before_the_next_has_passed(events: EventLog) -> None:
    clock = Clock()
    limits = RateLimits(events, clock)
    limits.take({})
    limits.take(limited(1, clock.now, 3600.0))
    last = clock.now
    clock.now += 7100 * SECOND
    limits.take(limited(1, last, 3600.0))
    assert len(events.read()) == 1
    clock.now += 200 * SECOND
    limits.take(limited(1, last, 3600.0))
    assert [each.data["over"] for each in events.read()] == [False, True]
