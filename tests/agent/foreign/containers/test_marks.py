"""How far the output of a container was read: whatever is cut off where, each line is taken once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign.containers.marks import SECOND, Marks

START = 1_795_514_508
STEPS = st.lists(st.integers(0, 1500), max_size=60)
"""Milliseconds between lines."""


def _lines(steps: list[int], mixed: list[int]) -> list[int]:
    """Times of lines; some are a little before the line before them, as those of two streams may be."""
    at, times = START * SECOND, []
    for number, step in enumerate(steps):
        at += step * 1_000_000
        times.append(at - (mixed[number % len(mixed)] * 1_000_000 if mixed else 0))
    return times


def _given(lines: list[int], since: int, upto: int) -> list[tuple[int, int]]:
    """What the engine gives: the lines of that second and after, in its order, as far as they are printed."""
    return [(number, at) for number, at in enumerate(lines[:upto]) if at >= since * SECOND]


@settings(deadline=None)
@given(STEPS, st.lists(st.integers(0, 400), max_size=5), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9))))
def test_each_line_is_taken_once_across_crashes(
    steps: list[int], mixed: list[int], cuts: list[tuple[int, int]]
) -> None:
    """Each cut: how far the container has printed by then, and how many lines were taken after the mark was saved."""
    lines, taken = _lines(steps, mixed), []
    mark, behind = {"id": "a"}, 0
    for upto, unsaved in [*sorted(cuts), (len(lines), 0)]:
        marks, marked = Marks("a", mark, behind), []
        for number, at in _given(lines, marks.since, upto):
            if marks.take(at):
                taken.append(number)
                marked.append(marks.mark)
        if marked:
            last = max(0, len(marked) - 1 - unsaved)
            mark, behind = marked[last], len(marked) - 1 - last
    assert taken == list(range(len(lines)))


@settings(deadline=None)
@given(STEPS, st.lists(st.integers(0, 60), max_size=8))
def test_the_same_reader_goes_on_after_its_engine_was_gone(steps: list[int], cuts: list[int]) -> None:
    lines, taken, marks = _lines(steps, []), [], Marks("a")
    for upto in [*sorted(cuts), len(lines)]:
        marks.again()
        taken += [number for number, at in _given(lines, marks.since, upto) if marks.take(at)]
    assert taken == list(range(len(lines)))


def test_a_mark_of_another_container_is_none() -> None:
    assert Marks("b", {"id": "a", "since": 5, "count": 3}, behind=2).take(SECOND)


def test_a_clock_that_was_set_back_loses_nothing() -> None:
    marks = Marks("a")
    assert marks.take((START + 3600) * SECOND)
    assert marks.take(START * SECOND)
    assert marks.mark["since"] <= START
