"""Samples over time, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one instance; `service` and `instance` are `host` for the host itself."""

    service: str
    instance: str
    metric: str
    times_ns: Sequence[int]
    """Ends of the steps, as many as values."""
    values: Sequence[float]
    limit: float | None = None
    """The limit of this metric, a line to draw."""
    lows: Sequence[float] = ()
    """The least in each step, as many as values; none: each value is one sample."""
    highs: Sequence[float] = ()
    """The greatest in each step."""


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Which series. Times are Unix nanoseconds; until 0: now."""

    names: tuple[str, ...] = ()
    """Services or instances; `host` is the host itself; none: all."""
    metrics: tuple[str, ...] = ()
    since_ns: int = 0
    until_ns: int = 0
    step: float = 0.0
    """Seconds a point stands for (the mean of its samples); 0: as kept."""
    by_service: bool = False
    """One series for all instances of a service: their sum, or the greatest where a sum means nothing."""
