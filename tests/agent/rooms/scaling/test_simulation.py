"""The policy under recorded loads, and under any."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.scaling.model import Cause, Notice
from bhtui.core.autoscale import AutoScaleSpec
from tests.agent.rooms.scaling.simulator import Instance, Run, flat, recorded, simulate, steady

SPEC = AutoScaleSpec(auto=True)


def run(name: str, spec: AutoScaleSpec = SPEC, **more: object) -> Run:
    load, seconds = recorded(name)
    made = simulate(spec, load, seconds, **more)  # type: ignore[arg-type]
    steady(made, spec)
    return made


@pytest.mark.parametrize(
    ("name", "most", "an_hour", "overloaded"),
    [
        ("day", 16, 2, 0),  # twice two up and two down a day
        ("noise", 1, 1, 10),
        ("swing-600", 14, 3, 370),
        ("swing-720", 14, 3, 370),
        ("swing-1300", 24, 5, 650),
    ],
)
def test_loads_that_nobody_could_record(name: str, most: int, an_hour: int, overloaded: float) -> None:
    """Changes in all, changes in the worst hour, and seconds in which more was asked for than they could do."""
    seen = run(name)
    assert len(seen.changes) <= most
    assert seen.an_hour() <= an_hour
    assert 5 * len(seen.overloaded) <= overloaded


@pytest.mark.parametrize("factor", [1, 2, 4, 8, 16, 24, 32])
@pytest.mark.parametrize("name", ["host", "compile", "nginx-step", "redis-bursts", "storage-stairs"])
def test_recorded_loads(name: str, factor: int) -> None:
    """As if what was recorded came from instances of which each can do that part of a core, or of the machine."""
    load, seconds = recorded(name)
    seen = simulate(SPEC, lambda t: factor * load(t), seconds)
    steady(seen, SPEC)
    assert seen.an_hour() <= 10
    assert seen.soonest_reversal() >= 2 * SPEC.cooldown_up


def test_a_step_is_carried_within_four_minutes_and_given_back_one_at_a_time() -> None:
    """Visitors of nginx come nine times as often after 346 s, for 14 minutes."""
    load, seconds = recorded("nginx-step")
    seen = simulate(SPEC, lambda t: 20 * load(t), seconds)
    assert seen.steps == [(1, 2), (2, 3), (3, 4), (4, 3), (3, 2), (2, 1)]
    assert [t for t in seen.overloaded if 346 + 240 < t < 1300] == []
    assert [change.cause for _, change in seen.changes] == [Cause.CPU] * 3 + [Cause.CALM] * 3


def test_noise_around_the_threshold_is_answered_once() -> None:
    seen = run("noise")
    assert seen.steps == [(1, 2)]


def test_a_burst_that_is_over_is_not_answered() -> None:
    """One of 20 s after 480 s is not, one of 60 s after 960 s is, and one of 300 s."""
    load, seconds = recorded("redis-bursts")
    seen = simulate(SPEC, lambda t: 16 * load(t), seconds)
    assert seen.steps == [(1, 2), (2, 1), (1, 2), (2, 1)]
    assert [t for t, _ in seen.changes if t < 960] == []


def test_a_load_that_swings_is_followed_less_and_less() -> None:
    """After a change down that was taken back the next one waits twice as long: longer than the light half lasts."""
    for name in ("swing-600", "swing-720", "swing-1300"):
        seen = run(name)
        first_hours = [change for t, change in seen.changes if t < 2 * 3600]
        assert len(first_hours) <= 10


def test_without_the_damping_it_would_swing_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above tests something."""
    damped = len(run("swing-720").changes)
    monkeypatch.setattr("bhtui.agent.rooms.scaling.history.REVERSAL", 1.0)
    assert len(run("swing-720").changes) > 2 * damped


def test_a_steady_load_settles() -> None:
    for load in range(0, 700, 35):
        seen = simulate(SPEC, flat(load), 7200)
        steady(seen, SPEC)
        ups = [change.after > change.before for _, change in seen.changes]
        assert ups == sorted(ups, reverse=True), "up, then down, then never again"
        assert all(t < 3600 for t, _ in seen.changes)


def test_more_than_the_maximum_can_carry_is_told_once() -> None:
    seen = simulate(SPEC, flat(900), 7200)
    assert seen.at(7199) == 5
    assert [notice for _, notice, _ in seen.notices] == [Notice.AT_MAX]
    assert seen.notices[0][2] == "held: cpu 88 % of the limit over 60 s, above 80 %, and 5 is the maximum"


def test_a_restarted_agent_keeps_the_cooldown_and_measures_anew() -> None:
    load, seconds = recorded("nginx-step")
    seen = simulate(SPEC, lambda t: 24 * load(t), seconds, restarts=[float(t) for t in range(200, 2880, 700)])
    steady(seen, SPEC)
    assert [t for t in seen.overloaded if 346 + 300 < t < 1300] == []
    assert seen.steps[-1] == (2, 1)
    # Restarted sooner than a change down has waited for, it never makes one: what it has not seen it does not assume.
    seen = simulate(SPEC, lambda t: 24 * load(t), seconds, restarts=[float(t) for t in range(100, 2880, 200)])
    steady(seen, SPEC)
    assert all(change.after > change.before for _, change in seen.changes)


def test_what_cannot_be_started_is_tried_with_growing_pauses() -> None:
    seen = simulate(SPEC, flat(250), 4 * 3600, fails=lambda t: True)
    times = [t for t, notice, _ in seen.notices if notice is Notice.FAILED]
    assert seen.changes == []
    assert 5 <= len(times) <= 14
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 1800


def test_memory_that_load_holds_is_shared_out() -> None:
    spec = AutoScaleSpec(auto=True, cpu=None, memory=80.0)
    seen = simulate(spec, lambda t: 95 if t < 1200 else 20, 4000, memory=lambda i, t, cpu: 10 + 0.9 * cpu)
    steady(seen, spec)
    assert seen.steps == [(1, 2), (2, 1)]
    assert seen.changes[0][1].reason == "memory 96 % of the limit over 60 s, above 80 %: 1 -> 2"


def test_memory_that_another_instance_does_not_lower_asks_for_no_third() -> None:
    """A cache, or a process that never gives back: without the guard it would go to the maximum and stay there."""
    spec = AutoScaleSpec(auto=True, memory=80.0)
    seen = simulate(spec, flat(20), 7200, memory=lambda i, t, cpu: 93.0)
    steady(seen, spec)
    assert seen.steps == [(1, 2), (2, 1)]
    assert [notice for _, notice, _ in seen.notices] == [Notice.MEMORY]
    assert "which another instance did not lower" in seen.notices[0][2]


class Leaking:
    """The memory of a process that leaks, is ended by the kernel when it reaches its limit, and is started again."""

    def __init__(self, pace: float) -> None:
        self._recorded, self._seconds = recorded("memory-leak")
        self._pace = pace
        self._begun: dict[str, float] = {}

    def __call__(self, i: Instance, t: float, cpu: float) -> float:
        passed = (t - self._begun.setdefault(i.name, t)) * self._pace
        share = self._recorded(passed % self._seconds)
        if share < i.memory - 40:
            i.ready = t + 2
        return share


@pytest.mark.parametrize("pace", [1, 1 / 4, 1 / 24])
@pytest.mark.parametrize("cpu", [20, 60])
def test_a_leak_does_not_fill_the_host(pace: float, cpu: float) -> None:
    """It reaches its limit in 5 minutes, 20 minutes or 2 hours: that memory fell by a restart is no help by others."""
    spec = AutoScaleSpec(auto=True, memory=80.0)
    seen = simulate(spec, flat(cpu), 8 * 3600, memory=Leaking(pace))
    steady(seen, spec)
    assert max(count for _, count in seen.counts) <= 3
    assert seen.an_hour() <= 2
    assert Notice.MEMORY in {notice for _, notice, _ in seen.notices}


LOADS = st.lists(st.tuples(st.integers(1, 60), st.floats(0, 700)), min_size=1, max_size=40)
"""How many half minutes, and the load meanwhile."""
SPECS = st.builds(
    lambda least, more, cpu, memory, window, up, down: AutoScaleSpec(
        True, least, least + more, cpu, memory, window, up, max(down, window), window / 2
    ),
    st.integers(1, 6),
    st.integers(0, 12),
    st.floats(10, 95),
    st.sampled_from([None, 50.0, 90.0]),
    st.sampled_from([10.0, 60.0, 120.0]),
    st.sampled_from([0.0, 30.0, 60.0, 300.0]),
    st.sampled_from([10.0, 120.0, 300.0, 900.0]),
)


@settings(max_examples=40, deadline=None)
@given(LOADS, SPECS, st.floats(1, 90), st.integers(0, 99), st.booleans())
def test_any_load(pieces: list[tuple[int, float]], spec: AutoScaleSpec, delay: float, seed: int, limited: bool) -> None:
    """Never outside of the bounds, never sooner than a cool-down, never down by more than one."""
    values = [value for length, value in pieces for _ in range(length)]

    def load(t: float) -> float:
        return values[min(len(values) - 1, int(t // 30))]

    seen = simulate(
        spec,
        load,
        min(2 * 3600, 30 * len(values)),
        count=spec.min,
        start_delay=delay,
        limited=limited,
        memory=lambda i, t, cpu: (seed * 7 + cpu + t / 60) % 100,
    )
    steady(seen, spec)
    assert seen.soonest_reversal() >= min(spec.cooldown_up, spec.cooldown_down) - 1e-6
