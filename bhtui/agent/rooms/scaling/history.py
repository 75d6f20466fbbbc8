"""What is remembered of a service's changes, and how long the next one waits because of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from bhtui.core.autoscale import AutoScaleSpec

from .model import Cause, Change, History, Look, Notice, Verdict

SECOND = 1_000_000_000
REMEMBERED = 3600.0
"""Seconds for which changes are remembered."""
MOST_CHANGES = 100
REVERSAL = 2.0
"""Factor of the wait for each change down that was taken back."""
LONGEST_WAIT = 3000.0
"""Seconds of calm that are asked for at the most, unless more are configured."""
LONGEST_PAUSE = 1800.0
"""Seconds after a change that failed, at the most."""


def changed(was: History, look: Look, verdict: Verdict, operation: str = "") -> History:
    """The change was begun, by that operation."""
    assert verdict.to is not None, "only a change is remembered as one"
    cause = verdict.cause or Cause.HAND
    before = {each.name: each.memory for each in look.readings if each.memory is not None}
    return replace(
        was,
        count=verdict.to,
        operation=operation,
        changes=_with(was, Change(look.now_ns, look.count, verdict.to, cause, verdict.reason)),
        memory_before=before if cause is Cause.MEMORY else {},
    )


def changed_by_hand(was: History, before: int, after: int, now_ns: int) -> History:
    """The number is another one, and not by us: it begins anew, with the cool-down."""
    return History(after, _with(was, Change(now_ns, before, after, Cause.HAND)), noticed=was.noticed)


def ended(was: History, ok: bool, now_ns: int) -> History:
    """The change that was begun has ended. One that failed was taken back, so that it is none."""
    was = replace(was, operation="")
    if ok or was.last is None:
        return replace(was, failures=0, failed_ns=0)
    was = replace(was, count=was.last.before, changes=was.changes[:-1], memory_before={})
    return refused(was, now_ns)


def refused(was: History, now_ns: int) -> History:
    """A change could not even be begun, or had to be taken back."""
    return replace(was, failures=was.failures + 1, failed_ns=now_ns)


def noticed(was: History, notice: Notice | None, spec: AutoScaleSpec, now_ns: int) -> tuple[History, bool]:
    """Remembers what is noticed now, and whether it is to be told: once, until it was absent for a cool-down."""
    if notice is None:
        return was, False
    before = was.noticed.get(notice, 0)
    tell = not before or now_ns - before >= spec.cooldown_down * SECOND
    return replace(was, noticed={**was.noticed, notice: now_ns}), tell


def since_change(was: History, now_ns: int) -> float:
    return (now_ns - was.last.time_ns) / SECOND if was.last else math.inf


def pause_left(was: History, spec: AutoScaleSpec, now_ns: int) -> float:
    if not was.failures:
        return 0.0
    pause = min(max(spec.cooldown_up, 1.0) * 2.0 ** min(was.failures - 1, 16), max(LONGEST_PAUSE, spec.cooldown_up))
    return pause - (now_ns - was.failed_ns) / SECOND


def wait_down(spec: AutoScaleSpec, history: History, now_ns: int) -> float:
    """Seconds of calm that the next change down needs."""
    swings = sum(1 for a, b in pairwise(_recent(history.changes, now_ns)) if a.after < a.before and b.after > b.before)
    longest = max(spec.cooldown_down, LONGEST_WAIT)
    return min(spec.cooldown_down * REVERSAL ** min(swings, 16), longest)


def settle_clock(was: History, now_ns: int) -> History:
    """After a clock was set back: what would be in the future is now."""
    if was.failed_ns <= now_ns and (was.last is None or was.last.time_ns <= now_ns):
        return was
    changes = tuple(replace(each, time_ns=min(each.time_ns, now_ns)) for each in was.changes)
    return replace(was, changes=changes, failed_ns=min(was.failed_ns, now_ns))


def _with(was: History, change: Change) -> tuple[Change, ...]:
    return (*_recent(was.changes, change.time_ns)[-MOST_CHANGES:], change)


def _recent(changes: Sequence[Change], now_ns: int) -> list[Change]:
    return [each for each in changes if now_ns - each.time_ns < REMEMBERED * SECOND]


def span(seconds: float) -> str:
    """`60 s`, `5 min`: whole seconds up to two minutes."""
    return f"{max(0.0, seconds):.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
