"""The recent past, one-second samples in memory: arrays of numbers, not objects, so that the space is small and known.

All series share the times of the ticks. A series takes 4 bytes a tick: an hour of one 14,400 bytes. One that has had
the same value ever since it began takes nothing until it changes, and most of an idle service do. Single precision
keeps 7 digits, more than is ever drawn.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from .points import NAN, Key, Points, Steps

FLOAT = array("f").itemsize


@dataclass(frozen=True, slots=True)
class Constant:
    """A series that has had one value at every tick since it began."""

    value: float
    since: int
    """The number of its first tick."""


Column: TypeAlias = "array[float] | Constant"


class Ring:
    """The last `ticks` ticks of any number of series."""

    def __init__(self, ticks: int) -> None:
        self.ticks = ticks
        self._times = array("q", (0,)) * ticks
        self._columns: dict[Key, Column] = {}
        self._seen: dict[Key, int] = {}
        """The tick of the last number of each series."""
        self._count = self._first = 0
        """How many ticks there were, and the first that may still be read."""

    def append(self, time_ns: int, values: Mapping[Key, float]) -> None:
        """Takes the next tick; series without a value get a gap; those with nothing but gaps are dropped."""
        self._let_go_from(time_ns)
        at, count = self._count % self.ticks, self._count
        self._times[at] = time_ns
        for key in values.keys() - self._columns.keys():
            self._columns[key] = Constant(values[key], count)
        gone = []
        for key, column in self._columns.items():
            value = values.get(key)
            if value is not None:
                self._seen[key] = count
            elif count - self._seen[key] >= self.ticks:
                gone.append(key)
            if isinstance(column, Constant):
                if value == column.value:
                    continue
                column = self._columns[key] = self._spread(column)
            column[at] = NAN if value is None else value
        for key in gone:
            del self._columns[key], self._seen[key]
        self._count += 1

    def _let_go_from(self, time_ns: int) -> None:
        """Ticks of that time and later: the clock was set back, and when they really were nobody can say."""
        oldest, kept = self._oldest, self._count
        while kept > oldest and self._times[(kept - 1) % self.ticks] >= time_ns:
            kept -= 1
        if kept == self._count:
            return
        self._first, self._count = oldest, kept
        self._seen = {key: min(tick, kept) for key, tick in self._seen.items()}
        for key, column in self._columns.items():
            if isinstance(column, Constant) and column.since > kept:
                self._columns[key] = Constant(column.value, kept)

    @property
    def _oldest(self) -> int:
        return max(self._first, self._count - self.ticks)

    def _spread(self, constant: Constant) -> array[float]:
        """As an array, up to the tick before the present one."""
        made = array("f", (NAN,)) * self.ticks
        first = max(constant.since, self._count - self.ticks)
        put(made, first, array("f", (constant.value,)) * (self._count - first))
        return made

    def extend(self, times_ns: Sequence[int], columns: Mapping[Key, array[float]]) -> None:
        """Takes many ticks at once, as `append` one after the other; each column has as many numbers as times."""
        times_ns = times_ns[-self.ticks :]
        if times_ns:
            self._let_go_from(times_ns[0])
        gap = array("f", (NAN,)) * len(times_ns)
        for key in columns.keys() | self._columns.keys():
            given = columns.get(key)
            self._columns[key] = self._extended(key, gap if given is None else given[-self.ticks :])
            if given is not None:
                self._seen[key] = self._count + len(times_ns) - 1
        for at, time_ns in enumerate(times_ns, self._count):
            self._times[at % self.ticks] = time_ns
        self._count += len(times_ns)

    def _extended(self, key: Key, values: array[float]) -> Column:
        column = self._columns.get(key)
        first = values[0] if values else NAN
        is_constant = bool(values) and values.count(first) == len(values)  # a gap is unlike itself
        if column is None:
            column = Constant(first, self._count) if is_constant else array("f", (NAN,)) * self.ticks
        if isinstance(column, Constant):
            if is_constant and first == column.value:
                return column
            column = self._spread(column)
        put(column, self._count, values)
        return column

    def resized(self, ticks: int) -> Ring:
        """The same in a ring of another size."""
        made, everything = Ring(ticks), self.reader(-1, _NEVER, 0)
        columns = {key: array("f", everything(key).means) for key in self._columns}
        made.extend(everything.times_ns, columns)
        return made

    @property
    def keys(self) -> list[Key]:
        """The series there are."""
        return sorted(self._columns)

    @property
    def size_bytes(self) -> int:
        """The space all numbers take."""
        arrays = sum(1 for column in self._columns.values() if not isinstance(column, Constant))
        return self._times.itemsize * self.ticks + FLOAT * self.ticks * arrays

    @property
    def first_ns(self) -> int | None:
        """When the oldest tick was; None: there is none."""
        return self._times[self._oldest % self.ticks] if self._count > self._oldest else None

    def read(self, key: Key, since_ns: int, until_ns: int, step_ns: int) -> Points:
        """The points after since and up to until; with a step one for each that ends at a multiple of it.

        Of a series that is not there: none.
        """
        return self.reader(since_ns, until_ns, step_ns)(key)

    def reader(self, since_ns: int, until_ns: int, step_ns: int) -> Reader:
        """Reads the same time of many series; what they have in common is worked out once."""
        ticks = range(self._oldest, self._count)
        chosen = [tick for tick in ticks if since_ns < self._times[tick % self.ticks] <= until_ns]
        times = [self._times[tick % self.ticks] for tick in chosen]
        return Reader(self._columns, self.ticks, chosen, times, step_ns)


_NEVER = 1 << 63


class Reader:
    """One time of any series of a ring, as it was when this was made; the ring may go on meanwhile."""

    def __init__(
        self, columns: Mapping[Key, Column], size: int, ticks: Sequence[int], times_ns: Sequence[int], step_ns: int
    ) -> None:
        self.times_ns = times_ns
        self._columns, self._ticks = columns, ticks
        self._places = [tick % size for tick in ticks]
        self._pick = itemgetter(*self._places) if len(ticks) > 1 else None
        self._steps = Steps(times_ns, step_ns) if step_ns else None

    def __call__(self, key: Key) -> Points:
        """The points of a series; none when it is not there."""
        column = self._columns.get(key)
        if column is None or not self._places:
            return Points()
        values = self._values(column)
        return Points(self.times_ns, values) if self._steps is None else self._steps.summarised(values)

    def _values(self, column: Column) -> Sequence[float]:
        if isinstance(column, Constant):
            return [column.value if tick >= column.since else NAN for tick in self._ticks]
        return self._pick(column) if self._pick is not None else (column[self._places[0]],)


def put(column: array[float], count: int, values: array[float]) -> None:
    """Writes numbers into a ring's column, the first at the place of that tick."""
    at = count % len(column)
    head = values[: len(column) - at]
    column[at : at + len(head)] = head
    if rest := values[len(head) :]:
        column[: len(rest)] = rest
