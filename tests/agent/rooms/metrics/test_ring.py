import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics.points import Points, Steps
from bhtui.agent.rooms.metrics.ring import Ring

SECOND = 1_000_000_000
KEYS = [("a", "x"), ("a", "y"), ("b", "x")]
values = st.sampled_from([0.0, 0.0, 0.0, 1.0, 1e6])
ticks = st.lists(st.dictionaries(st.sampled_from(KEYS), values), max_size=30)


def plain(values):
    return [None if math.isnan(value) else value for value in values]


def filled(rows, size=8):
    ring = Ring(size)
    for number, row in enumerate(rows, 1):
        ring.append(number * SECOND, row)
    return ring


@given(ticks, st.integers(0, 30))
def test_it_keeps_the_last_ticks_of_each_series(rows, since):
    ring = filled(rows)
    seen = {key: number for number, row in enumerate(rows, 1) for key in row}
    last = range(max(1, len(rows) - 7), len(rows) + 1)
    assert ring.keys == sorted(key for key, number in seen.items() if len(rows) - number < 8)
    for key in ring.keys:
        found = ring.read(key, since * SECOND, 100 * SECOND, 0)
        wanted = [(number * SECOND, rows[number - 1].get(key)) for number in last if number > since]
        assert list(zip(found.times_ns, plain(found.means), strict=True)) == wanted
    assert ring.first_ns == (last[0] * SECOND if rows else None)


@given(ticks, st.integers(0, 30))
def test_many_ticks_at_once_are_as_one_after_the_other(rows, cut):
    times = [number * SECOND for number in range(1, len(rows) + 1)]
    one, ring = filled(rows), filled(rows[:cut])
    rest = rows[cut:]
    keys = {key for row in rest for key in row}
    columns = {key: array("f", [row.get(key, math.nan) for row in rest]) for key in keys}
    if rest:
        ring.extend(times[cut:], columns)
    for key in one.keys:
        expected, found = one.read(key, 0, 100 * SECOND, 0), ring.read(key, 0, 100 * SECOND, 0)
        assert (list(found.times_ns), plain(found.means)) == (list(expected.times_ns), plain(expected.means))


@given(ticks, st.integers(1, 20))
def test_another_size_keeps_what_it_has_room_for(rows, size):
    ring, expected = filled(rows).resized(size), filled(rows, min(size, 8))
    for key in expected.keys:
        found, wanted = ring.read(key, 0, 100 * SECOND, 0), expected.read(key, 0, 100 * SECOND, 0)
        assert plain(found.means) == plain(wanted.means)
        assert list(found.times_ns) == list(wanted.times_ns)


def test_steps_have_mean_least_and_greatest_and_gaps_stay_gaps():
    ring = Ring(10)
    for number, value in enumerate([1.0, 3.0, None, 8.0, None, None], 1):
        ring.append(number * SECOND, {("a", "x"): value} if value is not None else {})
    found = ring.read(("a", "x"), 0, 10 * SECOND, 2 * SECOND)
    assert list(found.times_ns) == [2 * SECOND, 4 * SECOND, 6 * SECOND]
    assert [plain(column) for column in (found.means, found.lows, found.highs)] == [
        [2.0, 8.0, None], [1.0, 8.0, None], [3.0, 8.0, None],
    ]  # fmt: skip
    assert ring.read(("none", "x"), 0, 10 * SECOND, 0) == Points()


@given(st.lists(st.tuples(st.integers(1, 40), st.one_of(values, st.just(math.nan)))), st.integers(1, 7))
def test_steps_are_those_of_a_plain_count_also_when_time_goes_back(points, step):
    times, means = [time for time, _ in points], [value for _, value in points]
    found = Steps(times, step).summarised(means)
    for end, mean, low, high in zip(found.times_ns, found.means, found.lows, found.highs, strict=True):
        mine = [value for time, value in points if end - step < time <= end and not math.isnan(value)]
        if mine:
            assert (mean, low, high) == (pytest.approx(sum(mine) / len(mine)), min(mine), max(mine))
        else:
            assert math.isnan(mean) and math.isnan(low) and math.isnan(high)
    assert set(found.times_ns) == {-(-time // step) * step for time in times}


def test_its_space_is_bounded():
    ring = Ring(3600)
    for number in range(4000):
        ring.append(number, {(f"old-{number % 50}" if number < 50 else "a", "x"): 1.0})
    assert ring.keys == [("a", "x")]
    assert ring.size_bytes == 3600 * 8  # it never changed
    ring.append(4000, {("a", "x"): 2.0})
    assert ring.size_bytes == 3600 * 8 + 3600 * 4
    found = ring.read(("a", "x"), 3990, 4000, 0)
    assert list(found.means) == [1.0] * 9 + [2.0]


def test_a_value_keeps_seven_digits():
    ring = Ring(2)
    ring.append(1, {("a", "x"): 123_456_789_012.0})
    assert ring.read(("a", "x"), 0, 1, 0).means[0] == pytest.approx(123_456_789_012, rel=1e-7)


@given(st.lists(st.tuples(st.integers(1, 40), st.dictionaries(st.sampled_from(KEYS), values)), max_size=40))
def test_after_the_clock_was_set_back_times_only_grow_and_the_newest_counts(rows):
    ring, known = Ring(8), []
    for number, row in rows:
        ring.append(number * SECOND, row)
        # What is in the ring after each tick: of those before it that are earlier, the last of eight ticks.
        while known and known[-1][0] >= number:
            known.pop()
        known = [*known, (number, row)][-8:]
        found = ring.read(KEYS[0], 0, 100 * SECOND, 0)
        times = list(ring.reader(0, 100 * SECOND, 0).times_ns)
        assert times == [number * SECOND for number, _ in known][len(known) - len(times) :]
        assert ring.first_ns == times[0]
        expected = {number * SECOND: row.get(KEYS[0]) for number, row in known}
        assert all(expected[time] == value for time, value in zip(found.times_ns, plain(found.means), strict=True))
