"""When the next backup is made."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.backup.schedule import due, next_ns, offset_ns
from bhtui.core.backup import BackupSchedule, BackupType

SECOND = 1_000_000_000
GUIDE = BackupSchedule("0 2 * * 0", "0 2 * * *")


def ns(text, zone=UTC):
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND


def test_nothing_is_due_before_its_time_and_each_moment_once():
    first, handled = due(GUIDE, {}, "h", UTC, ns("2026-03-02 10:00"))  # a Monday
    assert first is None
    assert due(GUIDE, handled, "h", UTC, ns("2026-03-03 01:59:59"))[0] is None
    found, after = due(GUIDE, handled, "h", UTC, ns("2026-03-03 02:00:00"))
    assert found is not None
    assert (found.type, found.moment_ns, found.missed) == (BackupType.INCREMENTAL, ns("2026-03-03 02:00"), False)
    assert due(GUIDE, after, "h", UTC, ns("2026-03-03 02:00:30"))[0] is None


def test_where_both_are_due_the_full_one_is_made():
    _, handled = due(GUIDE, {}, "h", UTC, ns("2026-03-07 10:00"))
    found, after = due(GUIDE, handled, "h", UTC, ns("2026-03-08 02:00:10"))  # a Sunday
    assert found is not None
    assert found.type is BackupType.FULL
    assert due(GUIDE, after, "h", UTC, ns("2026-03-08 02:01"))[0] is None


def test_what_was_missed_is_made_up_for_once_unless_that_is_not_wanted():
    _, handled = due(GUIDE, {}, "h", UTC, ns("2026-03-02 10:00"))
    back = ns("2026-03-06 09:00")
    found, after = due(GUIDE, handled, "h", UTC, back)
    assert found is not None
    assert (found.moment_ns, found.missed) == (ns("2026-03-06 02:00"), True)
    assert due(GUIDE, after, "h", UTC, back + SECOND)[0] is None
    never = BackupSchedule(GUIDE.full, GUIDE.incremental, catch_up=False)
    assert due(never, handled, "h", UTC, back)[0] is None
    assert due(never, due(never, handled, "h", UTC, back)[1], "h", UTC, ns("2026-03-07 02:00"))[0] is not None


def test_a_clock_that_was_set_back_repeats_nothing():
    _, handled = due(GUIDE, {}, "h", UTC, ns("2026-03-10 03:00"))
    found, after = due(GUIDE, handled, "h", UTC, ns("2026-03-05 12:00"))
    assert found is None
    assert due(GUIDE, after, "h", UTC, ns("2026-03-06 02:00"))[0] is not None


def test_the_clock_is_that_of_the_host():
    berlin = ZoneInfo("Europe/Berlin")
    found = next_ns(GUIDE, "h", berlin, ns("2026-06-01 00:00"))
    assert found[BackupType.INCREMENTAL] == ns("2026-06-02 00:00")
    summer = next_ns(BackupSchedule(incremental="30 2 * * *"), "h", berlin, ns("2026-03-28 12:00"))
    assert summer[BackupType.INCREMENTAL] == ns("2026-03-29 01:00")  # 02:30 is left out: right after the gap


def test_jitter_is_each_hosts_own_and_stays():
    schedule = BackupSchedule(incremental="0 2 * * *", jitter=600)
    late = {host: offset_ns(schedule, host) for host in ("a", "b", "c")}
    assert len(set(late.values())) == 3
    assert all(0 <= each < 600 * SECOND for each in late.values())
    moment = next_ns(schedule, "a", UTC, ns("2026-03-01 12:00"))[BackupType.INCREMENTAL]
    assert moment == ns("2026-03-02 02:00") + late["a"]
    _, handled = due(schedule, {}, "a", UTC, ns("2026-03-01 12:00"))
    assert due(schedule, handled, "a", UTC, moment - SECOND)[0] is None
    assert due(schedule, handled, "a", UTC, moment + SECOND)[0] is not None


@given(st.integers(0, 10**9), st.lists(st.integers(1, 200_000), max_size=20), st.integers(0, 3600))
def test_whenever_it_is_looked_no_moment_is_made_twice(start, steps, jitter):
    schedule = BackupSchedule(incremental="*/30 * * * *", jitter=jitter)
    now, handled, made = start * SECOND, {}, []
    for step in (0, *steps):
        now += step * SECOND
        found, handled = due(schedule, handled, "h", UTC, now)
        if found:
            made.append(found.moment_ns)
            assert found.moment_ns <= now
    assert made == sorted(set(made))
