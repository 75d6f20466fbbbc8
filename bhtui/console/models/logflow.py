"""From batches as hosts send them to lines in order, filtered and counted: all the work on a line, for a worker thread.

Pure: time is an argument. What a view does with the result on the screen's thread is done to whole lists at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bhtui.core.logcolumns import Lines
from bhtui.core.logorder import Window
from bhtui.rpc.blackhole.v1 import logs_pb2
from bhtui.rpc.convert.logs import columns_of

from .entries import Entries
from .logs import LogFilter, Tally, passing, tally


@dataclass(slots=True)
class LogBlock:
    """Lines that are ready to be shown."""

    entries: Entries
    shown: Entries
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


class Flow:
    """One reading of several hosts. `offsets` is by host what has to be added to its times."""

    def __init__(self, hosts: Iterable[str], offsets: Mapping[str, int], order: int = 0) -> None:
        self._window = Window(hosts)
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
        block = LogBlock(Entries(), Entries(), chosen, {}, self._order + 1)
        came = Lines()
        for host, batch in batches:
            lines = columns_of(batch, host, self._offsets.get(host, 0))
            if host in self._live:
                self._window.push(host, lines, now_ns)
            else:
                came.extend(lines)
            self._note(block, host, batch)
        lines, late = self._window.release(now_ns)
        if late:
            lines.mark_late(late)
        came.extend(lines)
        block.entries = self._numbered(came)
        block.shown = passing(block.entries, chosen)
        block.counts = tally(block.shown)
        return block

    def _note(self, block: LogBlock, host: str, batch: logs_pb2.LogBatch) -> None:
        block.dropped += batch.dropped
        block.scanned[host] = max(batch.scanned, block.scanned.get(host, 0))
        if batch.caught_up:
            block.caught_up = True
            self._live.add(host)

    def _numbered(self, lines: Lines) -> Entries:
        """In the order of time; of one moment, as they came."""
        first, times = self._order + 1, lines.times
        self._order += len(lines)
        if sorted(times) == times:
            return Entries(lines, range(first, first + len(lines)))
        in_order = sorted(range(len(lines)), key=times.__getitem__)
        return Entries(lines.picked(in_order), [first + place for place in in_order])
