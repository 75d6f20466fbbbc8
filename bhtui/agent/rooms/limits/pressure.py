"""What is done about memory that runs short: first it is told, then one step at a time, each with time to work. Pure.

It begins at 0.9 of the limit and begins again only after the use was below 0.8 and five minutes have passed, so that an
instance that swings about the mark is not asked for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

SECOND = 1_000_000_000
RESTART = "restart"
NEAR = 0.9
CALM = 0.8
STEP_WAIT = 20.0
"""Seconds that a step has to show its effect before the next one."""
COOLDOWN = 300.0
"""Seconds from one beginning to the next at the least."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Where one instance stands."""

    active: bool = False
    """Whether it was near its limit and has not been calm since."""
    begun_ns: int = 0
    """When it last began; 0: never."""
    acted_ns: int = 0
    """When it was last told or acted."""
    taken: int = 0
    """How many steps were taken since it began."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done now."""

    tell: bool = False
    step: str = ""


NOTHING = Verdict()


def decide(
    was: Pressure, part: float, steps: Sequence[str], now_ns: int, held: bool = False
) -> tuple[Pressure, Verdict]:
    """`part` of its limit is used at the moment `now_ns`; `steps` are those of its policy, in order.

    `held`: a restart is not to be begun now; it is taken as soon as it may, if it is still needed.
    """
    if part < CALM:
        return replace(was, active=False), NOTHING
    if part < NEAR:
        return was, NOTHING
    if not was.active:
        if was.begun_ns and now_ns - was.begun_ns < COOLDOWN * SECOND:
            return was, NOTHING
        first = "" if not steps or (held and steps[0] == RESTART) else steps[0]
        return Pressure(True, now_ns, now_ns, int(bool(first))), Verdict(True, first)
    if held and list(steps[was.taken : was.taken + 1]) == [RESTART]:
        return was, NOTHING
    if was.taken >= len(steps) or now_ns - was.acted_ns < STEP_WAIT * SECOND:
        return was, NOTHING
    return replace(was, acted_ns=now_ns, taken=was.taken + 1), Verdict(step=steps[was.taken])
