"""Reads a file only where something may be wanted, as an engine tells; the answer is that of reading all of it.

What is passed over has nothing wanted and no part of a longer line. What a scanner needs to know of it is read: the
lines around one that may be wanted, and the time of a line that has none of its own.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from bhtui.core.logs import LogLine

from . import cri
from .engine import PARTS, Engine, Places
from .files import LONGEST
from .hints import Hint
from .history import Forward, Run, Scanners, TooLarge, first_of_newest, forward
from .scan import NEVER, Scanner

ENOUGH = 16 << 20
"""Bytes to be read for which an engine is used; the answer to less is there before a process is."""
MISSED = 256 << 20
"""Bytes to be read for which an engine is worth being placed on a host: Python takes 0.3 to 1.5 s of processor for
them, five to ten times as much."""
WAIT_SECONDS = 0.03
_BEFORE, _AFTER, _MANY = 2 << 10, 6 << 10, 64 << 10
"""Bytes read before and behind a place, and where there are several."""
_NEEDS_NEXT = re.compile(PARTS.encode())
"""In lines of which the next ones may be needed, whatever they are."""
_PLACES_A_TURN, _BYTES_A_TURN = 64, 256 << 10

Found = Iterator[tuple[list[LogLine], int]]
"""Lines, and how many were looked at for them."""
_SAMPLE = 32 << 10


class Seeker(Forward):
    """As Forward. `places` may still grow."""

    def __init__(self, run: Run, scanner: Scanner, places: Places) -> None:
        super().__init__(run, scanner)
        self._places = places
        self._density = 0.0
        """Lines a byte."""

    def advance(self) -> None:
        """Reads what may be wanted next, if it is known where: several places at once, as each turn costs something."""
        found: list[bytes] = []
        read = 0
        for _ in range(_PLACES_A_TURN):
            if self._places.is_dense or self.scanner.is_open or self._rest:
                self._feed(found)
                self._read_on()
                return
            place = self._places.after(self._at) if self._at < self._run.end else self._run.end
            self.is_waiting = place < 0 and not read
            if place < 0:
                break
            data, end = self._wanted(place)
            self._pass_over(end - self._at - len(data))
            self._at = end
            found.append(data)
            read += len(data)
            if _NEEDS_NEXT.search(data) is not None or self.scanner.lead:
                self._feed(found)
            if self._at >= self._run.end:
                self._feed(found)
                super().advance()
                return
            if read >= _BYTES_A_TURN:
                break
        self._feed(found)

    def _feed(self, found: list[bytes]) -> None:
        """Has the lines of several places looked at together, and forgets them."""
        if found:
            self.lines += self.scanner.feed(b"".join(found))
            self.upto = max(self.upto, self.scanner.last_ns)
            found.clear()

    def _read_on(self) -> None:
        """A block, as if nothing were known of it."""
        self.is_waiting = False
        before = self._at - len(self._rest)
        super().advance()
        behind = self._at - len(self._rest)
        if self.upto != NEVER and behind > before and not self._places.is_dense:
            self._at, self._rest = behind, b""

    def _pass_over(self, size: int) -> None:
        if size > 0 and not self._density:
            sample = self._run.read(self._at, min(self._at + _SAMPLE, self._run.end))
            self._density = sample.count(b"\n") / max(1, len(sample))
        self.scanner.scanned += round(size * self._density)

    def _wanted(self, place: int) -> tuple[bytes, int]:
        """Whole lines, that of the place among them, and where to read on."""
        if place >= self._run.end:
            data = self._last_lines()
            return data, self._at if self._places.is_dense else self._run.end
        return (not self.scanner.lead and self._gathered(place)) or self._around(place)

    def _gathered(self, place: int) -> tuple[bytes, int] | None:
        """The lines of the place and of the next ones near it, without those between; None where that is not easy."""
        low = max(self._at, place - _BEFORE)
        is_next_near = 0 <= self._places.after(place + 1) < low + _MANY
        data = self._run.read(low, min(low + (_MANY if is_next_near else _BEFORE + _AFTER), self._run.end))
        found: list[bytes] = []
        at = 0
        while 0 <= place - low < len(data):
            start, end = data.rfind(b"\n", at, place - low) + 1 or at, data.find(b"\n", place - low) + 1
            while start > at and not _is_stamped(data, start):
                start = data.rfind(b"\n", at, start - 1) + 1 or at
            if not end or (start == 0 and low > self._at):
                break  # a line that is longer than what was read
            found.append(data[start:end])
            at, place = end, self._places.after(low + end)
            if data[start + 37 : start + 40] == PARTS.encode():
                break  # the next lines are needed, whatever they are
        return (b"".join(found), low + at) if found else None

    def _around(self, place: int) -> tuple[bytes, int]:
        """The lines before and behind one that the scanner needs too, and all between it and the next ones near it."""
        start = self._start_of(place)
        size = place - start + _AFTER
        while not self._places.is_dense:
            data = self._run.read(start, min(start + size, self._run.end))
            end = data.find(b"\n", place - start) + 1
            if end:
                break
            if start + size >= self._run.end:
                return b"", self._run.end  # removed or cut off meanwhile
            self._places.is_dense = size > 2 * LONGEST
            size *= 2
        else:
            return b"", start
        while end and 0 <= (place := self._places.after(start + end)) < start + len(data):
            next_end = data.find(b"\n", place - start) + 1
            if not next_end:
                break
            end = next_end
        for _ in range(self.scanner.lead):
            end = data.find(b"\n", end) + 1 or end
        return data[:end], start + end

    def _start_of(self, place: int) -> int:
        """The start of a line with what has to be known before it; not before what was read already."""
        wanted, back = self.scanner.lead, _BEFORE
        while True:
            low = max(self._at, place - back)
            data = self._run.read(low, place)
            at = data.rfind(b"\n") + 1
            lines = wanted
            while at > 0 and (lines > 0 or not _is_stamped(data, at)):
                at = data.rfind(b"\n", 0, at - 1) + 1
                lines -= 1
            if at > 0 or low == self._at or not data:
                return low + at
            if back > 2 * LONGEST:
                self._places.is_dense = True  # too much to be held: it is read on in blocks, as without an engine
                return self._at
            back *= 4

    def _last_lines(self) -> bytes:
        """Of what is passed over at the end, the lines that may be context of what is in the next file."""
        if not self.scanner.lead:
            return b""
        start = self._start_of(self._run.end)
        return b"" if self._places.is_dense else self._run.read(start, self._run.end)


def _is_stamped(data: bytes, at: int) -> bool:
    return cri.time_of(data[at : at + cri.TEXT_AT]) >= 0


class Search:
    """The reading of many runs with one engine. `close` ends it."""

    def __init__(self, program: str, hint: Hint) -> None:
        self._engine = Engine(program, hint)

    def forward(self, runs: Sequence[Run], scanner: Scanners) -> Found:
        """As `history.forward`."""
        sources = self.sources(runs, scanner)
        for found in forward(sources):
            yield found
            self.work(sources)

    def newest(self, runs: Sequence[Run], count: int, scanner: Scanners, most: int) -> Found:
        """As `history.newest`."""
        kept: deque[LogLine] = deque()
        size = 0
        for lines, scanned in self.forward(runs, scanner):
            kept.extend(lines)
            size += sum(len(line.message) for line in lines)
            while len(kept) > count:
                size -= len(kept.popleft().message)
            if size > most:
                raise TooLarge
            yield [], scanned
        yield list(kept), 0

    def newest_since(self, runs: Sequence[Run], count: int, scanner: Scanners) -> Generator[int, None, tuple[int, int]]:
        """As `history.newest_since`."""
        times = array("q")
        for lines, scanned in self.forward(runs, scanner):
            times.extend(line.time_ns for line in lines)
            yield scanned
        return first_of_newest(times, count)

    def sources(self, runs: Sequence[Run], scanner: Scanners) -> list[Forward]:
        """What reads runs where it is told to; begins to look for that."""
        found = [run for run in runs if run.start < run.end]
        places = self._engine.look(found)
        self._engine.work(0)
        scanners = [(run, scanner(run.service, run.instance)) for run in found]
        return [Seeker(run, one, places[run]) if run in places else Forward(run, one) for run, one in scanners]

    def work(self, sources: Sequence[Forward]) -> None:
        """Takes what was found meanwhile; waits a little when one of the sources can do nothing else."""
        self._engine.work(WAIT_SECONDS if any(source.is_waiting for source in sources) else 0)

    def close(self) -> None:
        """Ends its processes."""
        self._engine.close()


Begin = Callable[[Hint, int], Search | None]
"""Begins a search of so many bytes."""


class Engines:
    """The engine of a host, if there is one; remembers that a search would have been much faster with one.

    `find` says where ripgrep is, empty for nowhere.
    """

    def __init__(self, find: Callable[[], str]) -> None:
        self._find = find
        self._was_missed = False

    def begin(self, hint: Hint, size: int) -> Search | None:
        """A search with the engine that is there, where it is worth one."""
        if size < ENOUGH:
            return None
        if program := self._find():
            return Search(program, hint)
        self._was_missed = self._was_missed or size >= MISSED
        return None

    @property
    def is_missed(self) -> bool:
        """Whether one ought to be placed here."""
        return self._was_missed and not self._find()
