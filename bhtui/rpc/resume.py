"""Where a log stream was when its connection broke, so that the next goes on there: nothing twice, nothing left out.

Once a stream follows, the agent tells its place in the files with each batch. Before, what it gives is the past in the
order of time: there the next stream begins with the last moment that was seen, less the lines of it that were.
"""

from __future__ import annotations

from collections import Counter
from itertools import takewhile

from bhtui.rpc.blackhole.v1 import logs_pb2 as pb
from bhtui.rpc.convert.logs import line_to_message, lines_of, newest_of

Key = tuple[int, str, str, str, str]


class LogResume:
    """Of one stream of batches, across its connections."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], pb.LogPlace] = {}
        self._last_ns = 0
        self._at_last: Counter[Key] = Counter()
        """The lines of the last moment that were seen, as long as no place is known."""
        self._repeated: Counter[Key] = Counter()
        """Those that come again."""

    def request(self, wanted: pb.LogsRequest) -> pb.LogsRequest:
        """The request for what comes next."""
        if not (self._last_ns or self._places):
            return wanted
        again = pb.LogsRequest()
        again.CopyFrom(wanted)
        again.tail = again.since_ago_ns = 0
        if self._places:
            again.after.extend(self._places.values())
        else:
            again.since_ns = max(self._last_ns, wanted.since_ns)
            self._repeated = Counter(self._at_last)
        return again

    def new(self, batch: pb.LogBatch) -> pb.LogBatch:
        """The batch without what was seen before."""
        if self._repeated:
            batch = self._without_repeated(batch)
        self._places.update(((place.service, place.instance), place) for place in batch.places)
        if self._places:
            self._at_last.clear()
        else:
            self._note(batch)
        return batch

    def _without_repeated(self, batch: pb.LogBatch) -> pb.LogBatch:
        lines = [line for line in map(line_to_message, lines_of(batch)) if not self._is_repeated(line)]
        made = pb.LogBatch()
        made.CopyFrom(batch)
        made.ClearField("columns")
        del made.lines[:]
        made.lines.extend(lines)
        return made

    def _is_repeated(self, line: pb.LogLine) -> bool:
        key = (line.time_ns, line.service, line.instance, line.stream, line.message)
        if self._repeated[key] > 0:
            self._repeated[key] -= 1
            return True
        if line.time_ns > self._last_ns:
            self._repeated.clear()
        return False

    def _note(self, batch: pb.LogBatch) -> None:
        times = batch.columns.times_ns or [line.time_ns for line in batch.lines]
        if not times:
            return
        if (last := max(times)) > self._last_ns:
            self._last_ns = last
            self._at_last.clear()
        if last < self._last_ns:
            return
        count = sum(1 for _ in takewhile(last.__eq__, reversed(times)))
        for line in newest_of(batch, count) if count else ():
            self._at_last[line.time_ns, line.service, line.instance, line.stream, line.message] += 1
