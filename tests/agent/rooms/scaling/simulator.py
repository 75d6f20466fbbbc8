"""A service under a load, in simulated time: the load is divided by the instances that are ready, up to what each can.

The policy sees what it would see of a real one: shares of CPU and memory, instances that start slowly and burn CPU
meanwhile. Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from bhtui.agent.rooms.scaling.history import SECOND, changed, ended, noticed
from bhtui.agent.rooms.scaling.model import Cause, Change, History, Look, Notice, Reading, Tick
from bhtui.agent.rooms.scaling.policy import decide, kept_ticks, period, tick
from bhtui.core.autoscale import AutoScaleSpec

START = 1_700_000_000 * SECOND
CAPACITY = 100.0
STARTING_CPU = 90.0
CURVES = Path(__file__).parent / "curves"
Load = Callable[[float], float]
"""Seconds to what is asked of the service then, in per cent of what one instance can do."""


def recorded(name: str) -> tuple[Load, float]:
    """A curve from its file, and how many seconds it lasts: comments, `step SECONDS`, then numbers."""
    lines = [each for each in (CURVES / f"{name}.txt").read_text().splitlines() if not each.startswith("#")]
    step = float(lines[0].removeprefix("step "))
    values = [float(each) for line in lines[1:] for each in line.split()]
    return lambda t: values[min(len(values) - 1, int(t // step))], step * len(values)


@dataclass
class Instance:
    """`ready` is when it is ready, in seconds; `memory` its share."""

    name: str
    ready: float
    memory: float = 20.0


Memory = Callable[[Instance, float, float], float]
"""What an instance holds: it, the seconds, and its share of CPU to its share of memory."""


@dataclass
class Run:
    """What happened."""

    changes: list[tuple[float, Change]] = field(default_factory=list)
    notices: list[tuple[float, Notice, str]] = field(default_factory=list)
    counts: list[tuple[float, int]] = field(default_factory=list)
    overloaded: list[float] = field(default_factory=list)
    """Moments at which more was asked for than the ready ones can do."""
    history: History = field(default_factory=History)

    @property
    def steps(self) -> list[tuple[int, int]]:
        return [(each.before, each.after) for _, each in self.changes]

    def at(self, seconds: float) -> int:
        """How many there were then."""
        return [count for t, count in self.counts if t <= seconds][-1]

    def an_hour(self) -> int:
        """The most changes within any hour."""
        times = [t for t, _ in self.changes]
        return max([sum(1 for other in times if t <= other < t + 3600) for t in times], default=0)

    def soonest_reversal(self) -> float:
        """Seconds between an up and a down (either way) at the least."""
        gaps = [b[0] - a[0] for a, b in pairwise(self.changes) if _is_up(a[1]) != _is_up(b[1])]
        return min(gaps, default=float("inf"))


def _is_up(change: Change) -> bool:
    return change.after > change.before


def simulate(
    spec: AutoScaleSpec,
    load: Load,
    seconds: float,
    *,
    start_delay: float = 8.0,
    count: int = 1,
    limited: bool = True,
    memory: Memory = lambda instance, t, cpu: 20.0,
    fails: Callable[[float], bool] = lambda t: False,
    restarts: Sequence[float] = (),
) -> Run:
    """Runs it from a long steady state of `count` instances. `fails`: a start then fails; `restarts`: of the agent."""
    run, step = Run(history=History(count)), period(spec)
    there = [Instance(f"api-{number}", -1000.0) for number in range(1, count + 1)]
    ticks: list[Tick] = []
    busy_until = -1.0
    pending = list(restarts)
    t = 0.0
    while t < seconds:
        now = START + round(t * SECOND)
        if pending and t >= pending[0]:
            pending.pop(0)
            ticks = []  # what was measured is gone; what was decided is not
        ready = [each for each in there if each.ready <= t]
        asked = load(t)
        share = asked / len(ready) if ready else 0.0
        if asked > CAPACITY * len(ready):
            run.overloaded.append(t)
        readings = []
        for each in there:
            cpu = (min(share, CAPACITY) if limited else share) if each in ready else STARTING_CPU
            each.memory = memory(each, t, cpu)
            since = t - each.ready if each in ready else None
            readings.append(Reading(each.name, since, each in ready, cpu, each.memory))
        ticks.append(tick(readings, len(there), spec, now))
        del ticks[: -kept_ticks(spec, run.history, now)]
        run.counts.append((t, len(there)))
        if t >= busy_until:
            if busy_until >= 0:
                run.history, busy_until = ended(run.history, True, now), -1.0
            look = Look(spec, len(there), readings, ticks, now, limited)
            run.history, verdict = decide(run.history, look)
            if verdict.to is not None:
                assert verdict.cause is not None and verdict.to != len(there)
                begun = changed(run.history, look, verdict)
                if verdict.to > len(there) and fails(t):
                    run.history = ended(begun, False, now)
                    run.notices.append((t, Notice.FAILED, verdict.reason))
                else:
                    run.history = begun
                    run.changes.append((t, begun.changes[-1]))
                    more = range(len(there) + 1, verdict.to + 1)
                    there = there[: verdict.to] + [Instance(f"api-{n}", t + start_delay) for n in more]
                    busy_until = t + (start_delay if more else step)
            else:
                run.history, tell = noticed(run.history, verdict.notice, spec, now)
                if tell and verdict.notice:
                    run.notices.append((t, verdict.notice, verdict.reason))
        t += step
    return run


def steady(run: Run, spec: AutoScaleSpec) -> None:
    """What must be true of every run whatever the load."""
    assert all(spec.min <= count <= spec.max for _, count in run.counts)
    previous: tuple[float, Change] | None = None
    for t, change in run.changes:
        if change.cause is not Cause.BOUNDS and previous is not None:
            gap = t - previous[0]
            assert gap >= spec.cooldown_up - 1e-6, "sooner than the cool-down"
            if not _is_up(change):
                assert gap >= spec.cooldown_down - 1e-6, "down sooner than the cool-down"
        if not _is_up(change):
            assert change.before - change.after == 1, "down by more than one"
        else:
            assert change.after <= 2 * change.before, "more than twice as many"
        previous = (t, change)


def flat(value: float) -> Load:
    return lambda t: value


def with_bounds(spec: AutoScaleSpec, least: int, most: int) -> AutoScaleSpec:
    return replace(spec, min=least, max=most)
