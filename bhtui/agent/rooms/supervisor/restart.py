"""The restart policy: what happens after a run has ended, when, and the sentence that says so. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bhtui.core.spec import Restart, RestartSpec
from bhtui.core.units import format_age

SECOND = 1_000_000_000


class Action(StrEnum):
    """What to do after a run has ended."""

    RESTART = "restart"
    REST = "rest"  # it did what it had to do
    FAIL = "fail"  # it will not be started again by itself


@dataclass(frozen=True, slots=True)
class History:
    """What the policy needs to know of the runs before."""

    restarts: int = 0
    """Automatic restarts since somebody asked for the start."""
    recent: tuple[int, ...] = ()
    """When the latest automatic restarts were decided, Unix nanoseconds."""
    streak: int = 0
    """Restarts since the last run that was long enough to set the delay back."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says. `reason` is what the console shows; `history` holds after the action."""

    action: Action
    delay: float
    reason: str
    history: History


def decide(
    spec: RestartSpec, history: History, ended: str, success: bool, ran: float, now_ns: int, chance: float
) -> Decision:
    """What follows a run of `ran` seconds that `ended` so (`exit 1 after 0.2 s`).

    `chance` is a random number from 0 to 1 and places the delay within its jitter.
    """
    if spec.policy is Restart.NO or (spec.policy is Restart.ON_FAILURE and success):
        return Decision(Action.REST if success else Action.FAIL, 0.0, ended, history)
    streak = 0 if ran >= spec.reset_after else history.streak
    # A time that is still to come was noted before the clock was set back: when it was nobody knows.
    recent = tuple(t for t in history.recent if 0 <= now_ns - t < spec.start_window * SECOND)
    if spec.start_limit and len(recent) >= spec.start_limit:
        limit = f"restarted {len(recent)} times in {seconds_text(spec.start_window)}"
        return Decision(Action.FAIL, 0.0, f"{ended}; {limit}", History(history.restarts, recent, streak))
    wait = jittered(delay_of(spec, streak), spec.jitter, spec.maximum, chance)
    count = history.restarts + 1
    kept = (*recent, now_ns)[-spec.start_limit :] if spec.start_limit else ()
    after = History(count, kept, streak + 1)
    return Decision(Action.RESTART, wait, f"{ended}, restart {count} in {seconds_text(wait)}", after)


def delay_of(spec: RestartSpec, streak: int) -> float:
    """Seconds before the next start, without jitter: delay * factor ** streak, at most the maximum."""
    if spec.delay <= 0 or spec.delay >= spec.maximum:
        return max(0.0, min(spec.delay, spec.maximum))
    if spec.factor <= 1:
        return spec.delay
    # Compared as logarithms, because the power itself may be larger than a float can be.
    if streak * math.log(spec.factor) >= math.log(spec.maximum) - math.log(spec.delay):
        return spec.maximum
    return float(spec.delay * spec.factor**streak)


def jittered(delay: float, jitter: float, maximum: float, chance: float) -> float:
    """The delay, up to `jitter` of it shorter or longer, never above the maximum."""
    return min(maximum, delay * (1 + jitter * (2 * chance - 1))) if delay > 0 else 0.0


def seconds_text(seconds: float) -> str:
    """`20 ms`, `0.2 s`, `8 s`, `3 min`: a duration as a person reads it in a sentence; at least 1 ms, or 0."""
    if seconds < 0.0995:
        return f"{max(1.0, seconds * 1000):.0f} ms" if seconds > 0 else "0 ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    return f"{seconds:.0f} s" if seconds < 120 else format_age(seconds)
