"""Moves the output of one process from its pipes into its log file.

A chunk is stamped once, when it is read, and the prefix goes in by `bytes.replace`: that is what makes it fast. The
unfinished tail of a chunk waits for its newline; a tail over `MAX_TAIL` bytes is written as a partial line (P).

Tails are also in a memfd that the agent holds too, beside a flag that says whether a chunk was being moved. So whoever
succeeds a killed keeper goes on in the middle of a line, and knows whether anything can be missing.
"""

from __future__ import annotations

import fcntl
import os

from bhtui.keeper.logfile import NO_ROOM, LogFile, stamp
from bhtui.keeper.loop import DATA, Loop, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 17  # bytes read from one pipe in one turn
PIPE_BYTES = 1 << 20  # asked of the kernel: what a service may write while the keeper is being replaced
MAX_TAIL = 16 << 10
SLOTS = {"stdout": 0, "stderr": 5 + MAX_TAIL}
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
    """The read end of stdout or stderr of a process."""

    __slots__ = ("fd", "slot", "stream", "tail")

    def __init__(self, stream: str, fd: int) -> None:
        self.stream, self.fd, self.tail = stream, fd, b""
        self.slot = SLOTS[stream]


class Tails:
    """The memfd of one process. Each pipe has a slot: one byte (1 while a chunk is being moved), length, tail."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd if fd >= 0 else os.memfd_create("tails", os.MFD_CLOEXEC)

    def begin(self, slot: int) -> None:
        """A chunk leaves the pipe now."""
        os.pwrite(self.fd, b"\1", slot)

    def settle(self, slot: int) -> None:
        """It has arrived in the log."""
        os.pwrite(self.fd, b"\0", slot)

    def store(self, slot: int, tail: bytes) -> None:
        """What is left of it."""
        os.pwrite(self.fd, len(tail).to_bytes(4, "big") + tail, slot + 1)

    def load(self, slot: int) -> bytes | None:
        """What was left, or None when a chunk was on its way."""
        head = os.pread(self.fd, 5, slot)
        if head[:1] == b"\1":
            return None
        return os.pread(self.fd, min(int.from_bytes(head[1:], "big"), MAX_TAIL), slot + 5)


class Logs:
    """The open log files by path: whoever writes to a path shares one file, so that rotation has one owner."""

    def __init__(self, loop: Loop) -> None:
        self.by_path: dict[str, LogFile] = {}
        self._loop = loop
        self._retry: Timer | None = None

    def take(self, path: str, max_bytes: int, max_age_s: float, keep: int) -> LogFile:
        """The file of that path, open. A full disk stops no service from starting; any other OSError is raised."""
        log = self.by_path.get(path)
        if log is not None:
            log.limit(max_bytes, max_age_s, keep)
            return log
        log = LogFile(path, max_bytes, max_age_s, keep)
        try:
            log.open()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        self.by_path[path] = log
        return log

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
        log.users += 1
        for pipe in self.pipes:
            tail = self._tails.load(pipe.slot)
            self.complete &= tail is not None
            pipe.tail = tail or b""
            self._tails.store(pipe.slot, pipe.tail)
            self._tails.settle(pipe.slot)
            os.set_blocking(pipe.fd, False)
            _widen(pipe.fd)
            loop.watch(pipe.fd, lambda pipe=pipe: self._turn(pipe), rank=DATA)  # type: ignore[misc]

    def _turn(self, pipe: Pipe) -> None:
        if self._read(pipe) is None:
            self._end(pipe)

    def _read(self, pipe: Pipe) -> bool | None:
        """Moves one chunk: True when there was one, False when the pipe is empty for now, None at its end."""
        self._tails.begin(pipe.slot)
        try:
            chunk = os.read(pipe.fd, CHUNK)
        except BlockingIOError:
            self._tails.settle(pipe.slot)
            return False
        if chunk:
            self._move(pipe, chunk)
        self._tails.settle(pipe.slot)
        return True if chunk else None

    def _move(self, pipe: Pipe, chunk: bytes) -> None:
        head = f"{stamp(self.log.now())} {pipe.stream} F ".encode()
        parts, size, lines, tail = frame(pipe.tail, chunk, head)
        if size:
            self._write(parts, size, lines)
        if tail or pipe.tail:
            self._tails.store(pipe.slot, tail)
        pipe.tail = tail

    def _write(self, parts: list[bytes | memoryview], size: int, lines: int) -> None:
        self.log.write(parts, size, lines)
        if self.log.lost:
            self._logs.remember_loss()

    def drain(self) -> None:
        """The process has exited: takes what it left in the pipes and ends its last lines."""
        for pipe in list(self.pipes):
            for _ in range(DRAIN_TURNS):
                more = self._read(pipe)
                if more is None:
                    self._end(pipe)
                if not more:
                    break
            self._finish_line(pipe)

    def _finish_line(self, pipe: Pipe) -> None:
        if pipe.tail:
            line = f"{stamp(self.log.now())} {pipe.stream} F ".encode() + pipe.tail + b"\n"
            self._write([line], len(line), 1)
            pipe.tail = b""
            self._tails.store(pipe.slot, b"")

    def _end(self, pipe: Pipe) -> None:
        self._finish_line(pipe)
        self._loop.unwatch(pipe.fd)
        os.close(pipe.fd)
        self.pipes.remove(pipe)
        if not self.pipes:
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
