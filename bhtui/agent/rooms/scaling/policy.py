"""How many instances a load needs: more of them quickly, fewer of them slowly, and never to and fro. Pure.

Up: the mean share over `window` is above the threshold. As many as bring it down to the threshold, at most twice as
many as there are; twice as many at once when the instances are at what they may have, because then nobody knows how
much more they would take. It must be above in the last part of the window too: what is over needs no answer. Instances
that are not warm or not measured count as idle, since they are about to take their part: that many are not asked for a
second time. Memory asks for one at a time, and is asked no more once another instance did not lower it.

Down: one at a time, after `cooldown_down` in which every instance was ready and measured all the time, and in every
part of which the fewer would have stayed below CALM of the threshold. The gap between that and the threshold is what
keeps a steady load from ever going both ways. A load that swings in step with the cool-down is met by REVERSAL: for
every time within the last hour that a change down was taken back, the wait before the next one is twice as long.

Nothing is decided while an instance has failed, is held back or is unknown; what could not be done is tried again with
growing pauses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from bhtui.core.autoscale import AutoScaleSpec

from .history import REMEMBERED, SECOND, pause_left, settle_clock, since_change, span, wait_down
from .model import Cause, History, Look, Notice, Reading, Tick, Verdict

CALM = 0.8
"""Part of the threshold that the fewer must not exceed."""
SATURATED, ONE_CORE = 95.0, 105.0
"""Share of CPU from which on more cannot be told from much more; without a limit up to what one thread can take."""
LATELY = 4
"""The last part of the window, as a divisor."""
COVERED_UP, COVERED_DOWN = 0.5, 0.9
"""Parts of the time looked at that must have been measured."""
LATE = 2.5
"""As many periods may pass between two ticks before something was missed."""
EFFECT = 1 / 3
"""Part of the expected fall of memory that counts as one."""


def period(spec: AutoScaleSpec) -> float:
    """Seconds from one tick to the next."""
    return max(1.0, min(5.0, spec.window / 12))


def kept_ticks(spec: AutoScaleSpec, history: History, now_ns: int) -> int:
    """How many ticks the next decision may look at."""
    return math.ceil(max(wait_down(spec, history, now_ns), spec.window) / period(spec)) + 1


def tick(look_at: Sequence[Reading], count: int, spec: AutoScaleSpec, now_ns: int) -> Tick:
    """The instances at one moment, added up."""
    warm = [each for each in look_at if _is_warm(each, spec)]
    well = sum(1 for each in warm if each.well)
    cpu = [each.cpu for each in warm if each.cpu is not None]
    memory = [each.memory for each in warm if each.memory is not None]
    measured = (spec.cpu is None or len(cpu) == count) and (spec.memory is None or len(memory) == count)
    return Tick(now_ns, count, well, _total(cpu), _total(memory), well == count and measured)


def decide(was: History, look: Look) -> tuple[History, Verdict]:
    """What to do now, and what to remember of it until then."""
    was = _judge_memory(settle_clock(was, look.now_ns), look)
    return was, _verdict(was, look)


def _verdict(was: History, look: Look) -> Verdict:
    spec, count, now = look.spec, look.count, look.now_ns
    if trouble := next((each.trouble for each in look.readings if each.trouble), ""):
        return Verdict(f"held: {trouble}", notice=Notice.TROUBLE)
    if (left := pause_left(was, spec, now)) > 0:
        return Verdict(f"held: the last change failed; tried again in {span(left)}", notice=Notice.FAILED)
    if count != spec.clamp(count):
        bound = f"below the minimum of {spec.min}" if count < spec.min else f"above the maximum of {spec.max}"
        return _to(spec.clamp(count), count, Cause.BOUNDS, bound)
    since = since_change(was, now)
    if since < spec.cooldown_up:
        return Verdict(f"changed {span(since)} ago, looked at again in {span(spec.cooldown_up - since)}")
    if name := _unmeasured(look):
        return Verdict(f"held: nothing is measured of {name}", notice=Notice.UNMEASURED)
    seen = _seen(was, look, spec.window)
    if (covered := _covered(seen, spec)) < COVERED_UP * spec.window:
        return Verdict(f"measured for {span(covered)} of {span(spec.window)} so far")
    up, down = _up(was, look, seen), _down(was, look, since)
    acting = next((each for each in (up, down) if each and each.to is not None), None)
    return acting or up or down or Verdict("as many as are needed")


# ---- up --------------------------------------------------------------------------------------------------------------


def _up(was: History, look: Look, seen: Sequence[Tick]) -> Verdict | None:
    spec, count = look.spec, look.count
    wanted: list[tuple[int, Cause, str]] = []
    if spec.cpu is not None and (hot := _hot(seen, "cpu", spec.cpu)):
        said = f"cpu {hot[0]:.0f} % of {look.cpu_of} over {span(spec.window)}, above {spec.cpu:g} %"
        wanted.append((_by_cpu(max(hot), look), Cause.CPU, said))
    if spec.memory is not None and (hot := _hot(seen, "memory", spec.memory)):
        said = f"memory {hot[0]:.0f} % of the limit over {span(spec.window)}, above {spec.memory:g} %"
        if was.memory_helped is not False:
            wanted.append((count + 1, Cause.MEMORY, said))
        elif not wanted:
            why = "which another instance did not lower; see what holds it, or allow it more"
            return Verdict(f"held: {said}, {why}", notice=Notice.MEMORY)
    if not wanted:
        return None
    most, cause, said = max(wanted, key=lambda each: each[0])
    if count >= spec.max:
        return Verdict(f"held: {said}, and {count} is the maximum", notice=Notice.AT_MAX)
    return _to(min(most, spec.max), count, cause, said)


def _hot(seen: Sequence[Tick], name: str, threshold: float) -> tuple[float, float] | None:
    """The mean share of an instance in the window and lately, when both are above the threshold."""
    shares = [value / t.count for t in seen if (value := getattr(t, name)) is not None]
    if not shares:
        return None
    last = shares[-max(1, len(shares) // LATELY) :]
    share, lately = sum(shares) / len(shares), sum(last) / len(last)
    return (share, lately) if min(share, lately) > threshold else None


def _by_cpu(share: float, look: Look) -> int:
    twice = 2 * look.count
    threshold = look.spec.cpu or SATURATED
    if share >= SATURATED and (look.limited or share <= ONE_CORE):
        return twice
    return max(look.count + 1, min(twice, math.ceil(share * look.count / threshold - 1e-9)))


# ---- down ------------------------------------------------------------------------------------------------------------


def _down(was: History, look: Look, since: float) -> Verdict | None:
    spec, count = look.spec, look.count
    if count <= spec.min:
        return None
    wait = wait_down(spec, was, look.now_ns)
    if since < wait:
        return Verdict(f"changed {span(since)} ago; fewer at the earliest in {span(wait - since)}")
    seen = _seen(was, look, wait)
    calm = [t for t in seen if t.complete]
    if any(t.well < t.count for t in seen) or _covered(calm, spec) < COVERED_DOWN * wait:
        return Verdict(f"fewer only after {span(wait)} in which every instance is ready and measured")
    told = []
    # What an instance holds is its own as a rule, and the others do not take it over; unless it was seen to be shared.
    shared = count / (count - 1)
    memory = None if was.memory_helped is False else spec.memory
    for name, limit, grows in (("cpu", spec.cpu, shared), ("memory", memory, shared if was.memory_helped else 1.0)):
        if limit is None:
            continue
        peak = max(_means(calm, name, spec)) / count
        if peak * grows > CALM * limit:
            return Verdict(f"{name} was up to {peak:.0f} % in the last {span(wait)}: {count} are needed")
        with_fewer = f", {peak * grows:.0f} % with one fewer" if grows > 1 else ""
        told.append(f"{name} at most {peak:.0f} % over {span(wait)}{with_fewer}, below {CALM * limit:.0f} %")
    return _to(count - 1, count, Cause.CALM, " and ".join(told) or "another instance did not lower the memory")


def _means(calm: Sequence[Tick], name: str, spec: AutoScaleSpec) -> list[float]:
    """The means of one part after the other, each as long as the window."""
    size = max(1, round(spec.window / period(spec)))
    values = [value for t in calm if (value := getattr(t, name)) is not None]
    parts = [values[max(0, end - size) : end] for end in range(len(values), 0, -size)]
    return [sum(part) / len(part) for part in parts] or [math.inf]


# ---- memory ----------------------------------------------------------------------------------------------------------


def _judge_memory(was: History, look: Look) -> History:
    """Whether the instance that memory asked for has lowered it on those that were there before."""
    now = {each.name: each.memory for each in look.readings if each.memory is not None}
    limit = look.spec.memory
    if limit is None or not now:
        return was
    since = since_change(was, look.now_ns)
    has_fallen = max(now.values()) <= CALM * limit
    if was.memory_helped is False and has_fallen and not _anew(look, REMEMBERED):
        was = replace(was, memory_helped=None)
    last = was.last
    if not was.memory_before or last is None or since < look.spec.cooldown_up:
        return was
    if not all(_is_warm(each, look.spec) for each in look.readings):
        return was
    if _anew(look, since) & set(was.memory_before):
        return replace(was, memory_before={}, memory_helped=False)
    both = [(before, now[name]) for name, before in was.memory_before.items() if name in now]
    if not both:
        return replace(was, memory_before={})
    before, after = (sum(each) / len(both) for each in zip(*both, strict=True))
    helped = before - after >= EFFECT * before / (last.before + 1) or has_fallen
    return replace(was, memory_before={}, memory_helped=helped)


def _anew(look: Look, since: float) -> set[str]:
    """Those started within the last `since` seconds: what a restart gave back nobody took over."""
    return {each.name for each in look.readings if each.ready_seconds is None or each.ready_seconds < since}


# ---- parts -----------------------------------------------------------------------------------------------------------


def _is_warm(each: Reading, spec: AutoScaleSpec) -> bool:
    return each.ready_seconds is not None and each.ready_seconds >= spec.warm_up


def _unmeasured(look: Look) -> str:
    """An instance that has been warm for long and of which nothing is known."""
    spec = look.spec
    for each in look.readings:
        if each.ready_seconds is None or each.ready_seconds < spec.warm_up + spec.window:
            continue
        if (spec.cpu is not None and each.cpu is None) or (spec.memory is not None and each.memory is None):
            return each.name
    return ""


def _seen(was: History, look: Look, seconds: float) -> list[Tick]:
    """The ticks of the last seconds that are about this number of instances."""
    begin = look.now_ns - seconds * SECOND
    if was.last:
        begin = max(begin, was.last.time_ns)
    found = []
    for each in reversed(look.ticks):
        if each.time_ns <= begin or each.count != look.count:
            break
        found.append(each)
    return found[::-1]


def _covered(ticks: Sequence[Tick], spec: AutoScaleSpec) -> float:
    """Seconds that these ticks stand for. On a busy host they come late: each stands for a bit more then."""
    step = period(spec)
    gaps = [(b.time_ns - a.time_ns) / SECOND for a, b in pairwise(ticks)]
    return sum(min(gap, LATE * step) for gap in gaps) + (step if ticks else 0.0)


def _total(shares: Sequence[float]) -> float | None:
    return sum(shares) if shares else None


def _to(wanted: int, count: int, cause: Cause, why: str) -> Verdict:
    return Verdict(f"{why}: {count} -> {wanted}", wanted, cause)
