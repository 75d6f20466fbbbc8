"""An hour of samples in memory: arrays of numbers, not objects, so that the space is small and known.

All series share the times of the ticks. A series takes 4 bytes a tick; an instance with its 6 metrics 86,400 bytes for
an hour of seconds, 200 instances 17 MB. Single precision keeps 7 digits, more than is ever drawn.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from itertools import repeat

TICKS = 3600
NAN = math.nan


class Ring:
    """The last TICKS ticks of any number of series with the same width (numbers a tick)."""

    def __init__(self, width: int, ticks: int = TICKS) -> None:
        self.width, self.ticks = width, ticks
        self._times = array("q", (0,)) * ticks
        self._series: dict[str, list[array[float]]] = {}
        self._seen: dict[str, int] = {}
        self._count = 0

    def append(self, time_ns: int, values: Mapping[str, Sequence[float | None]]) -> None:
        """Takes the next tick; series without values get a gap; those with nothing but gaps are dropped."""
        at = self._count % self.ticks
        self._times[at] = time_ns
        for name in values.keys() - self._series.keys():
            self._series[name] = [array("f", (NAN,)) * self.ticks for _ in range(self.width)]
        for name in list(self._series):
            found = values.get(name)
            if found is not None:
                self._seen[name] = self._count
            elif self._count - self._seen[name] >= self.ticks:
                del self._series[name], self._seen[name]
                continue
            for column, value in zip(self._series[name], found or repeat(None), strict=False):
                column[at] = NAN if value is None else value
        self._count += 1

    @property
    def names(self) -> list[str]:
        """The series there are."""
        return sorted(self._series)

    @property
    def size_bytes(self) -> int:
        """The space all numbers take."""
        columns = [column for series in self._series.values() for column in series]
        return self._times.itemsize * self.ticks + sum(column.itemsize * len(column) for column in columns)

    def read(
        self, name: str, column: int, since_ns: int, until_ns: int, step_ns: int
    ) -> tuple[array[int], array[float]]:
        """The points after since and up to until; with a step their means over steps that end at multiples of it."""
        values = self._series[name][column]
        order = [at % self.ticks for at in range(max(0, self._count - self.ticks), self._count)]
        points = [(self._times[at], values[at]) for at in order if since_ns < self._times[at] <= until_ns]
        if step_ns:
            points = _means(points, step_ns)
        return array("q", (time for time, _ in points)), array("d", (value for _, value in points))


def _means(points: Sequence[tuple[int, float]], step_ns: int) -> list[tuple[int, float]]:
    sums: dict[int, list[float]] = {}
    for time, value in points:
        known = sums.setdefault(-(-time // step_ns) * step_ns, [])
        if not math.isnan(value):
            known.append(value)
    return [(end, sum(known) / len(known) if known else NAN) for end, known in sums.items()]
