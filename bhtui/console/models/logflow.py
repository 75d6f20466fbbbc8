"""From batches as hosts send them to lines in order, filtered and counted: all the work on a line, for a worker thread.

Pure: time is an argument. What a view does with the result on the screen's thread is done to whole lists at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from bhtui.core.logorder import Window
from bhtui.rpc.blackhole.v1 import logs_pb2
from bhtui.rpc.convert.logcolumns import RANK_BITS

from .logs import RANK, UNFILTERED, Entry, LogFilter, Tally, tally

Item = tuple[int, str, str, int, str, int]
"""Time, host, instance, rank, message, and what was added to the time."""


@dataclass(slots=True)
class LogBlock:
    """Lines that are ready to be shown."""

    entries: list[Entry]
    """Sorted."""
    shown: list[Entry]
    """Those that pass."""
    chosen: LogFilter
    """What they were to pass."""
    counts: Tally
    """Of what passes, by second."""
    first: int
    """The least of their numbers."""
    dropped: int = 0
    scanned: dict[str, int] = field(default_factory=dict)
    caught_up: bool = False
    """A host has given all that was there when it was asked."""


def items_of(host: str, batch: logs_pb2.LogBatch, offset_ns: int) -> list[Item]:
    """The lines of a batch."""
    columns = batch.columns
    if not columns.messages:
        return [
            (line.time_ns + offset_ns, host, line.instance, RANK.get(line.level, 0), line.message, offset_ns)
            for line in batch.lines
        ]
    names = [source.instance for source in columns.sources]
    times: Sequence[int] = columns.times_ns
    if offset_ns:
        times = [time + offset_ns for time in times]
    instances = [names[source] for source in columns.source]
    ranks = [kind & RANK_BITS for kind in columns.kinds]
    return list(zip(times, repeat(host), instances, ranks, columns.messages, repeat(offset_ns)))


class Flow:
    """One reading of several hosts. `offsets` is by host what has to be added to its times."""

    def __init__(self, hosts: Iterable[str], offsets: Mapping[str, int], order: int = 0) -> None:
        self._window: Window[Item] = Window(hosts)
        self._offsets = offsets
        self._live: set[str] = set()
        """Hosts whose lines come as they are written; those of before are put in as they come."""
        self._order = order

    @property
    def is_holding(self) -> bool:
        """Whether lines wait for those of other hosts."""
        return len(self._window) > 0

    def step(
        self, batches: Sequence[tuple[str, logs_pb2.LogBatch]], chosen: LogFilter, order: int, now_ns: int
    ) -> LogBlock:
        """What can be shown now. `order` is the number of the last line that the view took in."""
        self._order = max(self._order, order)
        block = LogBlock([], [], chosen, {}, self._order + 1)
        past: list[Item] = []
        for host, batch in batches:
            items = items_of(host, batch, self._offsets.get(host, 0))
            if host in self._live:
                self._window.push(host, [item[0] for item in items], items, now_ns)
            else:
                past += items
            self._note(block, host, batch)
        items, late = self._window.release(now_ns)
        block.entries = [*self._entries(items[:late], late=True), *self._entries(past + items[late:], late=False)]
        block.entries.sort()
        block.shown = block.entries if chosen == UNFILTERED else list(filter(chosen.passes, block.entries))
        block.counts = tally(block.shown)
        return block

    def _note(self, block: LogBlock, host: str, batch: logs_pb2.LogBatch) -> None:
        block.dropped += batch.dropped
        block.scanned[host] = max(batch.scanned, block.scanned.get(host, 0))
        if batch.caught_up:
            block.caught_up = True
            self._live.add(host)

    def _entries(self, items: Sequence[Item], late: bool) -> Iterator[Entry]:
        for number, (time_ns, host, instance, rank, message, offset_ns) in enumerate(items, self._order + 1):
            yield Entry(time_ns, number, host, instance, rank, message, late, offset_ns)
        self._order += len(items)
