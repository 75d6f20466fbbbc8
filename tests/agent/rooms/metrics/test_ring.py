import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics.ring import Ring

SECOND = 1_000_000_000
values = st.one_of(st.none(), st.integers(0, 10**6).map(float))


@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.tuples(values, values)), max_size=30), st.integers(0, 30))
def test_it_keeps_the_last_ticks_of_each_series(ticks, since):
    ring, seen = Ring(2, ticks=8), {}
    for number, row in enumerate(ticks, 1):
        ring.append(number * SECOND, row)
        seen |= dict.fromkeys(row, number)
    last = range(max(1, len(ticks) - 7), len(ticks) + 1)
    assert ring.names == sorted(name for name, number in seen.items() if len(ticks) - number < 8)
    for name in ring.names:
        for column in (0, 1):
            wanted = [(n * SECOND, ticks[n - 1].get(name, (None, None))[column]) for n in last if n > since]
            times, found = ring.read(name, column, since * SECOND, 100 * SECOND, 0)
            assert list(times) == [time for time, _ in wanted]
            assert [None if math.isnan(value) else value for value in found] == [value for _, value in wanted]


def test_steps_are_means_and_gaps_stay_gaps():
    ring = Ring(1, ticks=10)
    for number, value in enumerate([1.0, 3.0, None, 8.0, None, None], 1):
        ring.append(number * SECOND, {"a": (value,)} if value is not None else {})
    times, found = ring.read("a", 0, 0, 10 * SECOND, 2 * SECOND)
    assert list(times) == [2 * SECOND, 4 * SECOND, 6 * SECOND]
    assert list(found[:2]) == [2.0, 8.0]
    assert math.isnan(found[2])


def test_its_space_is_bounded():
    ring = Ring(6)
    for number in range(4000):
        ring.append(number, {f"old-{number % 50}" if number < 50 else "a": (1.0,) * 6})
    assert ring.names == ["a"]
    assert ring.size_bytes == 3600 * 8 + 6 * 3600 * 4


def test_a_value_keeps_seven_digits():
    ring = Ring(1)
    ring.append(1, {"a": (123_456_789_012.0,)})
    assert ring.read("a", 0, 0, 1, 0)[1][0] == pytest.approx(123_456_789_012, rel=1e-7)
