"""When an event is told: once for each trouble, once for its end, rejected lines at most once a minute."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.outbound.backoff import FIRST, LONGEST, LONGEST_ASKED, Backoff
from bhtui.agent.rooms.logs.outputs.verdicts import REJECTED_EVERY, Told, judge
from bhtui.core.event import EventKind
from bhtui.core.outputs import OutputSpec, OutputStatus

SPEC = OutputSpec("loki", "loki", warn_after=10)
NOW_NS = 1_000_000_000_000
WELL = OutputStatus("loki", "loki", "http://loki", "ok", sent=5)


def failing(seconds: float, **more) -> OutputStatus:
    since = NOW_NS - int(seconds * 1e9)
    return replace(WELL, state="failing", failing_since_ns=since, last_error="cannot reach it", **more)


def told(*statuses: OutputStatus, every: float = 1.0) -> list[EventKind]:
    state, kinds = Told(), []
    for number, status in enumerate(statuses):
        state, verdicts = judge(SPEC, state, status, number * every, NOW_NS)
        kinds += [verdict.kind for verdict in verdicts]
    return kinds


def test_a_short_failure_is_not_told():
    assert told(failing(1), failing(9), WELL) == []


def test_a_long_failure_is_told_once_and_its_end_once():
    assert told(failing(11), failing(20), failing(0.1), WELL, WELL) == [
        EventKind.OUTPUT_FAILING, EventKind.OUTPUT_RECOVERED,
    ]  # fmt: skip


def test_a_failure_that_leaves_a_lag_is_well_only_when_that_is_gone():
    late = replace(WELL, state="lagging", behind_seconds=99)
    assert told(failing(11), late, late, WELL) == [
        EventKind.OUTPUT_FAILING, EventKind.OUTPUT_LAGGING, EventKind.OUTPUT_RECOVERED,
    ]  # fmt: skip


def test_what_is_told_can_be_read_aloud():
    _, (verdict,) = judge(SPEC, Told(), failing(70, behind_lines=7, behind_bytes=700), 0, NOW_NS)
    assert (
        verdict.message
        == "output loki has failed for 1 min: cannot reach it; 7 lines (700 B) wait in the captured files"
    )
    assert verdict.data["behind_bytes"] == 700


def test_rejected_lines_are_told_with_their_number_and_not_each():
    some = [replace(WELL, dead_lettered=count, last_error="400 no") for count in (0, 3, 10, 50)]
    state, counts = Told(), []
    for at, status in zip((0, 1, 2, 2 + REJECTED_EVERY), some, strict=True):
        state, verdicts = judge(SPEC, state, status, at, NOW_NS)
        counts += [verdict.data["count"] for verdict in verdicts]
    assert counts == [3, 47]
    assert told(some[3], some[1], every=100) == [EventKind.OUTPUT_REJECTED] * 2  # it began to count anew


@given(
    st.lists(
        st.sampled_from([WELL, failing(1), failing(11), replace(WELL, state="lagging"), replace(WELL, state="idle")])
    )
)
def test_trouble_and_its_end_take_turns(statuses):
    kinds = told(*statuses)
    for before, after in itertools.pairwise(kinds):
        assert before != after
    assert not kinds or kinds[0] is not EventKind.OUTPUT_RECOVERED


@given(st.floats(0, 1), st.integers(0, 200), st.floats(0, 1000))
def test_waits_grow_and_stay_within_their_bounds(chance, failures, asked):
    backoff = Backoff()
    backoff.failures = failures
    wait = backoff.next(chance, asked)
    assert FIRST / 2 <= wait <= max(LONGEST, LONGEST_ASKED)
    assert wait >= min(asked, LONGEST_ASKED)
    backoff.reset()
    assert backoff.next(1.0) == FIRST and backoff.next(1.0) == 2 * FIRST
