import math
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics.archive import HOUR_NS, SECOND, STEP_NS, STEPS, Archive, hours_between, pack, unpack
from bhtui.agent.rooms.metrics.points import Points

DAY = 24 * HOUR_NS
ODD = st.floats(-(2.0**126), 2.0**126, width=32)


def constant(hour, value=1.0):
    times = [hour + (at + 1) * STEP_NS for at in range(STEPS)]
    return Points(times, *[[value] * STEPS] * 3)


@pytest.fixture
def archive(tmp_path):
    made = Archive(tmp_path / "archive.db", 7 * DAY, 1 << 30)
    yield made
    made.close()


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, STEPS - 1), ODD, max_size=40), st.integers(0, 3))
def test_a_packed_hour_keeps_twelve_binary_digits(values, hours):
    hour = hours * HOUR_NS
    times = [hour + (at + 1) * STEP_NS for at in sorted(values)]
    means = [values[at] for at in sorted(values)]
    found = unpack(pack(Points(times, means, means, means), hour), hour, hour, hour + HOUR_NS)
    known = {time: value for time, value in zip(found.times_ns, found.means, strict=True) if not math.isnan(value)}
    assert list(known) == times
    for time, value in zip(times, means, strict=True):
        assert known[time] == pytest.approx(value, rel=2**-12, abs=1e-38)
    assert str(list(found.lows)) == str(list(found.highs))


def test_hours_are_read_as_one(archive):
    for at in range(3):
        archive.save(at * HOUR_NS, {("api-1", "cpu_percent"): constant(at * HOUR_NS, float(at))})
    found = archive.read(("api-1", "cpu_percent"), HOUR_NS // 2, 2 * HOUR_NS + STEP_NS)
    assert len(found.times_ns) == STEPS // 2 + STEPS + 1
    assert list(found.times_ns) == sorted(found.times_ns)
    assert (found.means[0], found.means[-1]) == (0.0, 2.0)
    assert archive.keys(0) == [("api-1", "cpu_percent")]
    assert archive.keys(3 * HOUR_NS) == []
    assert archive.missing([0, HOUR_NS, 5 * HOUR_NS]) == [5 * HOUR_NS]


def test_what_is_too_old_goes_and_what_is_too_much(archive):
    for at in range(10):
        archive.save(at * DAY, {("a", "x"): constant(at * DAY)})
    assert archive.read(("a", "x"), 0, 20 * DAY).times_ns[0] > 2 * DAY
    archive.space = 1
    archive.save(10 * DAY, {("b", "x"): constant(10 * DAY)})
    assert archive.keys(0) == []
    assert archive.missing([9 * DAY]) == [9 * DAY]


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(archive, caplog):
    archive.path.write_bytes(b"no database" * 1000)
    assert archive.read(("a", "x"), 0, DAY) == Points()
    archive.save(0, {("a", "x"): constant(0)})
    assert archive.keys(0) == [("a", "x")]
    assert len(list(archive.path.parent.glob("archive.db.damaged-*"))) == 1
    assert "put aside" in caplog.text


def test_one_that_cannot_be_used_is_told_and_raises_nothing(archive, caplog):
    archive.save(0, {("a", "x"): constant(0)})
    archive.close()
    other = sqlite3.connect(archive.path)
    other.execute("PRAGMA user_version = 99")
    other.commit()
    assert archive.keys(0) == []
    assert "newer agent" in caplog.text
    other.close()


@given(st.integers(0, 100 * HOUR_NS), st.integers(0, 100 * HOUR_NS))
def test_hours_between_have_ended(first, last):
    for hour in hours_between(first, last):
        assert hour % HOUR_NS == 0 and hour > first - HOUR_NS and hour + HOUR_NS <= last


def test_seconds_are_nanoseconds():
    assert STEPS * STEP_NS == HOUR_NS == 3600 * SECOND


def test_an_hour_that_is_put_in_again_keeps_what_the_second_time_lacks(archive):
    key = ("api-1", "cpu_percent")
    early, late = ([(at + 1) * STEP_NS for at in part] for part in (range(100), range(50, STEPS)))
    archive.save(0, {key: Points(early, *[[1.0] * len(early)] * 3)})
    archive.reopen(HOUR_NS // 2)
    assert archive.missing([0, HOUR_NS]) == [0, HOUR_NS]
    archive.save(0, {key: Points(late, *[[2.0] * len(late)] * 3)})
    assert list(archive.read(key, 0, HOUR_NS).means) == [1.0] * 50 + [2.0] * (STEPS - 50)
