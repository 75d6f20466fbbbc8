"""Lines that are there already, of many files, merged by time without reading more than is asked for.

Every file is a run in time order. Going forward, the file that is furthest behind is always the one read next, and
what no file can precede any more is given out: so at most one block of each file is held. The newest lines are found
the same way from the other end. Files of one instance need not follow each other: after the clock was set back they
overlap.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from operator import attrgetter

from bhtui.core.logs import LogLine

from . import cri, files
from .files import BLOCK, LONGEST, LogFile
from .scan import NEVER, Scanner

Scanners = Callable[[str, str], Scanner]
"""A new scanner for a service and an instance."""

_FIRST_STEP = 32 << 10
_by_time = attrgetter("time_ns")


class Run:
    """The part of one file that lies between two times (0: no bound), and `lead` lines before it."""

    def __init__(self, service: str, instance: str, file: LogFile, since_ns: int, until_ns: int, lead: int = 0) -> None:
        self.service, self.instance, self.file, self._lead = service, instance, file, lead
        self.start = self.end = 0
        self.ends_file = not until_ns
        self.first_ns = self.last_ns = 0
        self.is_missing = False
        try:
            with file.opened() as fd:
                self._find_ends(fd, since_ns, until_ns)
        except FileNotFoundError:
            self.is_missing = True

    def _find_ends(self, fd: int, since_ns: int, until_ns: int) -> None:
        self.end = self.file.end if self.file.end >= 0 else files.lines_end(fd)
        if until_ns:
            self.end = files.find_time(fd, self.end, until_ns)
        if since_ns:
            start = files.lines_before(fd, files.find_time(fd, self.end, since_ns), self._lead)
            self.start = files.clean_start(fd, start, 0)
        if self.start < self.end:
            self.first_ns = max(0, cri.time_of(files.read(fd, self.start, self.start + cri.TEXT_AT)))
            self.last_ns = self._last_time(fd)

    def _last_time(self, fd: int) -> int:
        tail = files.read(fd, max(self.start, self.end - _FIRST_STEP), self.end)
        last = cri.time_of(tail[tail.rfind(b"\n", 0, -1) + 1 :][: cri.TEXT_AT])
        return last if last >= 0 else NEVER

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the file; none when rotation has removed it."""
        try:
            with self.file.opened() as fd:
                return files.read(fd, start, end)
        except FileNotFoundError:
            self.is_missing = True
            return b""


class Forward:
    """Reads a run from its start. Every line before `upto` is in `lines` or was there."""

    def __init__(self, run: Run, scanner: Scanner) -> None:
        self.lines: list[LogLine] = []
        self.scanner = scanner
        self.upto = run.first_ns if run.start < run.end else NEVER
        self.is_waiting = False
        """It cannot read on before it is told where."""
        self._run, self._at = run, run.start
        self._rest = b""

    def advance(self) -> None:
        """Reads one block more."""
        data = self._run.read(self._at, min(self._at + BLOCK, self._run.end))
        self._at += len(data)
        block, self._rest = files.whole_lines(self._rest, data)
        self.lines += self.scanner.feed(block)
        if not data or self._at >= self._run.end:
            self.lines += self.scanner.flush() if self._run.ends_file else []
            self.upto = NEVER
        else:
            self.upto = max(self.upto, self.scanner.last_ns)

    @property
    def settled_ns(self) -> int:
        """Every line before it has been read and given to `lines`."""
        return min(self.upto, self.scanner.held_ns) if self.upto != NEVER else NEVER

    def take(self, upto: int) -> list[LogLine]:
        """The lines at or before a time, once."""
        cut = bisect_right(self.lines, upto, key=_by_time)
        taken, self.lines = self.lines[:cut], self.lines[cut:]
        return taken


def read_all(runs: Sequence[Run], scanner: Scanners) -> list[Forward]:
    """What reads runs from their starts to their ends."""
    return [Forward(run, scanner(run.service, run.instance)) for run in runs if run.start < run.end]


def forward(sources: Sequence[Forward]) -> Iterator[tuple[list[LogLine], int]]:
    """Lines in time order, with how many were looked at; often none, so that a long search can be seen and stopped."""
    while unread := [source for source in sources if source.upto != NEVER]:
        behind = min(unread, key=attrgetter("upto"))
        before = behind.scanner.scanned
        behind.advance()
        upto = min(source.settled_ns for source in sources)
        ready = [line for source in sources for line in source.take(upto)]
        ready.sort(key=_by_time)
        sources = [source for source in sources if source.upto != NEVER or source.lines]
        yield ready, behind.scanner.scanned - before


class Backward:
    """Reads a run from its end. Every line at or after `downto` is in `lines`."""

    def __init__(self, run: Run, scanner: Scanners) -> None:
        self.lines: list[LogLine] = []
        self._scanner = scanner
        self.downto = run.last_ns
        self.scanned = 0
        self.size = 0
        """Characters of the messages in `lines`."""
        self._run, self._at, self._step = run, run.end, _FIRST_STEP

    def retreat(self) -> None:
        """Reads one block more."""
        start = self._block_start()
        scanner = self._scanner(self._run.service, self._run.instance)
        data = self._run.read(start, self._at)
        # Of a line longer than the longest this is only a piece, and its end.
        lines = scanner.feed(data if data.endswith(b"\n") or not data else data + b"\n")
        if self._at == self._run.end and self._run.ends_file:
            lines += scanner.flush()
        self.lines[:0] = lines
        self.size += sum(len(line.message) for line in lines)
        self.scanned += scanner.scanned
        self._at, self._step = start, BLOCK
        first = cri.time_of(data[: cri.TEXT_AT])
        self.downto = first if first >= 0 else self.downto
        if start <= self._run.start or not data:
            self.downto = -1

    def _block_start(self) -> int:
        floor, step = self._run.start, self._step
        try:
            with self._run.file.opened() as fd:
                while (start := self._at - step) > floor:
                    line = files.next_line(fd, start, self._at)
                    if line < self._at:
                        return files.clean_start(fd, line, floor)
                    if step >= LONGEST:
                        return start
                    step = min(step * 4, LONGEST)
        except FileNotFoundError:
            self._run.is_missing = True
        return floor


class TooLarge(Exception):
    """The newest lines take too much memory to be gathered before the first is given."""


def newest(
    runs: Sequence[Run], count: int, scanner: Scanners, most: int = sys.maxsize
) -> Iterator[tuple[list[LogLine], int]]:
    """The last so many lines in time order, once, at the end; before it empty lists, as `forward` gives them.

    Raises TooLarge when their messages have more than `most` characters.
    """
    sources: list[Backward] = []
    for scanned in _gather(sources, runs, count, scanner, most):
        yield [], scanned
    found = [line for source in sources for line in source.lines[-count:]]
    found.sort(key=_by_time)
    yield found[-count:], 0


def newest_since(runs: Sequence[Run], count: int, scanner: Scanners) -> Generator[int, None, tuple[int, int]]:
    """When the first of the last so many lines was written, and how many lines of that very moment come before it.

    `scanner` need give no messages. Yields how many lines were looked at; the time is -1 when there are none.
    """
    sources: list[Backward] = []
    yield from _gather(sources, runs, count, scanner, sys.maxsize)
    return first_of_newest(sorted(line.time_ns for source in sources for line in source.lines), count)


def first_of_newest(times: Sequence[int], count: int) -> tuple[int, int]:
    """Of sorted times, that of the first of the last so many, and how many of that very moment come before it."""
    if not times:
        return -1, 0
    since_ns = times[max(0, len(times) - count)]
    return since_ns, max(0, len(times) - count) - bisect_left(times, since_ns)


def _gather(
    sources: list[Backward], runs: Sequence[Run], count: int, scanner: Scanners, most: int
) -> Generator[int, None, None]:
    """Reads back until the last so many lines are in `sources`, and all of the moment of the first of them."""
    sources += [Backward(run, scanner) for run in runs if run.start < run.end]
    while unread := [source for source in sources if source.downto >= 0]:
        downto = max(source.downto for source in unread)
        if sum(len(source.lines) - bisect_left(source.lines, downto, key=_by_time) for source in sources) >= count:
            break
        ahead = max(unread, key=attrgetter("downto"))
        before = ahead.scanned
        ahead.retreat()
        if sum(source.size for source in sources) > most:
            raise TooLarge
        yield ahead.scanned - before
