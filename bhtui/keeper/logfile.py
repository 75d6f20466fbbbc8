"""One active log file in the Kubernetes CRI format, its rotation, and what happens when the disk is full.

A line is `RFC3339Nano stdout|stderr F|P text`; times are UTC with nine digits, and never go backwards within a file
(https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md). The active file keeps
its path; a rotated one is named after the time of its first line, `stem.20260102T030405.000000006Z.log`: no name ever
changes again and names sort by time.

The file only ever holds whole lines. What cannot be written is counted, and one line tells how many were lost once
there is room again.
"""

from __future__ import annotations

import errno
import os
import re
import time

from bhtui.keeper.ratelimit import RateLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECOND = 1_000_000_000
CHECK_S = 1.0  # how often the path is compared with the open file, and a failed write is tried again
CLOCK_STEP_NS = 10 * SECOND  # a clock set back further than this starts a new file instead of freezing the time
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

_second_text: tuple[int, str] = (-1, "")


def stamp(ns: int) -> str:
    """Nanoseconds since the epoch as RFC 3339 with nine digits, UTC."""
    global _second_text
    seconds, rest = divmod(ns, SECOND)
    if _second_text[0] != seconds:
        _second_text = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
    return f"{_second_text[1]}.{rest:09d}Z"


def unstamp(line: bytes) -> int | None:
    """The time at the head of a line in nanoseconds, or None when there is none."""
    match = re.match(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})Z ", line)
    if match is None:
        return None
    year, month, day, hour, minute, second, rest = map(int, match.groups())
    days = _days(year, month, day)
    return ((days * 24 + hour) * 60 + minute) * 60 * SECOND + second * SECOND + rest


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


class LogFile:
    """Where the output of an instance goes; shared by its incarnations.

    `max_bytes` and `max_age_s` bound the active file (0: no bound), `keep` the number of rotated ones. A bound is
    passed by at most one write.
    """

    def __init__(self, path: str, max_bytes: int = 0, max_age_s: float = 0, keep: int = 10) -> None:
        self.path = path
        self.rate = RateLimit()
        self.limit(max_bytes, max_age_s, keep)
        self.users = 0
        self.bytes = self.lines = self.dropped = self.lost = 0
        self.problem = ""
        self._fd = -1
        self._size = 0
        self._first = self._last = 0
        self._checked = self._failed = 0.0  # by the clock that nobody can set

    def limit(self, max_bytes: int, max_age_s: float, keep: int) -> None:
        """Sets the bounds."""
        self.max_bytes, self.max_age_ns, self.keep = max_bytes, int(max_age_s * SECOND), keep

    def open(self) -> None:
        """Opens the file, making its folder; a line cut short by a crash is removed. Raises OSError."""
        folder = os.path.dirname(self.path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._size = _cut_partial_line(fd)
            self._first = unstamp(os.pread(fd, 64, 0)) or time.time_ns()
            self._last = max(self._last, _last_stamp(fd, self._size))
        except OSError:
            os.close(fd)
            raise
        self._replace(fd)
        self._checked = time.monotonic()

    def close(self) -> None:
        """Closes the file; a count of lost lines gets its last chance."""
        self._failed = 0.0
        self.retry()
        self._replace(-1)

    def retry(self) -> None:
        """Writes the count of lost lines if there is room by now."""
        if self.lost:
            self.now()
            self.write([], 0, 0)

    def _replace(self, fd: int) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd

    def now(self) -> int:
        """The time for the next lines: the clock, but never before the last line of this file."""
        now = time.time_ns()
        if now < self._last - CLOCK_STEP_NS:
            self.rotate()
            self._last = now
        self._last = max(now, self._last)
        return self._last

    def note(self, text: str) -> None:
        """Writes a line of the keeper's own."""
        line = f"{stamp(self.now())} stderr F [blackhole] {text}\n".encode(errors="surrogateescape")
        self.write([line], len(line), 1)

    def write(self, parts: list[bytes | memoryview], size: int, lines: int) -> bool:
        """Writes whole lines, stamped with `now()`. Never raises: what finds no place is counted; then it is False.

        `lines` is how many of them are a loss when they find no place: 0 for one that the caller will bring again.
        """
        passed = time.monotonic()
        if self.lost and passed - self._failed < CHECK_S:
            self.lose(lines)
            return False
        if passed - self._checked >= CHECK_S or self._fd < 0:
            self._check_path()
        if self._is_due(size, self._last):
            self.rotate()
        if self.lost:
            marker = f"{stamp(self.now())} stderr F [blackhole] {self.lost} lines lost here: {self.problem}\n".encode()
            parts, size, lines = [marker, *parts], size + len(marker), lines + 1
        return self._append(parts, size, lines)

    def _is_due(self, more: int, now: int) -> bool:
        too_big = 0 < self.max_bytes < self._size + more
        return too_big or 0 < self.max_age_ns <= now - self._first

    def _append(self, parts: list[bytes | memoryview], size: int, lines: int) -> bool:
        done = 0
        try:
            done = os.writev(self._fd, parts) if self._fd >= 0 else 0
            while self._fd >= 0 and done < size:  # a short write: the next one says why
                done += os.write(self._fd, b"".join(parts)[done:])
        except OSError as error:
            self._say(error)
        if done == size and self._fd >= 0:
            self._took(size, lines)
            self.lost = 0
            return True
        self._take_back(parts, done, lines)
        return False

    def _take_back(self, parts: list[bytes | memoryview], done: int, lines: int) -> None:
        """A write ended in the middle: keep the whole lines that went in, count the others."""
        marker, whole, kept = bool(self.lost), 0, 0
        if done and not marker:
            written = b"".join(parts)[:done]
            whole, kept = written.rfind(b"\n") + 1, written.count(b"\n")
        try:
            if done:
                os.ftruncate(self._fd, self._size + whole)
        except OSError as error:
            self._say(error)
            self._replace(-1)  # opening it again cuts the partial line
        self._took(whole, kept)
        self._failed = time.monotonic()
        self.lose(lines - marker - kept)

    def _took(self, size: int, lines: int) -> None:
        if not self._size:
            self._first = self._last
        self._size += size
        self.bytes += size
        self.lines += lines

    def lose(self, lines: int) -> None:
        """Counts lines that found no place."""
        self.lost += lines
        self.dropped += lines

    def _say(self, error: OSError) -> None:
        self.problem = (error.strerror or str(error)).lower()
        if error.errno in NO_ROOM:
            self.problem = "no space left on device"

    def _check_path(self) -> None:
        """Opens the file again when somebody removed or replaced it."""
        self._checked = time.monotonic()
        try:
            if self._fd >= 0:
                mine, there = os.fstat(self._fd), os.stat(self.path, follow_symlinks=False)
                if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                    return
        except FileNotFoundError:
            pass  # removed: it is made anew just below
        except OSError as error:
            self._say(error)
        try:
            self.open()
        except OSError as error:
            self._say(error)

    def rotate(self) -> None:
        """Gives the active file its final name and starts a new one; on any error the old one simply goes on."""
        if not self._size:
            return
        fresh = self.path + ".new"
        try:
            fd = os.open(fresh, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.rename(self.path, self._final_name())
                os.rename(fresh, self.path)
            except OSError:
                os.close(fd)
                raise
        except OSError as error:
            self._say(error)
            return
        self._replace(fd)
        self._size = 0
        self._first = self._last
        self._prune()

    def _final_name(self) -> str:
        stem, suffix = os.path.splitext(self.path)
        first = self._first
        while True:
            name = f"{stem}.{stamp(first).replace('-', '').replace(':', '')}{suffix}"
            if not os.path.lexists(name):
                return name
            first += 1

    def _prune(self) -> None:
        folder, name = os.path.split(self.path)
        stem, suffix = os.path.splitext(name)
        pattern = re.compile(re.escape(stem) + r"\.\d{8}T\d{6}\.\d{9}Z" + re.escape(suffix))
        try:
            rotated = sorted(entry for entry in os.listdir(folder) if pattern.fullmatch(entry))
            for old in rotated[: max(0, len(rotated) - self.keep)]:
                os.unlink(os.path.join(folder, old))
        except OSError as error:
            self._say(error)

    def stats(self) -> dict[str, Any]:
        """Counts since this file was first used by this keeper."""
        return {"bytes": self.bytes, "lines": self.lines, "dropped": self.dropped, "problem": self.problem}

    def dump(self) -> dict[str, Any]:
        """What an upgraded keeper needs to go on exactly here."""
        return {
            "path": self.path, "max_bytes": self.max_bytes, "max_age_s": self.max_age_ns / SECOND, "keep": self.keep,
            "bytes": self.bytes, "lines": self.lines, "dropped": self.dropped, "lost": self.lost,
            "problem": self.problem, "last": self._last,
        }  # fmt: skip

    @classmethod
    def load(cls, state: dict[str, Any]) -> LogFile:
        """The opposite of `dump`."""
        log = cls(state["path"], state["max_bytes"], state["max_age_s"], state["keep"])
        log.bytes, log.lines, log.dropped = state["bytes"], state["lines"], state["dropped"]
        log.lost, log.problem, log._last = state["lost"], state["problem"], state["last"]
        log._check_path()
        return log


def _cut_partial_line(fd: int) -> int:
    """Truncates the file after its last newline and returns its size."""
    end = os.fstat(fd).st_size
    while end:
        start = max(0, end - 65_536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        end = start + newline + 1
        if newline >= 0:
            break
    if end != os.fstat(fd).st_size:
        os.ftruncate(fd, end)
    return end


def _last_stamp(fd: int, size: int) -> int:
    """The time of the last line, or 0. A last line over 64 KiB hides it: then the clock alone decides."""
    start = max(0, size - 65_536)
    last = os.pread(fd, size - start, start).rstrip(b"\n").rpartition(b"\n")[2]
    return unstamp(last) or 0
