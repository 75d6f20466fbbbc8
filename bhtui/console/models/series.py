"""Samples over time for the graphs: merged as they come, spread over the columns of a graph."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bhtui.rpc.blackhole.v1 import metrics_pb2

WINDOW_NAMES = {
    60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 h", 21600: "6 h", 86400: "1 d", 604800: "7 d",
}  # fmt: skip
WINDOWS = tuple(WINDOW_NAMES)
"""Seconds a graph can show."""
POINTS = 4000
"""So many of each track are kept, which is ten times as many as a window has."""


def step_of(window: int) -> float:
    """Seconds a point stands for, so that a window is a few hundred points."""
    return max(1.0, window / 360)


class Summary(NamedTuple):
    """What a track comes to over a time."""

    last: float
    mean: float
    peak: float


@dataclass(slots=True)
class Track:
    """One metric of one instance, oldest first."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    """The greatest in each step, of which `values` has the mean."""
    limit: float | None = None

    def merge(self, times: list[float], values: list[float], highs: list[float], keep: int = POINTS) -> None:
        """Adds points after the last one, or all when they reach further back; keeps the newest `keep`."""
        if not times:
            return
        if not self.times or times[0] < self.times[0]:
            tail = bisect_left(self.times, times[-1] + 1e-6)
            self.times, self.values = times + self.times[tail:], values + self.values[tail:]
            self.highs = highs + self.highs[tail:]
        else:
            new = bisect_left(times, self.times[-1] + 1e-6)
            self.times += times[new:]
            self.values += values[new:]
            self.highs += highs[new:]
        del self.times[:-keep], self.values[:-keep], self.highs[:-keep]

    def at(self, time: float, tolerance: float) -> float | None:
        """The value at a time, if one was sampled near it."""
        index = bisect_left(self.times, time)
        near = [i for i in (index - 1, index) if 0 <= i < len(self.times) and abs(self.times[i] - time) <= tolerance]
        return self.values[min(near, key=lambda i: abs(self.times[i] - time))] if near else None

    def summary(self, start: float, end: float) -> Summary | None:
        """What it comes to between two times; None: nothing is known of then."""
        first, last = bisect_left(self.times, start), bisect_right(self.times, end)
        if first >= last:
            return None
        values, highs = self.values[first:last], (self.highs or self.values)[first:last]
        return Summary(values[-1], sum(values) / len(values), max(highs))

    def columns(self, start: float, end: float, count: int) -> list[float | None]:
        """The highest value of each of `count` equal slices of the time; a slice shorter than the sampling has its
        neighbour's value, a real gap has none."""
        return self._columns(self.values, start, end, count)

    def peaks(self, start: float, end: float, count: int) -> list[float | None]:
        """As `columns`, the greatest that was sampled."""
        return self._columns(self.highs or self.values, start, end, count)

    def _columns(self, values: list[float], start: float, end: float, count: int) -> list[float | None]:
        out: list[float | None] = [None] * count
        width = (end - start) / count
        for index in range(bisect_left(self.times, start), len(self.times)):
            column = int((self.times[index] - start) / width)
            if column >= count:
                break
            value = values[index]
            seen = out[column]
            out[column] = value if seen is None or value > seen else seen
        return _bridged(out, max(1, int(self._sampling() * 2.5 / width)))

    def _sampling(self) -> float:
        """Seconds between neighbouring points, as the newest ones tell."""
        newest = self.times[-20:]
        gaps = sorted(b - a for a, b in itertools.pairwise(newest))
        return gaps[len(gaps) // 2] if gaps else 1.0


def _bridged(values: list[float | None], reach: int) -> list[float | None]:
    last, gap = None, 0
    for index, value in enumerate(values):
        if value is not None:
            if last is not None and 0 < gap <= reach:
                values[index - gap : index] = [last] * gap
            last, gap = value, 0
        else:
            gap += 1
    if last is not None and 0 < gap <= reach:
        values[len(values) - gap :] = [last] * gap
    return values


class SeriesModel:
    """Tracks by (host, instance, metric)."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change."""
        self.tracks: dict[tuple[str, str, str], Track] = {}
        self.sources: dict[str, str] = {}
        """By host where its series are from, when not all are from its agent."""

    def add(self, host: str, response: metrics_pb2.SeriesResponse) -> None:
        """Takes an answer in."""
        self.version += 1
        if response.source:
            self.sources[host] = response.source
        for series in response.series:
            track = self.tracks.setdefault((host, series.instance or series.service, series.metric), Track())
            track.limit = series.limit if series.HasField("limit") else None
            # What could not be measured is not a number; a gap says the same.
            highs = series.highs or series.values
            points = [
                (at / 1e9, value, high)
                for at, value, high in zip(series.times_ns, series.values, highs, strict=True)
                if not math.isnan(value)
            ]
            times, values, peaks = ([point[column] for point in points] for column in range(3))
            track.merge(times, values, peaks)

    def get(self, host: str, instance: str, metric: str) -> Track | None:
        """A track, if anything was heard of it."""
        return self.tracks.get((host, instance, metric))

    def reset(self, host: str, instance: str) -> None:
        """Forgets an instance's tracks, because another resolution is wanted."""
        self.version += 1
        self.sources.pop(host, None)
        for key in [key for key in self.tracks if key[:2] == (host, instance)]:
            del self.tracks[key]


def right_edge(tracks: Iterable[Track], now: float, window: float, columns: int) -> float:
    """The time at the right edge of a graph: that of the newest sample as long as samples come, whatever the host's
    clock says. It moves by whole columns, so that a graph moves and does not flicker."""
    newest = max((track.times[-1] for track in tracks if track.times), default=now)
    end = newest if abs(now - newest) < 3 * step_of(round(window)) + 3 else now
    column = window / max(1, columns)
    return math.ceil(end / column) * column


_DECIMAL_STEPS = (1, 2, 3, 4, 5, 6, 8, 10)
_BINARY_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024)


def nice_top(value: float, binary: bool = False) -> float:
    """A round number at or above a value, for the top of an axis."""
    if value <= 0:
        return 1.0
    base = 1024.0 if binary else 10.0
    steps = _BINARY_STEPS if binary else _DECIMAL_STEPS
    unit = 1.0
    while value >= unit * base:
        unit *= base
    while value < unit and value < 1:
        unit /= base
    return next(step * unit for step in steps if step * unit >= value)
