"""Lines that are kept in the order of time, by column: a hundred thousand of them are a few lists, which neither the
garbage collector nor the screen's thread has to go through. An `Entry` is made of one when it is looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from bhtui.core.logcolumns import Lines, origin

_STRETCHES = 32
"""Stretches of lines that are put in one by one."""


class Entry(NamedTuple):
    """One line. Sorts by time, then by arrival."""

    time_ns: int
    order: int
    host: str
    instance: str
    rank: int
    message: str
    late: bool = False
    """It came when later ones had been shown."""
    offset_ns: int = 0
    """What was added to the time that its host gave it, because the host's clock is wrong."""

    @property
    def stamp_ns(self) -> int:
        """The time that its host gave it."""
        return self.time_ns - self.offset_ns


class Entries(Sequence[Entry]):
    """Sorted by time and number. `orders` are the numbers of `lines`, in which they came."""

    def __init__(self, lines: Lines | None = None, orders: Iterable[int] = ()) -> None:
        self.lines, self.orders = lines or Lines(), list(orders)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Entries:
        """Those of sorted entries."""
        given = list(entries)
        origins = [origin(e.host, "", e.instance, e.rank, offset_ns=e.offset_ns, late=e.late) for e in given]
        lines = Lines([each.time_ns for each in given], origins, [each.message for each in given])
        return cls(lines, [each.order for each in given])

    def __len__(self) -> int:
        return len(self.orders)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...
    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        lines = self.lines
        of = lines.origins[place]
        return Entry(
            lines.times[place], self.orders[place], of.host, of.instance, of.rank, lines.messages[place], of.late,
            of.offset_ns,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Entry]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def key(self, place: int) -> tuple[int, int]:
        """What it is sorted by."""
        return self.lines.times[place], self.orders[place]

    def before(self, *key: int) -> int:
        """How many come before a time, or a time and number."""
        return bisect_left(range(len(self)), key, key=self.key)

    def picked(self, places: Sequence[int]) -> Entries:
        """Those at these places, in their order."""
        return Entries(self.lines.picked(places), [self.orders[place] for place in places])

    def copy(self) -> Entries:
        """As they are now."""
        lines = self.lines
        return Entries(Lines(lines.times, lines.origins, lines.messages), self.orders)

    def drop(self, count: int) -> None:
        """Forgets the first so many."""
        self._delete(slice(0, count))

    def merge(self, new: Entries) -> None:
        """Puts others in; as a rule they come after those that are there. Those that do not go in by stretches that
        come between the same two lines; where they are many, they are sorted in."""
        done = stretches = 0
        while done < len(new) and (at := self.before(*new.key(done))) < len(self):
            if stretches == _STRETCHES:
                self._sort_in(new.picked(range(done, len(new))), at)
                return
            end = new.before(*self.key(at))
            self._put(at, new.picked(range(done, end)))
            done, stretches = end, stretches + 1
        self._put(len(self), new.picked(range(done, len(new))) if done else new)

    def _put(self, at: int, new: Entries) -> None:
        self.lines.times[at:at], self.lines.origins[at:at] = new.lines.times, new.lines.origins
        self.lines.messages[at:at], self.orders[at:at] = new.lines.messages, new.orders

    def _sort_in(self, new: Entries, start: int) -> None:
        """Of one moment, lines that are read later from further back have the lesser numbers, and else the greater."""
        tail = self.picked(range(start, len(self)))
        tail._put(0 if new.orders[0] < tail.orders[0] else len(tail), new)
        self._delete(slice(start, None))
        self._put(start, tail.picked(sorted(range(len(tail)), key=tail.lines.times.__getitem__)))

    def _delete(self, places: slice) -> None:
        del self.lines.times[places], self.lines.origins[places], self.lines.messages[places], self.orders[places]
