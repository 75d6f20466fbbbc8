"""Points of a series over time, and what many of them come to. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

NAN = math.nan
Key = tuple[str, str]
"""An instance, or `host`, and a metric."""


@dataclass(frozen=True, slots=True)
class Points:
    """Times (Unix nanoseconds, ends of steps) with a number each; a gap is NaN."""

    times_ns: Sequence[int] = ()
    means: Sequence[float] = ()
    lows: Sequence[float] = field(default=())
    """The least in each step; empty: each is one sample."""
    highs: Sequence[float] = field(default=())

    def __add__(self, other: Points) -> Points:
        """These, then those. Whichever has single samples only counts as low and high by them."""
        if not self.times_ns or not other.times_ns:
            return self if self.times_ns else other
        lows, highs = (
            [*(mine or self.means), *(theirs or other.means)] if mine or theirs else ()
            for mine, theirs in ((self.lows, other.lows), (self.highs, other.highs))
        )
        return Points([*self.times_ns, *other.times_ns], [*self.means, *other.means], lows, highs)


def step_end(time_ns: int, step_ns: int) -> int:
    """The end of the step that a time is in; steps end at multiples of their length, and hold their end."""
    return -(-time_ns // step_ns) * step_ns


class Steps:
    """Which times fall into which step; worked out once for all series that share their times."""

    def __init__(self, times_ns: Sequence[int], step_ns: int) -> None:
        groups: dict[int, list[int]] = {}
        for at, time_ns in enumerate(times_ns):
            groups.setdefault(step_end(time_ns, step_ns), []).append(at)
        self.ends = list(groups)
        self._groups = list(groups.values())

    def summarised(self, means: Sequence[float], lows: Sequence[float] = (), highs: Sequence[float] = ()) -> Points:
        """Mean, least and greatest of each step, in the order in which steps first come; gaps do not count."""
        out = array("d"), array("d"), array("d")
        for places in self._groups:
            values = _known(means, places)
            least = _known(lows, places) if lows else values
            most = _known(highs, places) if highs else values
            out[0].append(sum(values) / len(values) if values else NAN)
            out[1].append(min(least, default=NAN))
            out[2].append(max(most, default=NAN))
        return Points(self.ends, *out)


def _known(values: Sequence[float], places: Sequence[int]) -> Sequence[float]:
    found = (
        values[places[0] : places[-1] + 1] if places[-1] - places[0] < len(places) else [values[at] for at in places]
    )
    return [value for value in found if value == value] if math.isnan(sum(found)) else found
