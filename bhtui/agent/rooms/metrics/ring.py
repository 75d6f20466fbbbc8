"""The recent past, one-second samples in memory: arrays of numbers, not objects, so that the space is small and known.

All series share the times of the ticks. A series takes 4 bytes a tick: an hour of one 14,400 bytes. Single precision
keeps 7 digits, more than is ever drawn.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from operator import itemgetter

from .points import NAN, Key, Points, Steps

FLOAT = array("f").itemsize


class Ring:
    """The last `ticks` ticks of any number of series."""

    def __init__(self, ticks: int) -> None:
        self.ticks = ticks
        self._times = array("q", (0,)) * ticks
        self._columns: dict[Key, array[float]] = {}
        self._seen: dict[Key, int] = {}
        """The tick of the last number of each series."""
        self._count = 0

    def append(self, time_ns: int, values: Mapping[Key, float]) -> None:
        """Takes the next tick; series without a value get a gap; those with nothing but gaps are dropped."""
        at, count = self._count % self.ticks, self._count
        self._times[at] = time_ns
        for key in values.keys() - self._columns.keys():
            self._columns[key] = array("f", (NAN,)) * self.ticks
        gone = []
        for key, column in self._columns.items():
            value = values.get(key)
            if value is not None:
                column[at] = value
                self._seen[key] = count
            else:
                column[at] = NAN
                if count - self._seen[key] >= self.ticks:
                    gone.append(key)
        for key in gone:
            del self._columns[key], self._seen[key]
        self._count += 1

    def extend(self, times_ns: Sequence[int], columns: Mapping[Key, array[float]]) -> None:
        """Takes many ticks at once, as `append` one after the other; each column has as many numbers as times."""
        times_ns = times_ns[-self.ticks :]
        places = [at % self.ticks for at in range(self._count, self._count + len(times_ns))]
        for at, time_ns in zip(places, times_ns, strict=True):
            self._times[at] = time_ns
        for key in columns.keys() - self._columns.keys():
            self._columns[key] = array("f", (NAN,)) * self.ticks
        gap = array("f", (NAN,)) * len(times_ns)
        for key, column in self._columns.items():
            given = columns.get(key)
            put(column, self._count, gap if given is None else given[-self.ticks :])
            if given is not None:
                self._seen[key] = self._count + len(times_ns) - 1
        self._count += len(times_ns)

    def resized(self, ticks: int) -> Ring:
        """The same in a ring of another size."""
        made = Ring(ticks)
        order = [at % self.ticks for at in range(max(0, self._count - self.ticks), self._count)]
        columns = {key: array("f", [column[at] for at in order]) for key, column in self._columns.items()}
        made.extend([self._times[at] for at in order], columns)
        return made

    @property
    def keys(self) -> list[Key]:
        """The series there are."""
        return sorted(self._columns)

    @property
    def size_bytes(self) -> int:
        """The space all numbers take."""
        return self._times.itemsize * self.ticks + FLOAT * self.ticks * len(self._columns)

    @property
    def first_ns(self) -> int | None:
        """When the oldest tick was; None: there is none."""
        return self._times[max(0, self._count - self.ticks) % self.ticks] if self._count else None

    def read(self, key: Key, since_ns: int, until_ns: int, step_ns: int) -> Points:
        """The points after since and up to until; with a step one for each that ends at a multiple of it.

        Of a series that is not there: none.
        """
        return self.reader(since_ns, until_ns, step_ns)(key)

    def reader(self, since_ns: int, until_ns: int, step_ns: int) -> Reader:
        """Reads the same time of many series; what they have in common is worked out once."""
        order = (at % self.ticks for at in range(max(0, self._count - self.ticks), self._count))
        return Reader(
            self._columns, self._times, [at for at in order if since_ns < self._times[at] <= until_ns], step_ns
        )


class Reader:
    """One time of any series of a ring, as it was when this was made; the ring may go on meanwhile."""

    def __init__(
        self, columns: Mapping[Key, array[float]], times: Sequence[int], places: Sequence[int], step_ns: int
    ) -> None:
        self._columns, self._places = columns, places
        self._times = [times[at] for at in places]
        self._pick = itemgetter(*places) if len(places) > 1 else None
        self._steps = Steps(self._times, step_ns) if step_ns else None

    def __call__(self, key: Key) -> Points:
        """The points of a series; none when it is not there."""
        column = self._columns.get(key)
        if column is None or not self._places:
            return Points()
        values = self._pick(column) if self._pick is not None else (column[self._places[0]],)
        return Points(self._times, values) if self._steps is None else self._steps.summarised(values)


def put(column: array[float], count: int, values: array[float]) -> None:
    """Writes numbers into a ring's column, the first at the place of that tick."""
    at = count % len(column)
    head = values[: len(column) - at]
    column[at : at + len(head)] = head
    if rest := values[len(head) :]:
        column[: len(rest)] = rest
