"""A clock that somebody sets is told once, with by how much; one that is only slow or fast is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.agent.clockwatch import SECOND, ClockWatch, duration_text
from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store

NOW = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventLog]:
    store = Store(tmp_path / "agent.db")
    yield EventLog(store)
    store.close()


def test_each_step_is_told_once_and_to_all(events: EventLog) -> None:
    now, steady, told = NOW, 0, []
    watch = ClockWatch(events, (told.append, told.append), lambda: now, lambda: steady)
    for passed, step in ((60, 0), (1, 3600), (1, 0), (30, -86_400)):
        steady += passed * SECOND
        now += (passed + step) * SECOND
        watch.look()
    assert told == [3600 * SECOND] * 2 + [-86_400 * SECOND] * 2
    messages = [(each.kind, each.data["seconds"], each.message.partition("; ")[0]) for each in events.read()]
    assert messages == [
        ("clock.set", 3600.0, "the clock of the host was set forward by 1 h: what was 2026-01-01T00:01:01Z is "
         "2026-01-01T01:01:01Z now"),
        ("clock.set", -86_400.0, "the clock of the host was set back by 1 d: what was 2026-01-01T01:01:32Z is "
         "2025-12-31T01:01:32Z now"),
    ]  # fmt: skip


def test_a_clock_that_is_mended_slowly_was_not_set(events: EventLog) -> None:
    now, steady, told = NOW, 0, []
    watch = ClockWatch(events, (told.append,), lambda: now, lambda: steady)
    for _ in range(100):
        steady += SECOND
        now += SECOND * 108 // 100
        watch.look()
    assert told == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1 s"), (63, "1 min 3 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (86_405, "1 d")]
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text
