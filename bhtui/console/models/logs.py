"""Log lines of one view: kept up to a bound, merged in time order, filtered, counted; mutable for their number."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bhtui.rpc.blackhole.v1 import events_pb2, logs_pb2

from .match import Query

if TYPE_CHECKING:
    from .logflow import LogBlock

CAPACITY = 100_000
LEVELS = ("", "trace", "debug", "info", "warning", "error", "fatal")
"""A level's place is its rank; lines without a known level have rank 0."""
RANK = {name: rank for rank, name in enumerate(LEVELS)} | {"warn": 4, "err": 5, "critical": 6, "panic": 6}
WARNING, ERROR = 4, 5
EVERYTHING = Query()
_CHECK_EVERY = 2000
_AROUND = 1000
"""Lines before a reader's that are kept for him."""
_FEW = 16
"""Lines that are put in one by one rather than sorted in."""


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


class Same(NamedTuple):
    """What a line of a host is known by."""

    time_ns: int
    instance: str
    message: str


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines are shown."""

    query: Query = EVERYTHING
    rank: int = 0

    def passes(self, entry: Entry) -> bool:
        return entry.rank >= self.rank and self.query.matches_line(entry.host, entry.instance, entry.message)


UNFILTERED = LogFilter()


def refilter(
    entries: list[Entry], chosen: LogFilter, cancelled: Callable[[], bool] = lambda: False
) -> list[Entry] | None:
    """Those that pass; for a worker thread: it looks now and then whether it is wanted; if not, None."""
    out: list[Entry] = []
    for start in range(0, len(entries), _CHECK_EVERY):
        if cancelled():
            return None
        out += filter(chosen.passes, entries[start : start + _CHECK_EVERY])
    return out


Tally = dict[int, list[int]]
"""By second: lines, warnings, errors."""


def tally(entries: Sequence[Entry]) -> Tally:
    """Counts lines by second."""
    found = {second: [count, 0, 0] for second, count in Counter([entry[0] // 10**9 for entry in entries]).items()}
    for entry in entries:
        if entry.rank >= WARNING:
            found[entry.time_ns // 10**9][1 if entry.rank < ERROR else 2] += 1
    return found


def crash_entry(host: str, event: events_pb2.Event, offset_ns: int = 0) -> Entry | None:
    """The line that tells of a crash among those of the instance; None when the event tells of something else."""
    try:
        data = json.loads(event.data) if event.kind == "instance.state" else None
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("to") not in ("backoff", "failed"):
        return None
    why = data.get("reason") or event.message
    return Entry(event.time_ns + offset_ns, 0, host, event.target, ERROR, f"── {why} ──", offset_ns=offset_ns)


class LogModel:
    """Lines of one view. `entries` is everything kept, `shown` what the filter lets through, both in time order."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Forgets every line; the filter stays."""
        self.entries: list[Entry] = []
        self.shown: list[Entry] = []
        self.filter: LogFilter = getattr(self, "filter", LogFilter())
        self.order = self.lowest = 0
        """The numbers of the last line that came, and of the first of those that were read later from further back."""
        self.lost = 0
        self.evicted = 0
        self.hosts: set[str] = set()
        self.instances: set[str] = set()
        self.seconds: Tally = {}
        """Of what is shown."""
        self.judged = 0
        """Lines among which those that are shown were looked for."""

    def add(self, host: str, batch: logs_pb2.LogBatch) -> int:
        """Takes a batch in. Returns how many of its lines are shown."""
        self.lost += batch.dropped
        return self.extend(
            Entry(line.time_ns, 0, host, line.instance, RANK.get(line.level, 0), line.message) for line in batch.lines
        )

    def add_older(self, host: str, lines: Iterable[logs_pb2.LogLine], offset_ns: int = 0) -> int:
        """Takes lines in that were written before those that are there. Of one moment there may be many, so those
        that are there already are told apart. Returns how many are shown."""
        there = Counter(self.at(host, self.first(host)))
        new = []
        for line in reversed(list(lines)):  # those that are there are the last of their moment
            key = Same(line.time_ns, line.instance, line.message)
            if there[key] > 0:
                there[key] -= 1
            else:
                new.append(line)
        self.lowest -= len(new)
        entries = [
            Entry(
                line.time_ns + offset_ns, self.lowest + place, host, line.instance, RANK.get(line.level, 0),
                line.message, offset_ns=offset_ns,
            )
            for place, line in enumerate(reversed(new))
        ]  # fmt: skip
        entries.sort()
        return self.take(entries, list(filter(self.filter.passes, entries)))

    def first(self, host: str) -> int:
        """When the oldest line of a host was written; 0 when there is none."""
        return next((entry.time_ns for entry in self.entries if entry.host == host), 0)

    def at(self, host: str, time_ns: int) -> list[Same]:
        """The lines of a host of one moment, with the times that it gave them. A service's lines that were read at
        once have the same."""
        start, end = bisect_left(self.entries, (time_ns,)), bisect_left(self.entries, (time_ns + 1,))
        found = [entry for entry in self.entries[start:end] if entry.host == host]
        return [Same(entry.stamp_ns, entry.instance, entry.message) for entry in found]

    def extend(self, lines: Iterable[Entry]) -> int:
        """Takes lines in, in the order they come; late ones go where their time says."""

        new = [line._replace(order=number) for number, line in enumerate(lines, self.order + 1)]
        self.order += len(new)
        new.sort()
        return self.take(new, list(filter(self.filter.passes, new)))

    def take(self, new: list[Entry], shown: list[Entry], counts: Tally | None = None) -> int:
        """Takes sorted lines in, of which `shown` pass the filter; `counts` are those of these. Returns how many are
        shown. Lists are worked on as a whole, as this is done on the screen's thread."""
        if not new:
            return 0
        self.judged += len(new)
        self.hosts.update({entry.host for entry in new})
        self.instances.update({entry.instance for entry in new})
        _merge(self.entries, new)
        _merge(self.shown, shown)
        self._count(counts if counts is not None else tally(shown), 1)
        self._evict()
        return len(shown)

    def take_block(self, block: LogBlock) -> int:
        """Takes in what a worker has made ready."""
        self.lost += block.dropped
        new, shown, counts = block.entries, block.shown, block.counts
        if new and block.first <= self.order:  # a line of the view's own was numbered meanwhile
            new = [entry._replace(order=number) for number, entry in enumerate(new, self.order + 1)]
        if new is not block.entries or block.chosen != self.filter:
            shown = list(filter(self.filter.passes, new))
            counts = tally(shown)
        self.order = max(self.order, max((entry.order for entry in new), default=0))
        return self.take(new, shown, counts)

    def room(self, entry: Entry) -> int:
        """How many lines can be taken in before those around an entry that is shown fall out at the far end."""
        there = self.entries if self.filter == UNFILTERED else self.shown
        return self.capacity - self.capacity // 50 - len(there) + bisect_left(there, entry) - _AROUND

    def set_filter(self, chosen: LogFilter) -> None:
        """Filters at once; for few lines."""
        self.install(chosen, refilter(self.entries, chosen) or [], self.order)

    def install(self, chosen: LogFilter, shown: list[Entry], order: int) -> None:
        """Takes what a worker found among the lines up to `order`, and adds those that came or went meanwhile."""
        self.filter = chosen
        gone = 0 if chosen != UNFILTERED else bisect_left(shown, self.entries[0]) if self.entries else len(shown)
        self.shown = shown[gone:]
        self.judged = len(self.entries)
        if order < self.order:
            _merge(self.shown, [entry for entry in self.entries if entry.order > order and chosen.passes(entry)])
        self.seconds = tally(self.shown)

    def near(self, time_ns: int) -> int:
        """The place in `shown` of the last line at or before a time; 0 when there is none."""
        return max(0, bisect_left(self.shown, (time_ns + 1,)) - 1)

    def find_line(self, line: Same) -> int:
        """The place in `shown` of a line, or else of the last one at or before its time."""
        index = near = self.near(line.time_ns)
        while index >= 0 and self.shown and self.shown[index].time_ns == line.time_ns:
            if (self.shown[index].instance, self.shown[index].message) == line[1:]:
                return index
            index -= 1
        return near

    def place(self, entry: Entry) -> int:
        """Where in `shown` an entry is, or the next one after it."""
        return min(bisect_left(self.shown, entry), max(0, len(self.shown) - 1))

    def find(self, start: int, step: int, wanted: Callable[[Entry], bool]) -> int | None:
        """The next place after `start` in the direction of `step` whose entry is wanted."""
        index = start + step
        while 0 <= index < len(self.shown):
            if wanted(self.shown[index]):
                return index
            index += step
        return None

    @property
    def span(self) -> tuple[int, int]:
        """When the first and the last line that is kept was written; zeros when there is none."""
        return (self.entries[0].time_ns, self.entries[-1].time_ns) if self.entries else (0, 0)

    def _count(self, counts: Tally, sign: int) -> None:
        for second, (lines, warnings, errors) in counts.items():
            there = self.seconds.setdefault(second, [0, 0, 0])
            there[0] += sign * lines
            there[1] += sign * warnings
            there[2] += sign * errors
            if not there[0]:
                del self.seconds[second]

    def _evict(self) -> None:
        over = len(self.entries) - self.capacity
        if over <= 0:
            return
        # Some more than needed, so that a full view does not shift its whole list for every line.
        cut = over + self.capacity // 50
        del self.entries[:cut]
        self.evicted += cut
        if self.filter == UNFILTERED:
            gone = bisect_left(self.shown, self.entries[0]) if self.entries else len(self.shown)
        else:  # what was looked for stays, however fast the rest goes by
            gone = max(0, len(self.shown) - self.capacity)
        self._count(tally(self.shown[:gone]), -1)
        del self.shown[:gone]


def _merge(entries: list[Entry], new: list[Entry]) -> None:
    """Puts sorted lines in; as a rule they come after those that are there, and a few do not."""
    early = bisect_left(new, entries[-1]) if entries else 0
    if early > _FEW:
        start = bisect_left(entries, new[0])
        tail = entries[start:] + new[:early]
        tail.sort()
        entries[start:] = tail
    else:
        for entry in new[:early]:
            insort(entries, entry)
    entries += new[early:]
