"""Moves the output of one process from its pipes into its log file.

A chunk is stamped once, when it is read, and the prefix goes in by `bytes.replace`: that is what makes it fast. The
unfinished tail of a chunk waits for its newline; a tail over `MAX_TAIL` bytes is written as a partial line (P).
"""

from __future__ import annotations

import fcntl
import os

from bhtui.keeper.logfile import NO_ROOM, LogFile, stamp
from bhtui.keeper.loop import DATA, Loop, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK = 1 << 17  # bytes read from one pipe in one turn
PIPE_BYTES = 1 << 20  # asked of the kernel: what a service may write while the keeper is being replaced
MAX_TAIL = 16 << 10
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

    __slots__ = ("fd", "stream", "tail")

    def __init__(self, stream: str, fd: int, tail: bytes = b"") -> None:
        self.stream, self.fd, self.tail = stream, fd, tail


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

    def __init__(self, loop: Loop, logs: Logs, log: LogFile, pipes: list[Pipe], on_end: Callable[[], None]) -> None:
        self.log, self.pipes = log, pipes
        self._loop, self._logs, self._on_end = loop, logs, on_end
        log.users += 1
        for pipe in pipes:
            os.set_blocking(pipe.fd, False)
            _widen(pipe.fd)
            loop.watch(pipe.fd, lambda pipe=pipe: self._turn(pipe), rank=DATA)  # type: ignore[misc]

    def _turn(self, pipe: Pipe) -> None:
        if self._read(pipe) is None:
            self._end(pipe)

    def _read(self, pipe: Pipe) -> bool | None:
        """Moves one chunk: True when there was one, False when the pipe is empty for now, None at its end."""
        try:
            chunk = os.read(pipe.fd, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            return None
        head = f"{stamp(self.log.now())} {pipe.stream} F ".encode()
        parts, size, lines, pipe.tail = frame(pipe.tail, chunk, head)
        if size:
            self._write(parts, size, lines)
        return True

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
            pipe.tail = b""
            self._write([line], len(line), 1)

    def _end(self, pipe: Pipe) -> None:
        self._finish_line(pipe)
        self._loop.unwatch(pipe.fd)
        os.close(pipe.fd)
        self.pipes.remove(pipe)
        if not self.pipes:
            self._logs.release(self.log)
            self._on_end()

    def dump(self) -> dict[str, Any]:
        """What an upgraded keeper needs to go on exactly here."""
        pipes = [{"stream": pipe.stream, "fd": pipe.fd, "tail": pipe.tail.decode("latin-1")} for pipe in self.pipes]
        return {"log": self.log.path, "pipes": pipes}


def load_pipes(state: dict[str, Any]) -> list[Pipe]:
    """The pipes of a dumped capture."""
    return [Pipe(pipe["stream"], pipe["fd"], pipe["tail"].encode("latin-1")) for pipe in state["pipes"]]


def _widen(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return  # a user beyond the system's share of pipe memory keeps the smaller pipe
