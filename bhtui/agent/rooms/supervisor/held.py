"""After an emergency stop nothing starts before a person asks: the first step of what they ask lifts the hold. Pure.

It is a step of the plan, so it is seen before it is done, and what was under way when everything was killed lacks it.
"""

from __future__ import annotations

from dataclasses import replace

from bhtui.core.operation import Plan, PlannedStep

LIFT = "hold.lift"
STARTS = ("service.start",)
EFFECT = "what the emergency stop holds down may start again"
UNTIL = "nothing starts again, by itself or at boot, before `blackhole start`"
RELEASE = "`blackhole start` lifts that"
STAYS = f"everything is held down since an emergency stop; {RELEASE}"


def with_lift(plan: Plan) -> Plan:
    """The plan of somebody who wants something started although all is held down; others stay as they are."""
    if lifts(plan) or not any(step.kind in STARTS for step in plan.steps):
        return plan
    first = PlannedStep(LIFT, "keeper", "lift the hold of the emergency stop", timeout=20.0)
    later = (replace(step, after=tuple(index + 1 for index in step.after) or (0,)) for step in plan.steps)
    return replace(plan, steps=(first, *later), effects=(EFFECT, *plan.effects))


def lifts(plan: Plan) -> bool:
    """Whether it lifts the hold."""
    return any(step.kind == LIFT for step in plan.steps)
