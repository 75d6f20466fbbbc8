"""The files of an instance, and places in them: found by pread in blocks, never by reading from the start.

The active file is `LOGS/<service>/<instance>.log`. A rotated one is `<instance>.<YYYYMMDDTHHMMSS.nnnnnnnnnZ>.log`,
after the time of its first line; its name never changes again. Times within a file never go backwards; between files
they may, when the clock was set back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import cri

BLOCK = 256 << 10
"""Bytes read at once: large enough to be fast, small enough that no search in it holds the interpreter for long."""
JOIN_LIMIT = 256 << 10
"""Bytes of partial lines that are put together into one; what is longer stays in parts."""
LONGEST = 512 << 10
"""Bytes without an end of line after which a reader goes on as if there was one. The keeper writes no line as long; who
shortened, damaged or replaced a file must not make its readers take all of it into memory."""
_LINEAR = 32 << 10
_SURVEYS = 10
_ROTATED = re.compile(r"(?P<stem>.+)\.(?P<stamp>\d{8}T\d{6}\.\d{9}Z)\.log")
_PART = re.compile(rb" std(?:out|err) P ")


@dataclass(slots=True)
class LogFile:
    """One file. A rotated one is opened for each read, so that many cost no descriptors; the active one, whose name
    may change at any moment, is held open by `fd`."""

    path: str
    fd: int | None = None
    end: int = -1
    """Where the last whole line of the active file ended when it was opened; -1: not active, so it does not grow."""

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor for reading. Raises FileNotFoundError when rotation has removed the file."""
        if self.fd is not None:
            yield self.fd
            return
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            yield fd
        finally:
            os.close(fd)


@dataclass(slots=True)
class Survey:
    """The files of an instance at one moment. Whoever asked for it closes `active.fd`."""

    active: LogFile | None
    rotated: list[LogFile]
    """Oldest first, as their names say."""


def survey(path: Path) -> Survey:
    """Which files there are. Between opening the active one and listing the others no rotation has happened."""
    for _ in range(_SURVEYS):
        active = _open(path)
        rotated = [LogFile(str(path.parent / name)) for name in rotated_names(path)]
        if _is_at(active, path):
            break
        if active is not None and active.fd is not None:
            os.close(active.fd)
    else:
        raise OSError(f"{path} is rotated faster than its folder can be listed")
    return Survey(active, rotated)


def rotated_names(path: Path) -> list[str]:
    """The names of the rotated files that belong to an active one, oldest first."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if (match := _ROTATED.fullmatch(name)) and match["stem"] == path.stem)


def time_in_name(name: str) -> int:
    """The time in the name of a rotated file, Unix nanoseconds; 0: there is none."""
    match = _ROTATED.fullmatch(name)
    if match is None:
        return 0
    text = match["stamp"]
    day, second, rest = f"{text[:4]}-{text[4:6]}-{text[6:8]}", f"{text[9:11]}:{text[11:13]}:{text[13:15]}", text[15:]
    return max(0, cri.time_of(f"{day}T{second}{rest} ".encode()))


def head_time(fd: int) -> int:
    """The time of a file's first line, Unix nanoseconds; 0: it has none."""
    return max(0, cri.time_of(os.pread(fd, cri.TEXT_AT, 0)))


def active_name(name: str) -> str:
    """The name of the active file that a file belongs to."""
    match = _ROTATED.fullmatch(name)
    return f"{match['stem']}.log" if match else name


def _open(path: Path) -> LogFile | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    return LogFile(str(path), fd, lines_end(fd))


def _is_at(file: LogFile | None, path: Path) -> bool:
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return file is None
    return file is not None and file.fd is not None and os.path.samestat(os.fstat(file.fd), there)


def read(fd: int, start: int, end: int) -> bytes:
    """The bytes from start to end, fewer at the end of the file."""
    parts = []
    while start < end and (part := os.pread(fd, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]


def lines_end(fd: int) -> int:
    """Where the last whole line of the file ends."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - BLOCK)
        newline = read(fd, start, end).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def next_line(fd: int, position: int, end: int) -> int:
    """The first start of a line at or after position, or end."""
    if position <= 0:
        return 0
    at, size = position - 1, 4096
    while at < end and (block := read(fd, at, min(at + size, end))):
        newline = block.find(b"\n")
        if newline >= 0:
            return at + newline + 1
        at, size = at + len(block), min(size * 2, BLOCK)
    return end


def find_time(fd: int, end: int, time_ns: int) -> int:
    """The start of the first line at or after a time, or end. A line without a stamp has the time of the one before."""
    bound = cri.stamp(time_ns)
    low, high, answer = 0, end, end
    while high - low > _LINEAR:
        middle = (low + high) // 2
        at, late = _stamped_line(fd, middle, high, bound)
        if at >= high:
            high = middle
        elif late:
            answer, high = at, middle
        else:
            low = at
    return _find_linear(fd, low, high, answer, end, bound)


def _stamped_line(fd: int, position: int, high: int, bound: bytes) -> tuple[int, bool]:
    """The first stamped line that starts in [position, high), or high, and whether it is at or after the bound."""
    at = next_line(fd, position, high)
    while at < high:
        head = os.pread(fd, cri.TEXT_AT, at)
        if cri.time_of(head) >= 0:
            return at, head[: cri.STAMP_LENGTH] >= bound
        at = next_line(fd, at + 1, high)
    return high, False


def _find_linear(fd: int, low: int, high: int, answer: int, end: int, bound: bytes) -> int:
    """The first line at or after the bound that starts in [low, high), else the answer."""
    data = read(fd, low, min(high + cri.TEXT_AT, end))
    at = 0
    while at < high - low:
        head = data[at : at + cri.TEXT_AT]
        if cri.time_of(head) >= 0 and head[: cri.STAMP_LENGTH] >= bound:
            return low + at
        at = data.find(b"\n", at) + 1
        if not at:
            break
    return answer


def lines_before(fd: int, position: int, count: int) -> int:
    """Where the last so many lines before the start of a line begin; looks back no further than JOIN_LIMIT bytes."""
    floor = next_line(fd, max(0, position - JOIN_LIMIT), position)
    before = read(fd, floor, position)
    at = len(before)
    for _ in range(count):
        if at <= 0:
            break
        at = before.rfind(b"\n", 0, at - 1) + 1
    return floor + max(0, at)


def whole_lines(rest: bytes, data: bytes) -> tuple[bytes, bytes]:
    """What of both can be given out as whole lines, and the beginning of a line that is left."""
    cut = data.rfind(b"\n") + 1
    if cut:
        return rest + data[:cut], data[cut:]
    rest += data
    return (rest + b"\n", b"") if len(rest) >= LONGEST else (b"", rest)


def may_have_parts(block: bytes) -> bool:
    """False when no line of the block is a partial one; True may be wrong, when a line only tells of one."""
    return b"P" in block and _PART.search(block) is not None


def clean_start(fd: int, position: int, floor: int) -> int:
    """The last start of a line, at or before position, where no partial line is under way.

    Looks back no further than the longest line that is put together, and not before floor.
    """
    start = next_line(fd, max(floor, position - JOIN_LIMIT - BLOCK), position)
    before = read(fd, start, position)
    if not may_have_parts(before):
        return position
    clean, at = start, start
    open_streams: set[bytes] = set()
    for line in before.split(b"\n")[:-1]:
        if line[37:40] == b" P ":
            open_streams.add(line[31:37])
        else:
            open_streams.discard(line[31:37])
        at += len(line) + 1
        if not open_streams:
            clean = at
    return clean
