"""From single answers to health: how many in a row it takes, what does not count yet, when to ask next. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bhtui.core.spec import ProbeSpec
from bhtui.core.states import Health

from .model import ProbeResult

FIRST_PAUSE = 0.02
"""Seconds between the first probes of a start; grows by GROWTH, so that readiness is seen at once."""
GROWTH = 1.3
JITTER = 0.1
"""Part of the interval by which it varies, so that probes of many instances do not fall together."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What has been concluded so far."""

    health: Health = Health.UNKNOWN
    detail: str = ""
    good: int = 0
    """Successes in a row."""
    bad: int = 0
    """Counted failures in a row."""
    was_well: bool = False
    """Whether it has been well since its start. Until then a failure means that it is not ready, not that it is ill."""
    asked: int = 0


def judge(before: Judgement, probe: ProbeSpec, result: ProbeResult, age: float) -> Judgement:
    """The conclusion after one more answer; `age` is seconds since the instance was started."""
    now = replace(before, asked=before.asked + 1, detail=result.detail)
    if result.ok:
        return _after_success(now, probe, result)
    now = replace(now, good=0)
    if not now.was_well or age < probe.start_period:
        return now
    now = replace(now, bad=now.bad + 1)
    return replace(now, health=Health.UNHEALTHY) if now.bad >= probe.retries else now


def _after_success(now: Judgement, probe: ProbeSpec, result: ProbeResult) -> Judgement:
    now = replace(now, good=now.good + 1, bad=0)
    if now.health in (Health.UNKNOWN, Health.UNHEALTHY) and now.good < probe.successes:
        return now
    return replace(now, was_well=True, health=Health.DEGRADED if result.degraded else Health.HEALTHY)


def pause_after(judgement: Judgement, probe: ProbeSpec, chance: float) -> float:
    """Seconds until the next probe; `chance` is a random number from 0 to 1."""
    if not judgement.was_well:
        exponent = min(judgement.asked, 64)
        return float(min(probe.interval, FIRST_PAUSE * GROWTH**exponent))
    return probe.interval * (1 + JITTER * (2 * chance - 1))
