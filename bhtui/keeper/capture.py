"""Moves the output of one process from its pipes into its log file.

A chunk is stamped once, when it is read, and the prefix goes in by `bytes.replace`: that is what makes it fast. The
unfinished tail of a chunk waits for its newline; a tail over `MAX_TAIL` bytes is written as a partial line (P).

A line of which a part is written and the rest is not, as the disk is full or the service writes too much, is ended by
an empty last part: what comes next must not be taken for its end.

Tails are also in a memfd that the agent holds too, beside flags that say whether a chunk was being moved, and a count
of what was dropped. So whoever succeeds a killed keeper goes on in the middle of a line, and knows what is missing.
"""

from __future__ import annotations

import fcntl
import os

from bhtui.keeper.logfile import NO_ROOM, LogFile, stamp
from bhtui.keeper.loop import DATA, Loop, Timer
from bhtui.keeper.ratelimit import SECOND, RateLimit, sift

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK = 1 << 17  # bytes read from one pipe in one turn
PIPE_BYTES = 1 << 20  # asked of the kernel: what a service may write while the keeper is being replaced
MAX_TAIL = 16 << 10
SLOTS = {"stdout": 0, "stderr": 5 + MAX_TAIL}
UNTOLD = 2 * (5 + MAX_TAIL)
MOVING, SKIPPING, OPEN = 1, 2, 4
MAX_RATES = 4096  # logs that are closed now whose limits and counts are remembered
DRAIN_TURNS = 2 * PIPE_BYTES // CHUNK  # a grandchild that never stops writing must not hold up the exit of the process


def frame(tail: bytes, chunk: bytes, head: bytes) -> tuple[list[bytes | memoryview], int, int, bytes]:
    """Puts head, which ends in ` F `, before every line of tail + chunk.

    Returns the parts to write, their size in bytes, how many lines they are, and the new unfinished tail.
    """
    cut = chunk.rfind(b"\n") + 1
    if not cut:
        tail += chunk
        if len(tail) <= MAX_TAIL:
            return [], 0, 0, tail
        return [head[:-2], b"P ", tail, b"\n"], len(head) + len(tail) + 1, 1, b""
    headed = chunk[:cut].replace(b"\n", b"\n" + head)
    count = (len(headed) - cut) // len(head)
    # One head too many after the last newline, one too few before the tail.
    parts: list[bytes | memoryview] = [head, tail, memoryview(headed)[: -len(head)]]
    return parts, len(tail) + len(headed), count, chunk[cut:]


class Pipe:
    """The read end of stdout or stderr of a process.

    `flags`: SKIPPING while it is in the middle of a line that was dropped, OPEN while a line has parts in the log and
    goes on. `is_cut`: such a line does not go on, and its end could not be written yet.
    """

    __slots__ = ("fd", "flags", "is_cut", "slot", "stream", "tail")

    def __init__(self, stream: str, fd: int) -> None:
        self.stream, self.fd, self.tail, self.flags, self.is_cut = stream, fd, b"", 0, False
        self.slot = SLOTS[stream]


class Tails:
    """The memfd of one process. Each pipe has a slot: one byte (MOVING and the pipe's flags), length, tail.

    Behind them are the lines and bytes that were dropped and not yet told of in the log.
    """

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd if fd >= 0 else os.memfd_create("tails", os.MFD_CLOEXEC)

    def begin(self, slot: int, flags: int) -> None:
        """A chunk leaves the pipe now."""
        os.pwrite(self.fd, _FLAGS[flags | MOVING], slot)

    def settle(self, slot: int, flags: int) -> None:
        """It has arrived in the log."""
        os.pwrite(self.fd, _FLAGS[flags], slot)

    def store(self, slot: int, tail: bytes) -> None:
        """What is left of it."""
        os.pwrite(self.fd, len(tail).to_bytes(4, "big") + tail, slot + 1)

    def load(self, slot: int) -> tuple[bytes | None, int]:
        """What was left, or None when a chunk was on its way; and the flags of the pipe."""
        head = os.pread(self.fd, 5, slot)
        flags = head[0] if head else 0
        if flags & MOVING:
            return None, flags & ~MOVING
        return os.pread(self.fd, min(int.from_bytes(head[1:], "big"), MAX_TAIL), slot + 5), flags

    def store_untold(self, lines: int, size: int) -> None:
        """What was dropped and is not told of yet."""
        os.pwrite(self.fd, lines.to_bytes(8, "big") + size.to_bytes(8, "big"), UNTOLD)

    def load_untold(self) -> tuple[int, int]:
        """As it was stored."""
        both = os.pread(self.fd, 16, UNTOLD)
        return int.from_bytes(both[:8], "big"), int.from_bytes(both[8:], "big")


_FLAGS = [bytes([flags]) for flags in range(8)]


class Logs:
    """The open log files by path: whoever writes to a path shares one file, so that rotation has one owner."""

    def __init__(self, loop: Loop) -> None:
        self.by_path: dict[str, LogFile] = {}
        self.rates: dict[str, RateLimit] = {}
        """By path, of all that have a limit, also of those that nobody writes to now: one that is started again and
        again must not begin anew each time, and what was dropped stays counted."""
        self._loop = loop
        self._retry: Timer | None = None

    def take(
        self, path: str, max_bytes: int, max_age_s: float, keep: int,
        rate_lines: int = 0, rate_bytes: int = 0, rate_s: float = 0,
    ) -> LogFile:  # fmt: skip
        """The file of that path, open. A full disk stops no service from starting; any other OSError is raised."""
        log = self.by_path.get(path) or self._open(path, max_bytes, max_age_s, keep)
        log.limit(max_bytes, max_age_s, keep)
        log.rate.set(rate_lines, rate_bytes, rate_s)
        if log.rate.ns:
            self.rates[path] = log.rate
        return log

    def _open(self, path: str, max_bytes: int, max_age_s: float, keep: int) -> LogFile:
        log = LogFile(path, max_bytes, max_age_s, keep)
        log.rate = self.rates.get(path, log.rate)
        try:
            log.open()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        self.by_path[path] = log
        return log

    def load(self, logs: list[dict[str, Any]], rates: dict[str, list[int]]) -> None:
        """What a former version of the keeper wrote down: each log's `dump`, and that of each limit."""
        self.rates = {path: RateLimit.load(rate) for path, rate in rates.items()}
        self.by_path = {each["path"]: LogFile.load(each) for each in logs}
        for path, log in self.by_path.items():
            log.rate = self.rates.get(path, log.rate)

    def release(self, log: LogFile) -> None:
        """One writer less; the last one closes the file unless it still has losses to tell."""
        log.users -= 1
        self.drop_unused()

    def drop_unused(self) -> None:
        """Closes the files that nobody writes to."""
        for log in list(self.by_path.values()):
            if log.users <= 0 and not log.lost:
                log.close()
                del self.by_path[log.path]
        closed = [path for path in self.rates if path not in self.by_path] if len(self.rates) > MAX_RATES else []
        for path in closed[:-MAX_RATES]:
            del self.rates[path]

    def remember_loss(self) -> None:
        """Tries every second to write down what was lost, until it is written."""
        if self._retry is None:
            self._retry = self._loop.later(1, self._tell_losses)

    def _tell_losses(self) -> None:
        self._retry = None
        for log in self.by_path.values():
            log.retry()
        self.drop_unused()
        if any(log.lost for log in self.by_path.values()):
            self.remember_loss()


class Capture:
    """Both pipes of one process and the log file they go to. `on_end` is called once, when both have ended."""

    def __init__(self, loop: Loop, logs: Logs, log: LogFile, fds: dict[str, int], on_end: Callable[[], None]) -> None:
        """Takes over `stdout` and `stderr`, or those of them that are left, and, from another keeper, its `tails`."""
        self.log, self.pipes = log, [Pipe(stream, fds[stream]) for stream in SLOTS if stream in fds]
        self.complete = "tails" in fds
        self._loop, self._logs, self._on_end = loop, logs, on_end
        self._tails = Tails(fds.get("tails", -1))
        self._untold = self._tails.load_untold()
        """Lines and bytes that were dropped since the log last told of it."""
        self._telling: Timer | None = None
        log.users += 1
        for pipe in self.pipes:
            tail, pipe.flags = self._tails.load(pipe.slot)
            self.complete &= tail is not None
            pipe.tail = tail or b""
            self._tails.store(pipe.slot, pipe.tail)
            self._tails.settle(pipe.slot, pipe.flags)
            os.set_blocking(pipe.fd, False)
            _widen(pipe.fd)
            loop.watch(pipe.fd, lambda pipe=pipe: self._turn(pipe), rank=DATA)  # type: ignore[misc]
        if any(self._untold):
            self._tell_later()

    def _turn(self, pipe: Pipe) -> None:
        if self._read(pipe) is None:
            self._end(pipe)

    def _read(self, pipe: Pipe) -> bool | None:
        """Moves one chunk: True when there was one, False when the pipe is empty for now, None at its end."""
        self._tails.begin(pipe.slot, pipe.flags)
        try:
            chunk = os.read(pipe.fd, CHUNK)
        except BlockingIOError:
            self._tails.settle(pipe.slot, pipe.flags)
            return False
        if chunk:
            self._move(pipe, chunk)
        self._tails.settle(pipe.slot, pipe.flags)
        return True if chunk else None

    def _move(self, pipe: Pipe, chunk: bytes) -> None:
        now = self.log.now()
        if self.log.rate.ns or pipe.flags & SKIPPING or any(self._untold):
            chunk = self._sift(pipe, chunk, now)
            if not chunk:
                return
        head = f"{stamp(now)} {pipe.stream} F ".encode()
        parts, size, lines, tail = frame(pipe.tail, chunk, head)
        if size:
            self._write(pipe, parts, size, lines, goes_on=parts[0] is not head)
        if tail or pipe.tail:
            self._tails.store(pipe.slot, tail)
        pipe.tail = tail

    def _write(
        self, pipe: Pipe, parts: list[bytes | memoryview], size: int, lines: int, *, goes_on: bool = False
    ) -> None:
        """`goes_on`: it is a part of a line, and more of that line will come."""
        if pipe.is_cut:
            self._end_cut_line(pipe)
        if self.log.write(parts, size, lines):
            pipe.flags = pipe.flags | OPEN if goes_on else pipe.flags & ~OPEN
        elif pipe.flags & OPEN:
            pipe.is_cut = True
        if self.log.lost:
            self._logs.remember_loss()

    def _end_cut_line(self, pipe: Pipe) -> None:
        """A line of which parts are in the log does not go on: ends it, at once or as soon as there is room."""
        end = f"{stamp(self.log.now())} {pipe.stream} F \n".encode()
        pipe.is_cut = not self.log.write([end], len(end), 0)
        if not pipe.is_cut:
            pipe.flags &= ~OPEN

    # What is over the rate limit

    def _sift(self, pipe: Pipe, chunk: bytes, now: int) -> bytes:
        """Drops of a chunk what is over the limit."""
        was_skipping = bool(pipe.flags & SKIPPING)
        start, cut, is_skipping = sift(self.log.rate, chunk, now, was_skipping)
        pipe.flags = pipe.flags | SKIPPING if is_skipping else pipe.flags & ~SKIPPING
        if start:
            self._drop(chunk.count(b"\n", 0, start), start, now)
        if cut > start and any(self._untold):
            self._tell_dropped()
        if cut < len(chunk):
            begun = 0 if cut > start or start or was_skipping else self._drop_tail(pipe)
            self._drop(chunk.count(b"\n", cut), begun + len(chunk) - cut, now)
        return chunk[start:cut]

    def _drop_tail(self, pipe: Pipe) -> int:
        """The line that is under way is dropped: how many bytes of it have come and are not written yet."""
        size, pipe.tail = len(pipe.tail), b""
        self._tails.store(pipe.slot, b"")
        if pipe.flags & OPEN:
            self._end_cut_line(pipe)
        return size

    def _drop(self, lines: int, size: int, now: int) -> None:
        self.log.rate.drop(lines, size, now)
        self._untold = (self._untold[0] + lines, self._untold[1] + size)
        self._tails.store_untold(*self._untold)
        self._tell_later()

    def _tell_later(self) -> None:
        """A service that is silent after it wrote too much is told of too, when the stretch of time is over."""
        if self._telling is None:
            wait_ns = self.log.rate.rest_ns(self.log.now())
            self._telling = self._loop.later(wait_ns / SECOND + 0.001, self._tell_in_time)

    def _tell_in_time(self) -> None:
        self._telling = None
        if any(self._untold) and not self._tell_dropped():
            self._telling = self._loop.later(1, self._tell_in_time)

    def _tell_dropped(self) -> bool:
        """Writes into the log how much was dropped here; False when there is no room."""
        lines, size = self._untold
        limit = f" of {self.log.rate.text}" if self.log.rate.ns else ""
        said = f"[blackhole] {lines} lines ({size} bytes) dropped here: over the rate limit{limit}"
        line = f"{stamp(self.log.now())} stderr F {said}\n".encode()
        if not self.log.write([line], len(line), 0):
            return False
        self._untold = (0, 0)
        self._tails.store_untold(0, 0)
        return True

    # The end

    def drain(self) -> None:
        """The process has exited: takes what it left in the pipes and ends its last lines."""
        for pipe in list(self.pipes):
            for _ in range(DRAIN_TURNS):
                more = self._read(pipe)
                if more is None:
                    self._end(pipe)
                if not more:
                    break
            if pipe in self.pipes:
                self._finish_line(pipe)

    def _finish_line(self, pipe: Pipe) -> None:
        if pipe.flags & SKIPPING:
            pipe.flags &= ~SKIPPING
            self._drop(1, 0, self.log.now())
        if pipe.tail or pipe.flags & OPEN:
            line = f"{stamp(self.log.now())} {pipe.stream} F ".encode() + pipe.tail + b"\n"
            self._write(pipe, [line], len(line), 1)
            pipe.tail = b""
            self._tails.store(pipe.slot, b"")
        self._tails.settle(pipe.slot, pipe.flags)

    def _end(self, pipe: Pipe) -> None:
        self._finish_line(pipe)
        self._loop.unwatch(pipe.fd)
        os.close(pipe.fd)
        self.pipes.remove(pipe)
        if not self.pipes:
            self._close()

    def _close(self) -> None:
        if self._telling:
            self._telling.cancel()
        if any(self._untold) and not self._tell_dropped():
            self.log.lose(self._untold[0])  # then they are told of as lines that are missing, when there is room
        os.close(self._tails.fd)
        self._logs.release(self.log)
        self._on_end()

    def fds(self) -> dict[str, int]:
        """What a successor needs to go on exactly here."""
        return {**{pipe.stream: pipe.fd for pipe in self.pipes}, "tails": self._tails.fd}


def _widen(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return  # a user beyond the system's share of pipe memory keeps the smaller pipe
