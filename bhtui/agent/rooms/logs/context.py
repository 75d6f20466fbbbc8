"""The lines around those that are wanted, as `grep --context` gives them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from bhtui.core.logs import LogLine

from . import cri, levels
from .files import may_have_parts
from .query import Matcher
from .scan import NEVER, Scanner, last_time


def _latest(lines: list[bytes], count: int) -> list[bytes]:
    """The last lines, at least so many, from one on that has a time of its own."""
    at = max(0, len(lines) - count)
    while at > 0 and cri.time_of(lines[at][: cri.TEXT_AT]) < 0:
        at -= 1
    return lines[at:]


MAX_KEPT = 4 << 20
"""Bytes of lines that may become context, but for the last one."""


class Around:
    """What of one instance may still become context: its latest lines, and how many of the next ones are wanted."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.before: deque[cri.Record] = deque(maxlen=count)
        self.size = 0
        """Bytes of their texts."""
        self.after = 0
        self._has_given = self._has_dropped = False

    def open(self) -> bool:
        """A line is wanted, with those before it: whether lines were left out since the last that was given."""
        # As many as can be kept: what was before them, if anything, is not known any more.
        gap = self._has_given and (self._has_dropped or len(self.before) == self.count)
        self._has_given, self._has_dropped = True, False
        return gap

    def keep(self, record: cri.Record) -> None:
        """One line more that may become context; very long ones push out those before them."""
        while self.before and (len(self.before) == self.count or self.size > MAX_KEPT):
            self.size -= len(self.before.popleft().text)
            self._has_dropped = True
        self.before.append(record)
        self.size += len(record.text)


class ContextScanner(Scanner):
    """As Scanner; `around` goes from one file of an instance to the next."""

    def __init__(self, service: str, instance: str, matcher: Matcher, around: Around) -> None:
        super().__init__(service, instance, matcher)
        self._around = around

    @property
    def is_open(self) -> bool:
        return bool(self._parts or self._around.after)

    @property
    def lead(self) -> int:
        return self._around.count

    @property
    def held_ns(self) -> int:
        before = self._around.before
        return before[0].time_ns if before else NEVER

    def feed(self, block: bytes) -> list[LogLine]:
        if not block:
            return []
        self.scanned += block.count(b"\n")
        found = list(self._given(block))
        self.last_ns = max(self.last_ns, last_time(block))
        return found

    def _given(self, block: bytes) -> Iterator[LogLine]:
        lines = block.split(b"\n")[:-1]
        if (
            not (self._parts or self._around.after or may_have_parts(block))
            and next(self._matcher.lines(block), None) is None
        ):
            lines = _latest(lines, self._around.count)  # nothing here is wanted: only its last lines may be context
        for raw in lines:
            record = self.whole(raw)
            if record is not None:
                yield from self._place(record)

    def _place(self, record: cri.Record) -> Iterator[LogLine]:
        around = self._around
        if (line := self.judge(record)) is not None:
            is_first = not around.after and around.open()
            lines = [*map(self._as_context, around.before), line]
            lines[0].gap = is_first
            around.before.clear()
            around.size = 0
            around.after = around.count
            yield from lines
        elif around.after:
            around.after -= 1
            yield self._as_context(record)
        else:
            around.keep(record)

    def _as_context(self, record: cri.Record) -> LogLine:
        line = self.make(record, levels.detect(record.text, captured=bool(record.stream)))
        line.context = True
        return line
