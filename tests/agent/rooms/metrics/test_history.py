import asyncio
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics import history as under_test
from bhtui.agent.rooms.metrics.archive import HOUR_NS, STEP_NS
from bhtui.agent.rooms.metrics.history import History
from bhtui.core.spec import MetricsSpec

SECOND = 1_000_000_000
KEY = ("api-1", "cpu_percent")


async def fill(history: History, first: int, last: int, step: int = 10) -> None:
    """A tick every so many seconds, of the number of the second."""
    for number in range(first, last, step):
        history.append(number * SECOND, {KEY: float(number)})
        await asyncio.wrap_future(history._writing)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(under_test, "SLACK", 60)
    monkeypatch.setattr(under_test, "BREATH", 0)
    return tmp_path


def known(points):
    return {time // SECOND: value for time, value in zip(points.times_ns, points.means, strict=True) if value == value}


async def test_what_the_ring_has_no_more_comes_from_the_archive(folder):
    history = History(folder, MetricsSpec(fine=300))  # of ticks 10 s apart: a ring of an hour
    await fill(history, 0, 3 * 3600)
    edge = history._ring.first_ns // SECOND
    found = (await history.read([KEY], 1, 3 * HOUR_NS, 0))[KEY]
    assert known(found) == {number: pytest.approx(number, rel=1e-3) for number in range(10, 3 * 3600, 10)}
    assert all(known(found)[number] == number for number in range(edge, 3 * 3600, 10))
    assert list(found.times_ns) == sorted(set(found.times_ns))
    by_minutes = (await history.read([KEY], HOUR_NS // 2, 3 * HOUR_NS, 60 * SECOND))[KEY]
    assert len(by_minutes.times_ns) == 150
    assert by_minutes.lows[0] == pytest.approx(1810, rel=1e-3) and by_minutes.highs[0] == pytest.approx(1860, rel=1e-3)
    assert await history.keys(1) == [KEY]
    assert (await history.read([KEY], 3 * HOUR_NS - 60 * SECOND, 3 * HOUR_NS, 0))[KEY].lows == ()
    await history.close()


async def test_an_hour_that_ended_while_nobody_looked_is_archived_by_the_next(folder):
    first = History(folder, MetricsSpec(fine=3600))
    await fill(first, 0, 3600)  # killed just before the hour is over
    second = History(folder, MetricsSpec(fine=3600))
    await second.load(3700 * SECOND)
    await fill(second, 3700, 3800)
    assert second._past.missing([0]) == []
    found = (await second.read([KEY], -1, HOUR_NS, 0))[KEY]
    assert set(known(found)) >= set(range(50, 3600, 10))
    await first.close()
    await second.close()


async def test_another_configuration_holds_at_once(folder):
    history = History(folder, MetricsSpec(fine=300))
    await fill(history, 0, 1000)
    history.follow(MetricsSpec(fine=60, coarse=3600, space=1 << 20))
    assert history._ring.ticks == 120
    assert known((await history.read([KEY], 500 * SECOND, 1000 * SECOND, 0))[KEY])[990] == 990
    await history.close()


async def test_a_disk_that_is_too_slow_costs_ticks_on_it_and_nothing_else(folder, monkeypatch):
    import threading

    gate = threading.Event()
    history = History(folder, MetricsSpec(fine=300))
    monkeypatch.setattr(history._tape, "append", lambda *_: gate.wait(30))
    for number in range(5):
        history.append(number * SECOND, {KEY: 1.0})
    assert history.lost == 4
    assert len((await history.read([KEY], -1, 10 * SECOND, 0))[KEY].times_ns) == 5
    gate.set()
    await history.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=12))
async def test_archived_or_not_a_step_is_the_same(tmp_path_factory, pauses):
    """Every answer for steps of ten seconds is that of a plain count, wherever it comes from."""
    folder: Path = tmp_path_factory.mktemp("history")
    history, now, ticks = History(folder, MetricsSpec(fine=60)), 0, {}
    for pause in pauses:
        now += pause * SECOND
        ticks[now] = float(pause)
        history.append(now, {KEY: float(pause)})
        await asyncio.wrap_future(history._writing)
    found = (await history.read([KEY], 0, now, STEP_NS))[KEY]
    groups: dict[int, list[float]] = {}
    for time, value in ticks.items():
        groups.setdefault(-(-time // STEP_NS) * STEP_NS, []).append(value)
    values = {time: value for time, value in zip(found.times_ns, found.means, strict=True) if not math.isnan(value)}
    assert values == {time: pytest.approx(sum(mine) / len(mine), rel=1e-3) for time, mine in groups.items()}
    await history.close()


async def test_a_clock_that_is_put_right_leaves_neither_hole_nor_lie(folder):
    history = History(folder, MetricsSpec(fine=600))
    hour = HOUR_NS // SECOND
    await fill(history, 0, 1200)
    await fill(history, hour + 1200, hour + 1500)  # an hour forward: the first one is put into the archive half done
    await fill(history, 1500, hour + 60)  # and back
    recent = (await history.read([KEY], (hour - 600) * SECOND, (hour + 60) * SECOND, 0))[KEY]
    assert set(known(recent)) == set(range(hour - 590, hour + 60, 10))
    whole = history._past.read(KEY, 0, HOUR_NS)
    assert set(known(whole)) >= {*range(10, 1200, 10), *range(1500, hour, 10)}
    await history.close()


async def test_a_clock_set_back_a_day_has_samples_at_once_and_another_agent_too(folder):
    day = 24 * 3600
    history = History(folder, MetricsSpec(fine=600))
    await fill(history, day + 100, day + 300)
    await fill(history, 300, 400)
    assert set(known((await history.read([KEY], 0, 400 * SECOND, 0))[KEY])) == set(range(300, 400, 10))
    await history.close()
    after = History(folder, MetricsSpec(fine=600))
    await after.load(410 * SECOND)
    assert set(known((await after.read([KEY], 0, 410 * SECOND, 0))[KEY])) == set(range(300, 400, 10))
    await after.close()
