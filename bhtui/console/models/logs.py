"""Log lines of one view: kept up to a bound, merged in time order, filtered, counted; mutable for their number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bhtui.rpc.blackhole.v1 import events_pb2, logs_pb2

from .entries import Entries, Entry
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


UNFILTERED = LogFilter()


def refilter(entries: Entries, chosen: LogFilter, cancelled: Callable[[], bool] = lambda: False) -> Entries | None:
    """Those that pass; for a worker thread: it looks now and then whether it is wanted; if not, None."""
    origins, messages, matches, rank = (
        entries.lines.origins,
        entries.lines.messages,
        chosen.query.matches_line,
        chosen.rank,
    )
    places: list[int] = []
    for start in range(0, len(entries), _CHECK_EVERY):
        if cancelled():
            return None
        for place in range(start, min(start + _CHECK_EVERY, len(entries))):
            of = origins[place]
            if of.rank >= rank and matches(of.host, of.instance, messages[place]):
                places.append(place)
    return entries.picked(places)


def passing(entries: Entries, chosen: LogFilter) -> Entries:
    """Those that pass; the same where all do."""
    return entries if chosen == UNFILTERED else refilter(entries, chosen) or Entries()


Tally = dict[int, list[int]]
"""By second: lines, warnings, errors."""


def tally(entries: Entries, end: int | None = None) -> Tally:
    """Counts lines by second, those before a place."""
    times, origins = entries.lines.times[:end], entries.lines.origins[:end]
    found = {second: [count, 0, 0] for second, count in Counter([time // 10**9 for time in times]).items()}
    for time, of in zip(times, origins, strict=True):
        if of.rank >= WARNING:
            found[time // 10**9][1 if of.rank < ERROR else 2] += 1
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
    """Lines of one view, everything that is kept in time order in `entries`."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Forgets every line; the filter stays."""
        self.entries = Entries()
        self._passing = Entries()
        """Those that pass, where there is a filter: what was looked for stays when the rest is gone."""
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

    @property
    def shown(self) -> Entries:
        """What the filter lets through, in time order."""
        return self.entries if self.filter == UNFILTERED else self._passing

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
        return self._put(sorted(entries))

    def first(self, host: str) -> int:
        """When the oldest line of a host was written; 0 when there is none."""
        return next((entry.time_ns for entry in self.entries if entry.host == host), 0)

    def at(self, host: str, time_ns: int) -> list[Same]:
        """The lines of a host of one moment, with the times that it gave them. A service's lines that were read at
        once have the same."""
        start, end = self.entries.before(time_ns), self.entries.before(time_ns + 1)
        found = [entry for entry in self.entries[start:end] if entry.host == host]
        return [Same(entry.stamp_ns, entry.instance, entry.message) for entry in found]

    def extend(self, lines: Iterable[Entry]) -> int:
        """Takes lines in, in the order they come; late ones go where their time says."""

        new = [line._replace(order=number) for number, line in enumerate(lines, self.order + 1)]
        self.order += len(new)
        return self._put(sorted(new))

    def _put(self, new: list[Entry]) -> int:
        entries = Entries.of(new)
        return self.take(entries, passing(entries, self.filter))

    def take(self, new: Entries, shown: Entries, counts: Tally | None = None) -> int:
        """Takes lines in, of which `shown` pass the filter; `counts` are those of these. Returns how many are shown.
        Lists are worked on as a whole, as this is done on the screen's thread."""
        if not new:
            return 0
        self.judged += len(new)
        for of in set(new.lines.origins):
            self.hosts.add(of.host)
            self.instances.add(of.instance)
        self.entries.merge(new)
        if self.filter != UNFILTERED:
            self._passing.merge(shown)
        self._count(counts if counts is not None else tally(shown), 1)
        self._evict()
        return len(shown)

    def take_block(self, block: LogBlock) -> int:
        """Takes in what a worker has made ready."""
        self.lost += block.dropped
        new, shown, counts = block.entries, block.shown, block.counts
        if new and block.first <= self.order:  # a line of the view's own was numbered meanwhile
            new = Entries(new.lines, range(self.order + 1, self.order + 1 + len(new)))
        if new is not block.entries or block.chosen != self.filter:
            shown = passing(new, self.filter)
            counts = tally(shown)
        self.order = max(self.order, max(new.orders, default=0))
        return self.take(new, shown, counts)

    def room(self, entry: Entry) -> int:
        """How many lines can be taken in before those around an entry that is shown fall out at the far end."""
        there = self.shown
        return self.capacity - self.capacity // 50 - len(there) + there.before(*entry[:2]) - _AROUND

    def set_filter(self, chosen: LogFilter) -> None:
        """Filters at once; for few lines."""
        self.install(chosen, refilter(self.entries, chosen) or Entries(), self.order)

    def install(self, chosen: LogFilter, shown: Entries, order: int) -> None:
        """Takes what a worker found among the lines up to `order`, and adds those that came meanwhile."""
        self.filter = chosen
        self._passing = shown if chosen != UNFILTERED else Entries()
        self.judged = len(self.entries)
        if order < self.order and chosen != UNFILTERED:
            came = [place for place, number in enumerate(self.entries.orders) if number > order]
            self._passing.merge(passing(self.entries.picked(came), chosen))
        self.seconds = tally(self.shown)

    def near(self, time_ns: int) -> int:
        """The place in `shown` of the last line at or before a time; 0 when there is none."""
        return max(0, self.shown.before(time_ns + 1) - 1)

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
        return min(self.shown.before(*entry[:2]), max(0, len(self.shown) - 1))

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
        if self.filter == UNFILTERED:
            self._count(tally(self.entries, cut), -1)
        self.entries.drop(cut)
        self.evicted += cut
        # What was looked for stays, however fast the rest goes by.
        gone = max(0, len(self._passing) - self.capacity)
        self._count(tally(self._passing, gone), -1)
        self._passing.drop(gone)
