"""Scaling by load: what is declared of it, and what holds once what was set at run time is laid over that. Pure.

Shares are per cent: of CPU of the instance's limit, or of one core where it has none; of memory of its limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MOST_REPLICAS = 1000
MOST_CPU = 10_000.0
LONGEST_WINDOW = 3600.0
"""Seconds; what is looked at is kept in memory."""


@dataclass(frozen=True, slots=True)
class AutoScaleSpec:
    """Within which bounds the number of instances follows their load, and how quickly."""

    auto: bool = False
    min: int = 1
    max: int = 5
    cpu: float | None = 80.0
    """Per cent above which another instance is wanted; None: CPU is not looked at."""
    memory: float | None = None
    """Likewise of the memory limit; None: memory is not looked at."""
    window: float = 60.0
    """Seconds over which the load is averaged."""
    cooldown_up: float = 60.0
    """Seconds from any change to the next one up at the least."""
    cooldown_down: float = 300.0
    """Seconds without a change, and without load that the fewer could not carry, before one instance is taken away."""
    warm_up: float = 30.0
    """Seconds after an instance is ready in which its load is not counted."""

    @property
    def bounds(self) -> str:
        """`1..5`, as people see it."""
        return f"{self.min}..{self.max}"

    def clamp(self, count: int) -> int:
        """The nearest number within the bounds."""
        return max(self.min, min(self.max, count))


FIXED = AutoScaleSpec()
"""Without it: the number is as declared, or as somebody set it."""
SETTABLE = ("auto", "min", "max", "cpu", "memory")
"""What can be set at run time; a share of 0 is one that is not looked at."""


def in_force(declared: AutoScaleSpec, overrides: Mapping[str, Any]) -> AutoScaleSpec:
    """What holds: the declared values, but for those that are overridden."""
    values: dict[str, Any] = {name: value for name, value in overrides.items() if name in SETTABLE}
    for name in ("cpu", "memory"):
        if name in values:
            values[name] = values[name] or None
    return replace(declared, **values) if values else declared


def fault(spec: AutoScaleSpec) -> str:
    """What makes these values useless, in words; empty: nothing."""
    if not 1 <= spec.min <= MOST_REPLICAS:
        return f"the minimum {spec.min} is not between 1 and {MOST_REPLICAS}"
    if not 1 <= spec.max <= MOST_REPLICAS:
        return f"the maximum {spec.max} is not between 1 and {MOST_REPLICAS}"
    if spec.min > spec.max:
        return f"the minimum {spec.min} is above the maximum {spec.max}"
    for name, share, most in (("cpu", spec.cpu, MOST_CPU), ("memory", spec.memory, 100.0)):
        if share is not None and not 1 <= share <= most:
            return f"the {name} threshold {share:g} is not between 1 and {most:g} per cent"
    if spec.cpu is None and spec.memory is None:
        return "neither CPU nor memory is looked at"
    if spec.cooldown_down < spec.window:
        return f"cooldown_down ({spec.cooldown_down:g} s) is shorter than window ({spec.window:g} s)"
    return ""
