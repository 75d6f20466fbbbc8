"""Overrides: what was set at run time instead of what is declared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .spec import LimitsSpec

LIMITS = ("memory", "cpu", "pids", "iops", "bandwidth")
PRIORITIES = ("nice", "ionice")


@dataclass(frozen=True, slots=True)
class Override:
    """One value, who set it and when (Unix nanoseconds)."""

    value: Any
    actor: str
    time_ns: int


def effective(declared: LimitsSpec, overrides: Mapping[str, Override]) -> LimitsSpec:
    """What holds: the declared values, but for those that are overridden."""
    return (
        replace(declared, **{name: override.value for name, override in overrides.items()}) if overrides else declared
    )


def latest(overrides: Mapping[str, Override]) -> Override | None:
    """The one that was set last."""
    return max(overrides.values(), key=lambda override: override.time_ns, default=None)
