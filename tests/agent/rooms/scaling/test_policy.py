"""One decision at a time: what is said of it, and what holds it back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.scaling.history import (
    LONGEST_PAUSE,
    SECOND,
    changed,
    changed_by_hand,
    ended,
    noticed,
    pause_left,
    refused,
    since_change,
    span,
    wait_down,
)
from bhtui.agent.rooms.scaling.model import Cause, Change, History, Look, Notice, Reading, Tick, Verdict
from bhtui.agent.rooms.scaling.policy import decide, period, tick
from bhtui.agent.rooms.scaling.record import from_record, to_record
from bhtui.core.autoscale import AutoScaleSpec

SPEC = AutoScaleSpec(auto=True)
NOW = 1_700_000_000 * SECOND
LONG = 10_000.0


def readings(*cpu: float | None, memory: float | None = 20.0, ready: float | None = LONG) -> list[Reading]:
    return [Reading(f"api-{n}", ready, ready is not None, share, memory) for n, share in enumerate(cpu, 1)]


def look(
    *cpu: float | None,
    spec: AutoScaleSpec = SPEC,
    count: int = 0,
    now: int = NOW,
    limited: bool = True,
    memory: float | None = 20.0,
    seen: list[Reading] | None = None,
    seconds: float = 400,
) -> Look:
    """As it has been for `seconds`."""
    there = readings(*cpu, memory=memory) if seen is None else seen
    number, step = count or len(there), round(period(spec) * SECOND)
    times = range(now - round(seconds * SECOND) + step, now + 1, step)
    return Look(spec, number, there, [tick(there, number, spec, t) for t in times], now, limited)


def verdict(look: Look, was: History = History()) -> Verdict:  # noqa: B008 - frozen
    return decide(was, look)[1]


def test_it_says_why_with_figures() -> None:
    up = verdict(look(91, 91))
    assert (up.to, up.cause, up.reason) == (3, Cause.CPU, "cpu 91 % of the limit over 60 s, above 80 %: 2 -> 3")
    assert verdict(look(88, limited=False)).reason == "cpu 88 % of one core over 60 s, above 80 %: 1 -> 2"
    down = verdict(look(20, 22, 24))
    assert (down.to, down.cause) == (2, Cause.CALM)
    assert down.reason == "cpu at most 22 % over 5 min, 33 % with one fewer, below 64 %: 3 -> 2"


def test_as_many_as_bring_it_to_the_threshold_and_at_most_twice_as_many() -> None:
    def wide(share: float) -> int | None:
        spec = AutoScaleSpec(auto=True, max=100)
        return verdict(look(*[share] * 10, spec=spec, limited=False)).to

    assert wide(81) == 11  # 10 * 81 / 80
    assert wide(90) == 12
    assert wide(160) == 20
    assert wide(700) == 20
    assert wide(80) is None


def test_instances_at_their_end_are_doubled() -> None:
    """They cannot show how much more is wanted."""
    spec = AutoScaleSpec(auto=True, max=100)
    assert verdict(look(99, 99, 99, spec=spec)).to == 6
    assert verdict(look(99, 99, 99, spec=spec, limited=False)).to == 6
    assert verdict(look(120, 120, 120, spec=spec, limited=False)).to == 5, "more than one thread: it is told what it is"


def test_the_gap_between_up_and_down() -> None:
    assert verdict(look(60, 60)).to is None
    assert verdict(look(60, 60)).reason == "cpu was up to 60 % in the last 5 min: 2 are needed"
    assert verdict(look(31, 31)).to == 1
    assert verdict(look(33, 33)).to is None


def test_instances_that_have_just_come_count_as_idle() -> None:
    warm, cold = readings(95), [Reading("api-2", 5.0, True, 90.0, 20.0)]
    assert verdict(look(seen=[*warm, *cold])).to is None
    assert verdict(look(seen=[*warm, *cold, *cold], count=3)).to is None


def test_one_that_is_not_well_because_of_its_load_counts() -> None:
    ill = [Reading("api-1", LONG, False, 95.0, 20.0)]
    assert verdict(look(seen=ill)).to == 2
    idle = [Reading(f"api-{n}", LONG, n > 1, 5.0, 20.0) for n in (1, 2)]
    assert verdict(look(seen=idle)).reason == "fewer only after 5 min in which every instance is ready and measured"


def test_what_holds_it_back() -> None:
    bad = [*readings(95), Reading("api-2", trouble="api-2 is failed: exit 1")]
    held = verdict(look(seen=bad))
    assert (held.to, held.notice, held.reason) == (None, Notice.TROUBLE, "held: api-2 is failed: exit 1")
    blind = verdict(look(None, 20))
    assert (blind.to, blind.notice, blind.reason) == (None, Notice.UNMEASURED, "held: nothing is measured of api-1")
    most = verdict(look(*[90] * 5))
    assert (most.to, most.notice) == (None, Notice.AT_MAX)
    soon = verdict(look(95, seconds=10))
    assert (soon.to, soon.notice, soon.reason) == (None, None, "measured for 10 s of 60 s so far")
    just = History(1, (Change(NOW - 20 * SECOND, 2, 1, Cause.CALM),))
    assert verdict(look(95), just).reason == "changed 20 s ago, looked at again in 40 s"


def test_ticks_that_come_late_on_a_busy_host_are_enough() -> None:
    def late(step: float) -> Verdict:
        there = readings(5, 5)
        times = [NOW - round(n * step * SECOND) for n in range(400)][::-1]
        return verdict(Look(SPEC, 2, there, [tick(there, 2, SPEC, t) for t in times], NOW, True))

    assert [late(step).to for step in (5, 5.4, 7, 12)] == [1] * 4
    assert late(20).to is None, "too much was missed"


def test_what_is_outside_of_the_bounds_is_brought_back_at_once() -> None:
    spec = AutoScaleSpec(auto=True, min=3, max=5)
    up = verdict(look(1, spec=spec, seconds=5))
    assert (up.to, up.cause, up.reason) == (3, Cause.BOUNDS, "below the minimum of 3: 1 -> 3")
    down = verdict(look(*[90] * 9, spec=spec, seconds=5))
    assert (down.to, down.reason) == (5, "above the maximum of 5: 9 -> 5")


def test_a_change_down_that_was_taken_back_makes_the_next_one_wait_longer() -> None:
    def swings(number: int) -> History:
        changes = []
        for at in range(number):
            begin = NOW - (at + 1) * 700 * SECOND
            changes += [Change(begin + 400 * SECOND, 1, 2, Cause.CPU), Change(begin, 2, 1, Cause.CALM)]
        return History(2, tuple(reversed(changes)))

    assert [wait_down(SPEC, swings(number), NOW) for number in range(5)] == [300, 600, 1200, 2400, 3000]
    assert wait_down(SPEC, swings(4), NOW + 3600 * SECOND) == 300, "after an hour it is forgotten"


def test_a_change_by_hand_begins_the_cooldown() -> None:
    was = changed_by_hand(History(2, failures=3, failed_ns=NOW), 2, 4, NOW)
    assert (was.count, was.failures, since_change(was, NOW + 5 * SECOND)) == (4, 0, 5)


def test_a_change_that_failed_is_none_and_waits() -> None:
    seen = look(91, 91)
    begun = changed(History(2), seen, verdict(seen), "abc")
    assert (begun.count, begun.operation, len(begun.changes)) == (3, "abc", 1)
    failed = ended(begun, False, NOW)
    assert (failed.count, failed.operation, failed.changes, failed.failures) == (2, "", (), 1)
    held = verdict(look(91, 91, now=NOW + 10 * SECOND), failed)
    assert (held.to, held.notice, held.reason) == (
        None,
        Notice.FAILED,
        "held: the last change failed; tried again in 50 s",
    )
    assert verdict(look(91, 91, now=NOW + 60 * SECOND), failed).to == 3
    pauses = []
    for _ in range(20):
        failed = refused(failed, NOW)
        pauses.append(pause_left(failed, SPEC, NOW))
    assert pauses[:3] == [120, 240, 480]
    assert pauses[-1] == LONGEST_PAUSE
    assert ended(begun, True, NOW).failures == 0


def test_a_notice_is_told_once_until_it_was_absent_for_a_while() -> None:
    was, told = noticed(History(), Notice.AT_MAX, SPEC, NOW)
    assert told
    was, told = noticed(was, Notice.AT_MAX, SPEC, NOW + 200 * SECOND)
    assert not told
    was, told = noticed(was, None, SPEC, NOW + 210 * SECOND)
    was, told = noticed(was, Notice.AT_MAX, SPEC, NOW + 450 * SECOND)
    assert not told
    assert noticed(was, Notice.AT_MAX, SPEC, NOW + 760 * SECOND)[1]
    assert noticed(was, Notice.TROUBLE, SPEC, NOW + 460 * SECOND)[1]


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    future = History(1, (Change(NOW + 86400 * SECOND, 2, 1, Cause.CALM),), failures=0)
    was, held = decide(future, look(95))
    assert held.reason == "changed 0 s ago, looked at again in 60 s"
    assert since_change(was, NOW + 60 * SECOND) == 60


def test_memory_alone_is_asked_once() -> None:
    spec = AutoScaleSpec(auto=True, cpu=None, memory=80.0)
    seen = look(10, memory=93, spec=spec)
    up = verdict(seen)
    assert (up.to, up.cause, up.reason) == (2, Cause.MEMORY, "memory 93 % of the limit over 60 s, above 80 %: 1 -> 2")
    begun = changed(History(1), seen, up)
    assert begun.memory_before == {"api-1": 93}
    was, held = decide(ended(begun, True, NOW), look(10, 10, memory=92, spec=spec, now=NOW + 120 * SECOND, seconds=100))
    assert was.memory_helped is False
    assert (held.to, held.notice) == (None, Notice.MEMORY)
    was, _ = decide(was, look(10, 10, memory=60, spec=spec, now=NOW + 300 * SECOND))
    assert was.memory_helped is None, "it has fallen, so that it may ask again"


@pytest.mark.parametrize("seconds", [0.4, 60, 119, 120, 3600])
def test_span(seconds: float) -> None:
    assert span(seconds) == {0.4: "0 s", 60: "60 s", 119: "119 s", 120: "2 min", 3600: "60 min"}[seconds]


CHANGES = st.builds(
    Change, st.integers(0, 1 << 62), st.integers(0, 99), st.integers(0, 99), st.sampled_from(Cause), st.text()
)
HISTORIES = st.builds(
    History,
    st.integers(0, 1000),
    st.lists(CHANGES, max_size=5).map(tuple),
    st.integers(0, 99),
    st.integers(0, 1 << 62),
    st.dictionaries(st.text(), st.floats(0, 200)),
    st.sampled_from([None, True, False]),
    st.text(),
    st.sets(st.sampled_from(Notice)).map(lambda names: dict.fromkeys(names, NOW)),
)


@given(HISTORIES)
def test_what_is_remembered_outlives_the_agent(history: History) -> None:
    assert from_record(json.loads(json.dumps(to_record(history)))) == history


@pytest.mark.parametrize("record", [None, {}, {"count": "x"}, {"count": 1, "changes": [[1]]}, {"changes": None}])
def test_a_record_that_cannot_be_read_is_none(record: dict[str, object] | None) -> None:
    assert from_record(record) == History()


@given(
    HISTORIES,
    st.lists(st.builds(Reading, st.text(), st.none() | st.floats(0, 1e6), st.booleans(),
                       st.none() | st.floats(0, 1e4), st.none() | st.floats(0, 1e3), st.sampled_from(["", "bad"])),
             max_size=6),
    st.lists(st.builds(Tick, st.integers(NOW - 4000 * SECOND, NOW), st.integers(1, 9), st.integers(0, 9),
                       st.none() | st.floats(0, 1e4), st.none() | st.floats(0, 1e4), st.booleans()), max_size=200),
    st.integers(1, 9), st.booleans(),
)  # fmt: skip
def test_whatever_is_seen_it_stays_within_the_bounds(
    history: History, there: list[Reading], ticks: list[Tick], count: int, limited: bool
) -> None:
    spec = AutoScaleSpec(auto=True, min=2, max=6, memory=90.0)
    ticks.sort(key=lambda each: each.time_ns)
    seen = verdict(Look(spec, count, there, ticks, NOW, limited), history)
    assert seen.to is None or (2 <= seen.to <= 6 and seen.to != count)
    assert seen.reason
