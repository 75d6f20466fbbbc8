"""The policy of memory pressure."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.limits.pressure import CALM, COOLDOWN, NEAR, SECOND, STEP_WAIT, Pressure, Verdict, decide

STEPS = ("clear-cache", "gc", "restart")
START = 1_700_000_000 * SECOND


def run(parts, steps=STEPS, pause=1.0):
    """What is decided of one part after the other, `pause` seconds apart."""
    was, seen = Pressure(), []
    for number, part in enumerate(parts):
        was, verdict = decide(was, part, steps, START + round(number * pause * SECOND))
        seen.append(verdict)
    return seen


def test_it_is_told_at_once_and_the_first_step_taken():
    assert run([0.5, 0.89, 0.9]) == [Verdict(), Verdict(), Verdict(True, "clear-cache")]


def test_each_step_has_time_to_work():
    seen = run([0.95] * 5, pause=STEP_WAIT)
    assert [each.step for each in seen] == [*STEPS, "", ""]
    assert [each.tell for each in seen] == [True, False, False, False, False]
    assert [each.step for each in run([0.95] * 5, pause=STEP_WAIT / 4)] == ["clear-cache", "", "", "", "gc"]


def test_a_step_that_helped_is_the_last():
    assert [each.step for each in run([0.95, 0.85, 0.85, 0.5], pause=STEP_WAIT)] == ["clear-cache", "", "", ""]


def test_it_begins_again_only_when_calm_and_after_a_while():
    swinging = run([0.95, 0.85] * 10, pause=COOLDOWN)
    assert sum(each.tell for each in swinging) == 1
    soon = run([0.95, 0.5, 0.95, 0.95], pause=COOLDOWN / 4)
    assert [each.tell for each in soon] == [True, False, False, False]
    later = run([0.95, 0.5, 0.95], pause=COOLDOWN)
    assert [each.tell for each in later] == [True, False, True]


def test_without_steps_it_is_only_told():
    assert run([0.95] * 3, (), STEP_WAIT) == [Verdict(True), Verdict(), Verdict()]


@given(st.lists(st.floats(0, 1.2), max_size=60), st.floats(0.5, 200))
def test_never_more_than_its_steps_in_the_cooldown(parts, pause):
    seen = run(parts, pause=pause)
    begun = [number for number, each in enumerate(seen) if each.tell]
    assert all((b - a) * pause >= COOLDOWN - 1e-6 for a, b in pairwise(begun))
    assert sum(bool(each.step) for each in seen) <= len(STEPS) * len(begun)
    assert all(parts[number] >= NEAR for number, each in enumerate(seen) if each.step)
    assert CALM < NEAR


def test_a_restart_that_is_held_is_taken_when_it_may_and_not_counted_before():
    was, verdict = decide(Pressure(), 0.95, ("restart",), START, held=True)
    assert verdict == Verdict(True, "")
    was, verdict = decide(was, 0.95, ("restart",), START + round(100 * SECOND), held=True)
    assert verdict == Verdict()
    _, verdict = decide(was, 0.95, ("restart",), START + round(200 * SECOND))
    assert verdict == Verdict(False, "restart")
    assert decide(Pressure(), 0.95, STEPS, START, held=True)[1].step == "clear-cache"
