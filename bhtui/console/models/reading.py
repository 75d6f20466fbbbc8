"""What a log view asks the hosts for: the newest lines, those around a moment, older ones, an error further away.

Pure: times are arguments, Unix nanoseconds. What is asked for is filtered by the host as far as it can; the view
filters once more, because a word may also mean the name of an instance or of a host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bhtui.rpc.blackhole.v1 import logs_pb2

from .logs import LEVELS, LogFilter, Same
from .match import host_side

ALL = -1
SINCE = (
    (0, "tail"), (60, "1 min"), (300, "5 min"), (900, "15 min"), (3600, "1 h"), (21600, "6 h"), (86400, "1 d"),
    (ALL, "all"),
)  # fmt: skip
"""Seconds to read back, and their names; 0 reads the newest lines, ALL whatever there is."""
TAIL = 2000
"""Newest lines that a view starts with."""
MOST = 20_000
"""Newest lines of a longer time that are loaded at once; those before them come when a reader gets there."""
PAGE = 1000
"""Lines that are loaded before those that are there, or before a moment."""
AHEAD = 2000
"""Lines after the reader's that are loaded in the past; the rest waits at the host."""
STRIP = 900
"""Seconds of the histogram where no other time was chosen."""
BUCKETS = 240
_COUNTS = 20_000
"""Counts (of one instance, level and stretch of time each) that an answer should stay below."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is the same in every request of one view to one host."""

    names: tuple[str, ...]
    chosen: LogFilter
    host: str = ""
    instances: frozenset[str] = frozenset()
    """The names known there, which a word of the filter may mean."""
    offset_ns: int = 0
    """What is added to the host's times for the view. Times here are those of the view."""

    def _theirs(self, at_ns: int) -> int:
        """A time of the view as the host has it; 0 stays the beginning."""
        return max(1, at_ns - self.offset_ns) if at_ns else 0

    @property
    def is_exact(self) -> bool:
        """Whether the host's idea of the filter is that of the view."""
        return host_side(self.chosen.query, self.host, self.instances).exact

    def plain(self) -> logs_pb2.LogsRequest:
        """Without the filter."""
        return logs_pb2.LogsRequest(names=self.names)

    def sifted(self, rank: int = 0) -> logs_pb2.LogsRequest:
        """Of what passes the filter, lines of at least this rank."""
        side = host_side(self.chosen.query, self.host, self.instances)
        return logs_pb2.LogsRequest(
            names=self.names,
            grep=side.grep,
            ignore_case=side.ignore_case,
            invert=side.invert,
            fields=side.fields,
            level=LEVELS[max(rank, self.chosen.rank)],
        )

    def newest(self, seconds: int, now_ns: int) -> logs_pb2.LogsRequest:
        """The end of the log, and what comes then. For a stretch of time (ALL: any) the host filters, for the tail the
        view does, so that another filter has its answer at once."""
        request = self.sifted() if seconds else self.plain()
        request.follow, request.tail = True, MOST if seconds else TAIL
        request.since_ns = self._theirs(now_ns - seconds * 10**9) if seconds > 0 else 0
        return request

    def before(self, at_ns: int) -> logs_pb2.LogsRequest:
        """A page that ends at a moment, without it."""
        request = self.sifted()
        request.until_ns, request.tail = self._theirs(at_ns), PAGE
        return request

    def older(self, first_ns: int, there: int) -> logs_pb2.LogsRequest:
        """A page before the first line that is loaded, of whose moment `there` lines are: some may be not."""
        request = self.before(first_ns + 1)
        request.tail += there
        return request

    def after(self, at_ns: int) -> logs_pb2.LogsRequest:
        """Everything from a moment on, and what comes then."""
        request = self.sifted()
        request.since_ns, request.follow = self._theirs(at_ns), True
        return request

    def worse(self, rank: int, step: int, edge_ns: int, there: int) -> logs_pb2.LogsRequest:
        """Lines of a rank outside of what is loaded: the newest before its first moment, or all after its last one, of
        which `there` lines are loaded. One that is not among those is wanted."""
        request = self.sifted(rank)
        if step < 0:
            request.until_ns, request.tail = self._theirs(edge_ns + 1), 1 + there
        else:
            request.since_ns = self._theirs(edge_ns)
        return request

    def counts(self, start_ns: int, end_ns: int) -> logs_pb2.CountLogsRequest:
        """How many lines pass between two moments (0: the beginning)."""
        query = self.sifted()
        query.since_ns, query.until_ns = self._theirs(start_ns), self._theirs(end_ns)
        many = max(1, len(self.names) or len(self.instances)) * (len(LEVELS) - 2)
        return logs_pb2.CountLogsRequest(query=query, most=max(20, min(BUCKETS, _COUNTS // many)))


def strip_range(seconds: int, now_ns: int, at_ns: int, before: tuple[int, int], first_ns: int) -> tuple[int, int]:
    """The time that the histogram covers. At the end of the log it ends now; at a moment of the past it stays what it
    was `before` as long as the moment is in it. `first_ns`: the oldest line that is known, for ALL."""
    if seconds == ALL:
        return min(first_ns or now_ns - STRIP * 10**9, now_ns - 10**9), now_ns
    span = (seconds or STRIP) * 10**9
    if not at_ns:
        return now_ns - span, now_ns
    if before[0] <= at_ns < before[1]:
        return before
    end = min(now_ns, at_ns + span // 2)
    return end - span, end


def unknown(lines: Sequence[logs_pb2.LogLine], there: Counter[Same], step: int) -> logs_pb2.LogLine | None:
    """The line nearest to what is loaded that is not loaded; what is, is taken out of `there`."""
    for line in lines if step > 0 else reversed(lines):
        key = Same(line.time_ns, line.instance, line.message)
        if there[key] <= 0:
            return line
        there[key] -= 1
    return None


def first_of(answers: Iterable[logs_pb2.LogLine | None], step: int) -> logs_pb2.LogLine | None:
    """Of the lines that several hosts found, the one nearest to where the search began."""
    found = [one for one in answers if one is not None]
    return (min if step > 0 else max)(found, key=lambda line: line.time_ns, default=None)
