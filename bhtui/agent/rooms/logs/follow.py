"""Lines as they are written, each exactly once, whatever happens to the files.

The file being read is held open, so what is written to it after it was renamed or removed is still read. Only when it
is at its end and another file has its path does reading go on there, first through those rotated meanwhile. Which
rotated files are new is known by their names, which never change, and not by their times, which a clock set back would
mix up.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import attrgetter, itemgetter
from pathlib import Path

from bhtui.core.logs import LogLine, LogPlace

from . import files
from .files import BLOCK, LONGEST, LogFile, Survey
from .places import NOWHERE, Given, Mark
from .scan import Scanner

BLOCKS_A_TURN = 4
BLOCKS_A_ROUND = 64
"""Of all followers together, or one of each: what one round takes into memory."""
REORDER_NS = 5_000_000
"""The time between a line's stamp and the moment it can be read, at most, as a rule."""
_time = attrgetter("time_ns")
MAX_HELD = 20_000
MAX_HELD_CHARACTERS = 16 << 20


class Follower:
    """Reads one instance from a survey's end onwards, or from a place that another one had come to.

    Takes over the descriptor of the survey's active file.
    """

    def __init__(self, path: Path, scanner: Scanner, seen: Survey | None = None, place: LogPlace | None = None) -> None:
        self.scanner = scanner
        self.lost = 0
        """How often files were removed that may have had unread lines."""
        self._path = path
        self._fd = -1
        self._offset = 0
        self._waiting: deque[LogFile] = deque()
        self._known: set[str] = set()
        self._was_moved = False
        self._inside = -1
        """The offset in the middle of a line that is too long, where reading goes on."""
        self._here = NOWHERE
        self._given = Given()
        if seen is not None and place is not None:
            self._resume(seen, place)
        elif seen is not None:
            self._known = {file.path for file in seen.rotated}
            if seen.active is not None and seen.active.fd is not None:
                self._switch(seen.active.fd, seen.active.path, seen.active.end)

    def _resume(self, seen: Survey, place: LogPlace) -> None:
        done = set(place.before)
        self._known = {file.path for file in seen.rotated}
        there = [*seen.rotated, seen.active] if seen.active is not None else seen.rotated
        found = next((file for file in there if _is_at_place(file, place)), None)
        self._waiting.extend(
            file for file in there if file is not found and (file.fd is not None or _time_of(file.path) not in done)
        )
        if found is None:
            self.lost += bool(place.head_ns)  # an empty file that is gone had nothing
        elif self._open(found, place.offset):
            self._given.resume(place.given)

    @property
    def place(self) -> LogPlace:
        """After the lines that were given on."""
        mark, given = self._given.place
        file, head_ns, offset, before = mark or self._here._replace(offset=self._offset)
        return LogPlace(self.scanner.service, self.scanner.instance, file, head_ns, offset, given, before)

    def gave(self, count: int) -> None:
        """So many more of the lines that `poll` had were given on, in its order."""
        self._given.gave(count)

    def close(self) -> None:
        """Closes what it holds open."""
        for file in self._waiting:
            if file.fd is not None:
                os.close(file.fd)
        self._waiting.clear()
        self._switch(-1)

    def poll(self, blocks: int = BLOCKS_A_TURN) -> tuple[list[LogLine], bool]:
        """What came since the last time, and whether there is more to be read at once."""
        lines: list[LogLine] = []
        for _ in range(blocks):
            if block := self._next_block():
                lines += self._feed(block)
            elif not self._go_on():
                return lines, False
        return lines, True

    def _feed(self, block: bytes) -> list[LogLine]:
        start = self._offset - len(block)
        is_clean, is_whole = self.scanner.is_between_lines and start != self._inside, block.endswith(b"\n")
        self._inside = -1 if is_whole else self._offset
        if not start or not self._here.head_ns:
            self._here = self._here._replace(head_ns=files.head_time(self._fd))
        lines = self.scanner.feed(block if is_whole else block + b"\n")
        is_between = is_whole and self.scanner.is_between_lines
        end = self._here._replace(offset=self._offset) if is_between else None
        return self._given.read(lines, self._here._replace(offset=start) if is_clean else None, end)

    def _next_block(self) -> bytes:
        """Whole lines at the offset, or a piece of one that is too long; empty when there are none yet."""
        if self._fd < 0:
            return b""
        size, before = BLOCK, min(self._offset, 1) if self._offset != self._inside else 0
        while True:
            data = files.read(self._fd, self._offset - before, self._offset + size)
            if before and data and data[:1] != b"\n":  # emptied and filled again by somebody since the last read
                self._offset = before = 0
                continue
            cut = data.rfind(b"\n") + 1 - before
            if cut > 0 or len(data) < size:
                self._offset += max(0, cut)
                return data[before : before + cut] if cut > 0 else b""
            if size >= LONGEST:
                self._offset += len(data) - before
                return data[before:]
            size *= 2

    def _go_on(self) -> bool:
        """At the end of the file: whether there is now something to read."""
        if self._waiting:
            return self._open_next()
        try:
            there = self._path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        if self._fd >= 0 and os.path.samestat(os.fstat(self._fd), there):
            return self._was_truncated(there.st_size)
        if self._fd >= 0 and not self._was_moved:
            self._was_moved = True  # what was written between the last read and the rename is read before going on
            return True
        return self._look_further()

    def _was_truncated(self, size: int) -> bool:
        if size >= self._offset:
            return False
        self._offset = 0
        return size > 0

    def _look_further(self) -> bool:
        """The path has another file: puts in line what was rotated meanwhile, then the new active one."""
        seen = files.survey(self._path)
        fresh = [file for file in seen.rotated if file.path not in self._known]
        others = [file for file in fresh if not self._is_current(file)]
        if self._fd >= 0 and others and not any(map(self._is_current, seen.rotated)):
            self.lost += 1
        self._known = {file.path for file in seen.rotated}
        self._waiting.extend(others)
        if seen.active is not None:
            self._waiting.append(seen.active)
        return self._open_next()

    def _is_current(self, file: LogFile) -> bool:
        try:
            return self._fd >= 0 and os.path.samestat(os.fstat(self._fd), Path(file.path).stat(follow_symlinks=False))
        except FileNotFoundError:
            return False

    def _open_next(self) -> bool:
        while self._waiting:
            if self._open(self._waiting.popleft()):
                return True
        return False

    def _open(self, file: LogFile, offset: int = 0) -> bool:
        try:
            fd = file.fd if file.fd is not None else os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.lost += 1
            return False
        self._switch(fd, file.path, offset)
        return True

    def _switch(self, fd: int, path: str = "", offset: int = 0) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._offset, self._was_moved, self._inside = fd, offset, False, -1
        if fd >= 0:
            after = {path, *(file.path for file in self._waiting)}
            before = tuple(sorted(map(_time_of, self._known - after)))
            self._here = Mark(os.fstat(fd).st_ino, files.head_time(fd), offset, before)


def _time_of(path: str) -> int:
    return files.time_in_name(os.path.basename(path))  # noqa: PTH119 - a path of a log file, many times a look


def _is_at_place(file: LogFile, place: LogPlace) -> bool:
    try:
        with file.opened() as fd:
            return os.fstat(fd).st_ino == place.file and place.head_ns in (0, files.head_time(fd))
    except FileNotFoundError:
        return False


class Merger:
    """Brings what several followers read into time order.

    While none lags, a line is held for at most one round: until everything stamped before it can have been read.
    While one lags, the lines of the others wait for it, up to a bound.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._held: list[tuple[int, LogLine]] = []
        self._floors: dict[int, int] = {}
        """By follower of which lines are held the time before which none of its lines may go: its own order stays, also
        where the clock was set back."""

    @property
    def is_holding(self) -> bool:
        """Whether lines wait for the next round."""
        return bool(self._held)

    def round(self, followers: Sequence[Follower]) -> tuple[list[LogLine], bool]:
        """The next lines in time order, and whether there is more to be read at once."""
        if len(followers) == 1 and not self._held:  # nothing that it could be out of order with
            return followers[0].poll()
        bound = self._clock() - REORDER_NS
        lagging = []
        fresh: list[tuple[int, LogLine]] = []
        reached: dict[int, int] = {}
        blocks = max(1, min(BLOCKS_A_TURN, BLOCKS_A_ROUND // max(1, len(followers))))
        for follower in followers:
            lines, is_busy = follower.poll(blocks)
            reached[id(follower)] = self._floors.get(id(follower), 0)
            if lines:
                times = list(accumulate(map(_time, lines), max, initial=reached[id(follower)]))
                fresh += zip(times[1:], lines, strict=True)
                reached[id(follower)] = times[-1]
            if is_busy:
                lagging.append(follower.scanner.last_ns)
        bound = min([bound, *lagging])
        out = self._release(fresh, bound, is_lagging=bool(lagging))
        self._floors = {name: latest for name, latest in reached.items() if latest > bound} if self._held else {}
        return out, bool(lagging)

    def _release(self, fresh: list[tuple[int, LogLine]], bound: int, *, is_lagging: bool) -> list[LogLine]:
        lines = self._held + fresh
        if is_lagging:
            is_full = len(lines) > MAX_HELD or sum(len(line.message) for _, line in lines) > MAX_HELD_CHARACTERS
            out = lines if is_full else [each for each in lines if each[0] <= bound]
            self._held = [] if is_full else [each for each in lines if each[0] > bound]
        else:
            out = self._held + [each for each in fresh if each[0] <= bound]
            self._held = [each for each in fresh if each[0] > bound]
        out.sort(key=itemgetter(0))
        return [line for _, line in out]
