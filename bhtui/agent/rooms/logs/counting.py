"""Counts lines by instance, level and time, in steps short enough that a count can be stopped at any time."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence

from bhtui.core.logs import LogCount, LogCounts, LogLine, LogsQuery, bucket_for

from . import cri, files, hints, levels
from .files import may_have_parts
from .history import Run, read_all
from .query import Matcher
from .reading import STEP_SECONDS, Source
from .scan import NEVER, Scanner, last_time
from .seeking import Begin, Search

MARK = b" stderr F [blackhole] "
MISSING = re.compile(rb"\[blackhole\] (\d{1,18}) lines (?:lost here|\(\d+ bytes\) dropped here): ")
"""How the keeper tells in a log of what is not in it."""


class CountingScanner(Scanner):
    """As Scanner; what is wanted is counted and not given."""

    def __init__(self, service: str, instance: str, matcher: Matcher, bucket_ns: int) -> None:
        super().__init__(service, instance, matcher)
        self.lines: Counter[tuple[str, int]] = Counter()
        """By level and the number of the stretch of time."""
        self.bytes: Counter[tuple[str, int]] = Counter()
        self.missing: Counter[int] = Counter()
        """By the number of the stretch of time."""
        self._bucket_ns = bucket_ns
        self._detector = levels.Detector()

    def feed(self, block: bytes) -> list[LogLine]:
        if MARK in block:
            for told in MISSING.finditer(block):
                start = block.rfind(b"\n", 0, told.start()) + 1
                time_ns = cri.time_of(block[start : start + cri.TEXT_AT])
                if start + cri.TEXT_AT == told.start() and time_ns >= self._matcher.since_ns:
                    self.missing[time_ns // self._bucket_ns] += int(told[1])
        bucket = self._bucket_of(block)
        if bucket < 0 or not self._count_alike(block, bucket):
            return super().feed(block)
        return []

    def _bucket_of(self, block: bytes) -> int:
        """The stretch of time in which all of a block lies; -1 when its lines have to be looked at one by one."""
        first, last = cri.time_of(block[: cri.TEXT_AT]), last_time(block)
        if not self._matcher.wants_all or self._parts or may_have_parts(block) or first < self._matcher.since_ns:
            return -1
        bucket = first // self._bucket_ns
        return bucket if first >= 0 and last // self._bucket_ns == bucket else -1

    def _count_alike(self, block: bytes, bucket: int) -> bool:
        """Counts a block of lines of which none is wanted less than another; False when one is not in the format."""
        raws = block.split(b"\n")
        raws.pop()
        lines: dict[str, int] = {}
        sizes: dict[str, int] = {}
        level_of, heads, start, text_at = self._detector.of, cri.WHOLE_LINES, cri.STAMP_LENGTH, cri.TEXT_AT
        for raw in raws:
            if raw[start:text_at] not in heads:
                return False
            level = level_of(raw, text_at)
            lines[level] = lines.get(level, 0) + 1
            sizes[level] = sizes.get(level, 0) + len(raw)
        for level, count in lines.items():
            if level in self._matcher.levels:
                self.lines[level, bucket] += count
                self.bytes[level, bucket] += sizes[level] - count * text_at
        self.scanned += len(raws)
        self.last_ns = max(self.last_ns, last_time(block))
        return True

    def flush(self) -> list[LogLine]:
        """Parts of a line go on in the next file; what never ends is not counted."""
        return []

    def every(self, block: bytes) -> None:
        """They are counted one by one, and none is made."""

    def take(self, record: cri.Record, level: str) -> LogLine | None:
        if record.time_ns >= self._matcher.since_ns:
            key = level, record.time_ns // self._bucket_ns
            self.lines[key] += 1
            self.bytes[key] += len(record.text)
        return None


class Counting:
    """One count. `bucket_ns` 0: the finest of which at most `most` cover everything."""

    def __init__(
        self,
        query: LogsQuery,
        sources: Callable[[], Sequence[Source]],
        bucket_ns: int,
        most: int,
        begin: Begin,
    ) -> None:
        self._begin, self._lock = begin, threading.Lock()
        self._query, self._sources, self._bucket_ns, self._most = query, sources, bucket_ns, most
        self._matcher = Matcher(query)
        self._scanners: dict[tuple[str, str], CountingScanner] = {}
        self._steps = self._run()

    def next(self) -> LogCounts:
        """How far it has come. Raises OSError."""
        with self._lock:
            deadline = time.monotonic() + STEP_SECONDS
            while time.monotonic() < deadline:
                if next(self._steps, None) is None:
                    return LogCounts(tuple(self._counts()), self._bucket_ns, self._scanned, done=True)
            return LogCounts((), self._bucket_ns, self._scanned)

    @property
    def _scanned(self) -> int:
        return sum(scanner.scanned for scanner in self._scanners.values())

    def _run(self) -> Generator[bool, None, None]:
        runs = [run for source in self._sources() for run in self._runs(source) if run.start < run.end]
        if runs and not self._bucket_ns:
            first = max(min(run.first_ns for run in runs), self._query.since_ns)
            self._bucket_ns = bucket_for(max(run.last_ns for run in runs) - first, self._most)
        search = self._search(runs)
        try:
            for source in search.sources(runs, self._scanner) if search else read_all(runs, self._scanner):
                while source.upto != NEVER:
                    source.advance()
                    yield True
                    if search is not None:
                        search.work([source])
        finally:
            if search is not None:
                search.close()

    def _scanner(self, service: str, instance: str) -> CountingScanner:
        key = service, instance
        return self._scanners.setdefault(key, CountingScanner(*key, self._matcher, self._bucket_ns))

    def _search(self, runs: Sequence[Run]) -> Search | None:
        """An engine, where there is something to look for in enough bytes; it looks for what is missing too."""
        hint = hints.hint(self._query)
        if hint is None:
            return None
        size = sum(run.end - run.start for run in runs)
        return self._begin(hint._replace(patterns=(*hint.patterns, hints.quoted(MARK.decode()))), size)

    def close(self) -> None:
        """Ends it, after the step that may be running in another thread."""
        with self._lock:
            self._steps.close()

    def _runs(self, source: Source) -> list[Run]:
        seen = files.survey(source.path)
        if seen.active is not None and seen.active.fd is not None:
            # Read by its name: that a rotation in between makes the newest lines count less is not worth a descriptor.
            os.close(seen.active.fd)
            seen.active.fd = None
        found = [file for file in (*seen.rotated, seen.active) if file is not None]
        return [Run(*source[:2], file, self._query.since_ns, self._query.until_ns) for file in found]

    def _counts(self) -> Iterator[LogCount]:
        for (service, instance), scanner in self._scanners.items():
            missing = Counter(scanner.missing)
            for (level, number), lines in sorted(scanner.lines.items()):
                start_ns, absent = number * self._bucket_ns, missing.pop(number, 0)
                yield LogCount(service, instance, level, start_ns, lines, scanner.bytes[level, number], absent)
            for number, lines in sorted(missing.items()):
                yield LogCount(service, instance, "", number * self._bucket_ns, 0, 0, lines)
