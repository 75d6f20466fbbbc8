"""Overrides: what was set at run time instead of what is declared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .spec import LimitsSpec

LIMITS = ("memory", "cpu", "pids", "iops", "bandwidth")
PRIORITIES = ("nice", "ionice")
REPLICAS = "replicas"
"""Key of the number of replicas that was set at run time."""


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


def to_args(override: Override | None) -> dict[str, Any] | None:
    """As JSON values, for the arguments of a step."""
    return None if override is None else {"value": override.value, "actor": override.actor, "time_ns": override.time_ns}


def from_args(args: Mapping[str, Any] | None) -> Override | None:
    """Back from JSON values."""
    return None if args is None else Override(args["value"], args["actor"], args["time_ns"])


def same(now: Override | None, wanted: Override | None) -> bool:
    """Whether one is as the other, but for its time: what is set again keeps its origin."""
    if now is None or wanted is None:
        return now is wanted
    return (now.value, now.actor) == (wanted.value, wanted.actor)
