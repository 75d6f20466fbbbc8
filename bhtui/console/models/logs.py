"""Log lines of one view: kept up to a bound, merged in time order, filtered, counted; mutable for their number."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bhtui.rpc.blackhole.v1 import events_pb2, logs_pb2

from .match import Query

CAPACITY = 100_000
LEVELS = ("", "trace", "debug", "info", "warning", "error", "fatal")
"""A level's place is its rank; lines without a known level have rank 0."""
RANK = {name: rank for rank, name in enumerate(LEVELS)} | {"warn": 4, "err": 5, "critical": 6, "panic": 6}
WARNING, ERROR = 4, 5
EVERYTHING = Query()
_CHECK_EVERY = 2000


class Entry(NamedTuple):
    """One line. Sorts by time, then by arrival."""

    time_ns: int
    order: int
    host: str
    instance: str
    rank: int
    message: str


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


def crash_entry(host: str, event: events_pb2.Event) -> Entry | None:
    """The line that tells of a crash among those of the instance; None when the event tells of something else."""
    try:
        data = json.loads(event.data) if event.kind == "instance.state" else None
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("to") not in ("backoff", "failed"):
        return None
    why = data.get("reason") or event.message
    return Entry(event.time_ns, 0, host, event.target, ERROR, f"── {why} ──")


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
        self.seconds: dict[int, list[int]] = {}
        """Of each second what is shown: lines, warnings, errors."""

    def add(self, host: str, batch: logs_pb2.LogBatch) -> int:
        """Takes a batch in. Returns how many of its lines are shown."""
        self.lost += batch.dropped
        return self.extend(
            Entry(line.time_ns, 0, host, line.instance, RANK.get(line.level, 0), line.message) for line in batch.lines
        )

    def add_older(self, host: str, lines: Iterable[logs_pb2.LogLine]) -> int:
        """Takes lines in that were written before those that are there. Of one moment there may be many, so those
        that are there already are told apart. Returns how many are shown."""
        there = Counter(self.at(host, self.first(host)))
        new = []
        for line in reversed(list(lines)):  # those that are there are the last of their moment
            key = Same(line.time_ns, line.instance, line.message)
            if there[key] > 0:
                there[key] -= 1
            else:
                new.append(Entry(line.time_ns, 0, host, line.instance, RANK.get(line.level, 0), line.message))
        self.lowest -= len(new)
        return self._take(entry._replace(order=self.lowest + place) for place, entry in enumerate(reversed(new)))

    def first(self, host: str) -> int:
        """When the oldest line of a host was written; 0 when there is none."""
        return next((entry.time_ns for entry in self.entries if entry.host == host), 0)

    def at(self, host: str, time_ns: int) -> list[Same]:
        """The lines of a host of one moment. A service's lines that were read at once have the same."""
        start, end = bisect_left(self.entries, (time_ns,)), bisect_left(self.entries, (time_ns + 1,))
        found = [entry for entry in self.entries[start:end] if entry.host == host]
        return [Same(entry.time_ns, entry.instance, entry.message) for entry in found]

    def extend(self, lines: Iterable[Entry]) -> int:
        """Takes lines in, in the order they come; late ones go where their time says."""

        def numbered() -> Iterator[Entry]:
            for line in lines:
                self.order += 1
                yield line._replace(order=self.order)

        return self._take(numbered())

    def _take(self, entries: Iterable[Entry]) -> int:
        shown = 0
        for entry in entries:
            self.hosts.add(entry.host)
            self.instances.add(entry.instance)
            _place(self.entries, entry)
            if self.filter.passes(entry):
                _place(self.shown, entry)
                self._count(entry, 1)
                shown += 1
        self._evict()
        return shown

    def set_filter(self, chosen: LogFilter) -> None:
        """Filters at once; for few lines."""
        self.install(chosen, refilter(self.entries, chosen) or [], self.order)

    def install(self, chosen: LogFilter, shown: list[Entry], order: int) -> None:
        """Takes what a worker found among the lines up to `order`, and adds those that came or went meanwhile."""
        self.filter = chosen
        gone = 0 if chosen != UNFILTERED else bisect_left(shown, self.entries[0]) if self.entries else len(shown)
        self.shown = shown[gone:]
        if order < self.order:
            for entry in self.entries:
                if entry.order > order and chosen.passes(entry):
                    _place(self.shown, entry)
        self.seconds = {}
        for entry in self.shown:
            self._count(entry, 1)

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

    def _count(self, entry: Entry, sign: int) -> None:
        second = self.seconds.setdefault(entry.time_ns // 10**9, [0, 0, 0])
        second[0] += sign
        if entry.rank >= WARNING:
            second[1 if entry.rank < ERROR else 2] += sign
        if not second[0]:
            del self.seconds[entry.time_ns // 10**9]

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
        for entry in self.shown[:gone]:
            self._count(entry, -1)
        del self.shown[:gone]


def _place(entries: list[Entry], entry: Entry) -> None:
    if not entries or entries[-1] < entry:
        entries.append(entry)
    else:
        insort(entries, entry)
