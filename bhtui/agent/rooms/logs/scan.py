"""Turns blocks of a file into the lines a query wants; parts of long lines are put together on the way."""

from __future__ import annotations

import sys
from itertools import groupby
from operator import itemgetter

from bhtui.core.logs import LogLine

from . import cri, levels
from .files import JOIN_LIMIT, may_have_parts
from .query import Matcher

NEVER = sys.maxsize
"""A time after every other."""
_head = itemgetter(slice(0, cri.TEXT_AT))


def last_time(block: bytes) -> int:
    """The time of the last stamped line of a block of whole lines, or -1."""
    at = len(block)
    while at > 0:
        at = block.rfind(b"\n", 0, at - 1) + 1
        if (time_ns := cri.time_of(block[at : at + cri.TEXT_AT])) >= 0:
            return time_ns
    return -1


class Scanner:
    """Reads the blocks of one instance in their order. A line put together has the time of its last part."""

    def __init__(self, service: str, instance: str, matcher: Matcher) -> None:
        self.scanned = 0
        """Lines looked at."""
        self.last_ns = 0
        """The time of the last line looked at."""
        self.service, self.instance, self._matcher = service, instance, matcher
        self._parts: dict[str, list[bytes]] = {}

    def feed(self, block: bytes) -> list[LogLine]:
        """The wanted lines of a block of whole lines."""
        if not block:
            return []
        self.scanned += block.count(b"\n")
        if self._parts or may_have_parts(block):
            found = [line for raw in block.split(b"\n")[:-1] if (line := self._join(raw)) is not None]
        else:
            found = self._find(block)
        self.last_ns = max(last_time(block), self.last_ns)
        return found

    @property
    def is_between_lines(self) -> bool:
        """Whether no line of which parts have come is under way."""
        return not self._parts

    @property
    def is_open(self) -> bool:
        """Whether it needs the next lines too, wanted or not."""
        return bool(self._parts)

    @property
    def lead(self) -> int:
        """How many lines before a wanted one it needs too."""
        return 0

    @property
    def held_ns(self) -> int:
        """The time of the oldest line that it keeps and may still give."""
        return NEVER

    def _find(self, block: bytes) -> list[LogLine]:
        if self._matcher.wants_all and (found := self.every(block)) is not None:
            return found
        # Most lines of a search are not wanted, so only those that are get taken apart.
        found = []
        for raw in self._matcher.lines(block):
            text = cri.text_of(raw)
            level = self._level_if_wanted(text, captured=text is not raw)
            if level is None:
                continue
            record = cri.parse(raw)
            if record is None:  # its time may be that of the line before it
                return [line for each in block.split(b"\n")[:-1] if (line := self._join(each)) is not None]
            if (line := self.take(record, level)) is not None:
                found.append(line)
        return found

    def every(self, block: bytes) -> list[LogLine] | None:
        """Every line that is serious enough; lines that were captured at once have one head. None where somebody else
        wrote into the file."""
        detect, wanted = self._matcher.detector.reader(block), self._matcher.levels
        found: list[LogLine] = []
        for head, group in groupby(block.split(b"\n")[:-1], _head):
            record = cri.parse(head)
            if record is None:
                return None
            if record.time_ns >= self._matcher.since_ns:
                time_ns, stream = record.time_ns, record.stream
                raws = list(group)
                seen = [detect(raw, cri.TEXT_AT) for raw in raws]
                found += [
                    LogLine(time_ns, self.service, self.instance, stream, level, text)
                    for level, text in zip(seen, self.texts(raws), strict=True)
                    if level in wanted
                ]
        return found

    def texts(self, raws: list[bytes]) -> list[str]:
        """What captured lines say."""
        return [raw[cri.TEXT_AT :].decode("utf-8", "backslashreplace") for raw in raws]

    def whole(self, raw: bytes) -> cri.Record | None:
        """A line with the parts that came before it; None when it is a part itself and more is to come."""
        record = cri.parse(raw) or self._foreign(raw)
        self.last_ns = record.time_ns
        parts = self._parts.pop(record.stream, [])
        parts.append(record.text)
        if record.partial and sum(map(len, parts)) < JOIN_LIMIT:
            self._parts[record.stream] = parts
            return None
        return record._replace(text=b"".join(parts)) if len(parts) > 1 else record

    def _foreign(self, raw: bytes) -> cri.Record:
        """A line that is not in the format; without a stamp it has the time of the one before."""
        time_ns = cri.time_of(raw[: cri.TEXT_AT])
        return cri.Record(time_ns if time_ns >= 0 else self.last_ns, "", False, raw)

    def _join(self, raw: bytes) -> LogLine | None:
        record = self.whole(raw)
        return None if record is None else self.judge(record)

    def flush(self) -> list[LogLine]:
        """The lines of which only parts have come, as partial ones."""
        parts, self._parts = self._parts, {}
        found = [self.judge(cri.Record(self.last_ns, stream, True, b"".join(texts))) for stream, texts in parts.items()]
        return [line for line in found if line is not None]

    def judge(self, record: cri.Record) -> LogLine | None:
        """The line of a record, if it is wanted."""
        level = self._level_if_wanted(record.text, captured=bool(record.stream))
        return None if level is None else self.take(record, level)

    def _level_if_wanted(self, text: bytes, *, captured: bool) -> str | None:
        if not self._matcher.finds(text):
            return None
        level = levels.detect(text, captured=captured)
        return level if level in self._matcher.levels else None

    def take(self, record: cri.Record, level: str) -> LogLine | None:
        """The line of a wanted record, unless it is too old."""
        return self.make(record, level) if record.time_ns >= self._matcher.since_ns else None

    def make(self, record: cri.Record, level: str) -> LogLine:
        """The line of a record, whether it is wanted or not."""
        message = record.text.decode("utf-8", "backslashreplace")
        stream = record.stream or "stdout"
        return LogLine(record.time_ns, self.service, self.instance, stream, level, message, record.partial)


class TimeScanner(Scanner):
    """As Scanner, for who wants to know when lines were written and not what they say."""

    def texts(self, raws: list[bytes]) -> list[str]:
        return [""] * len(raws)

    def make(self, record: cri.Record, level: str) -> LogLine:
        stream = record.stream or "stdout"
        return LogLine(record.time_ns, self.service, self.instance, stream, level, "", record.partial)
