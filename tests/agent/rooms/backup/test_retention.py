"""Which snapshots are kept."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.backup.retention import keep, removable
from bhtui.core.backup import BackupSnapshot, Retention

SECOND = 1_000_000_000
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * SECOND


def snapshot(days, type_="incremental", service="db", host="h", problem="", run="r"):
    moment = int((NOW - timedelta(days=days)).timestamp()) * SECOND
    return BackupSnapshot(
        f"{service}-{type_}-{days:g}", moment, type_, host, (service,) if service else (), problem=problem, run=run
    )


def kept(snapshots, **rules):
    reasons = keep(snapshots, Retention(**rules), "h", UTC, NOW_NS)
    return {id_: why for id_, why in reasons.items() if why}


def test_so_many_of_each_type_are_kept():
    all_ = [snapshot(day, "full" if day % 7 == 0 else "incremental") for day in range(60)]
    found = kept(all_)
    assert sorted(id_ for id_ in found if "full" in id_) == ["db-full-0", "db-full-14", "db-full-21", "db-full-7"]
    assert sum("incremental" in id_ for id_ in found) == 7
    assert found["db-full-0"] == ("newest", "full 1 of 4")


def test_the_newest_of_each_day_week_and_month():
    all_ = [snapshot(day + hour / 24) for day in range(100) for hour in (0, 6)]
    found = kept(all_, full=1, incremental=0, daily=3, weekly=2, monthly=3)
    assert found["db-incremental-0"] == ("newest", "daily 2026-03-01", "weekly 2026-W09", "monthly 2026-03")
    assert set(found) == {
        "db-incremental-0", "db-incremental-1", "db-incremental-2", "db-incremental-7", "db-incremental-29",
    }  # fmt: skip


def test_what_others_made_is_theirs():
    all_ = [
        snapshot(9),
        snapshot(9, host="other"),
        snapshot(9, service=""),
        snapshot(8, run=""),
        snapshot(-1),
        snapshot(0),
    ]
    found = kept(all_, full=1, incremental=0)
    assert found["db-incremental-0"] == ("newest",)
    assert found["db-incremental--1"] == ("its time is in the future",)
    assert found["db-incremental-8"] == ("made by another program",)
    assert keep([snapshot(9, host="other")], Retention(), "h", UTC, NOW_NS) == {"db-incremental-9": ("made by other",)}


def test_a_good_one_is_kept_as_long_as_those_after_it_are_not():
    found = kept([snapshot(3), snapshot(2, problem="x"), snapshot(1, problem="x")], full=1, incremental=1)
    assert found == {
        "db-incremental-1": ("newest", "incremental 1 of 1"),
        "db-incremental-3": ("newest without a problem",),
    }


snapshots = st.lists(
    st.builds(
        snapshot,
        st.floats(0, 1000),
        st.sampled_from(["full", "incremental", ""]),
        st.sampled_from(["db", "api"]),
        problem=st.sampled_from(["", "", "damaged"]),
    ),
    unique_by=lambda each: each.id,
)
rules = st.builds(Retention, st.integers(1, 5), *[st.integers(0, 5)] * 4)


@given(snapshots, rules)
def test_there_is_always_something_to_restore(all_, wanted):
    reasons = keep(all_, wanted, "h", UTC, NOW_NS)
    assert set(reasons) == {each.id for each in all_}
    for service in ("db", "api"):
        mine = [each for each in all_ if each.services == (service,)]
        if mine:
            assert any(reasons[each.id] for each in mine if each.time_ns == max(one.time_ns for one in mine))
        if good := [each for each in mine if not each.problem]:
            assert any(reasons[each.id] for each in good if each.time_ns == max(one.time_ns for one in good))


@given(snapshots, rules)
def test_pruning_again_removes_nothing_more(all_, wanted):
    gone = set(removable(keep(all_, wanted, "h", UTC, NOW_NS)))
    left = [each for each in all_ if each.id not in gone]
    assert removable(keep(left, wanted, "h", UTC, NOW_NS)) == ()


@given(snapshots, rules, st.integers(0, 4))
def test_a_rule_that_keeps_more_removes_no_other(all_, wanted, more):
    wider = Retention(wanted.full + more, wanted.incremental + more, wanted.daily + more, wanted.weekly, wanted.monthly)
    gone = set(removable(keep(all_, wider, "h", UTC, NOW_NS)))
    assert gone <= set(removable(keep(all_, wanted, "h", UTC, NOW_NS)))
