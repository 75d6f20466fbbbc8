"""Counts lines by instance, level and time, in steps short enough that a count can be stopped at any time."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from bhtui.core.logs import LogCount, LogCounts, LogLine, LogsQuery, bucket_for

from . import cri, files
from .files import BLOCK
from .history import Run
from .query import Matcher
from .reading import STEP_SECONDS, Source
from .scan import Scanner

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

    def feed(self, block: bytes) -> list[LogLine]:
        if MARK in block:
            for told in MISSING.finditer(block):
                start = block.rfind(b"\n", 0, told.start()) + 1
                time_ns = cri.time_of(block[start : start + cri.TEXT_AT])
                if start + cri.TEXT_AT == told.start() and time_ns >= self._matcher.since_ns:
                    self.missing[time_ns // self._bucket_ns] += int(told[1])
        return super().feed(block)

    def take(self, record: cri.Record, level: str) -> LogLine | None:
        if record.time_ns >= self._matcher.since_ns:
            key = level, record.time_ns // self._bucket_ns
            self.lines[key] += 1
            self.bytes[key] += len(record.text)
        return None


class Counting:
    """One count. `bucket_ns` 0: the finest of which at most `most` cover everything."""

    def __init__(self, query: LogsQuery, sources: Callable[[], Sequence[Source]], bucket_ns: int, most: int) -> None:
        self._query, self._sources, self._bucket_ns, self._most = query, sources, bucket_ns, most
        self._matcher = Matcher(query)
        self._scanners: dict[tuple[str, str], CountingScanner] = {}
        self._steps = self._run()

    def next(self) -> LogCounts:
        """How far it has come. Raises OSError."""
        deadline = time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            if next(self._steps, None) is None:
                return LogCounts(tuple(self._counts()), self._bucket_ns, self._scanned, done=True)
        return LogCounts((), self._bucket_ns, self._scanned)

    @property
    def _scanned(self) -> int:
        return sum(scanner.scanned for scanner in self._scanners.values())

    def _run(self) -> Iterator[bool]:
        runs = [run for source in self._sources() for run in self._runs(source) if run.start < run.end]
        if runs and not self._bucket_ns:
            first = max(min(run.first_ns for run in runs), self._query.since_ns)
            self._bucket_ns = bucket_for(max(run.last_ns for run in runs) - first, self._most)
        for run in runs:
            key = run.service, run.instance
            scanner = self._scanners.setdefault(key, CountingScanner(*key, self._matcher, self._bucket_ns))
            for block in _blocks(run):
                scanner.feed(block)
                yield True

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


def _blocks(run: Run) -> Iterator[bytes]:
    """The whole lines of a run."""
    at, rest = run.start, b""
    while at < run.end and (data := run.read(at, min(at + BLOCK, run.end))):
        at += len(data)
        block, rest = files.whole_lines(rest, data)
        if block:
            yield block
