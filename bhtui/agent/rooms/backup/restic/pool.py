"""Worker processes: forked before any thread begins, each with one socket to the process that gives the work.

A message is a tuple of plain values as marshal writes them, behind four bytes of length. Jobs are answered in order;
a worker may say other things before the answer. A worker ends when its socket does, and is killed with its parent.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import marshal
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from .errors import EngineError

Message = tuple[Any, ...]
Send = Callable[[Message], None]
"""Says something to the process that gives the work. Blocks while that is busy."""
Handler = Callable[[Message], Message]
"""Does one job and answers."""

AHEAD = 2
"""Jobs given to a worker at once, so that it never waits for the next."""
_LENGTH = struct.Struct("<I")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class Pool:
    """Workers and what was asked of them. `make(number, send)` is called in each new worker and gives its handler."""

    def __init__(self, count: int, make: Callable[[int, Send], Handler]) -> None:
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        gc.freeze()  # what is there now stays shared: a collection would write into every page of it
        try:
            for number in range(count):
                self._workers.append(self._begin(number, make))
        except OSError as error:
            self.kill()
            raise EngineError(
                "internal", f"cannot begin worker processes: {error.strerror}; raise the limit of processes"
            ) from error

    def _begin(self, number: int, make: Callable[[int, Send], Handler]) -> _Worker:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                die_with(parent)
                ours.close()
                for other in self._workers:
                    other.socket.close()
                _work(theirs, number, make)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        worker = _Worker(pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def numbers(self) -> range:
        """The numbers of the workers."""
        return range(len(self._workers))

    @property
    def outstanding(self) -> int:
        """Jobs that are not answered yet."""
        return sum(worker.jobs for worker in self._workers)

    def pids(self) -> list[int]:
        """Of the workers."""
        return [worker.pid for worker in self._workers]

    def free(self) -> int | None:
        """The worker with the least to do, if it may have another job."""
        number = min(self.numbers, key=lambda each: self._workers[each].jobs)
        return number if self._workers[number].jobs < AHEAD else None

    def give(self, number: int, job: Message) -> None:
        """A job for one worker."""
        worker = self._workers[number]
        worker.jobs += 1
        raw = marshal.dumps(job)
        worker.unsent += _LENGTH.pack(len(raw)) + raw
        self._send(worker)

    def heard(self, timeout: float) -> Iterator[tuple[int, Message]]:
        """What workers said, after waiting `timeout` seconds at most for the first word. Raises EngineError."""
        for key, events in self._selector.select(timeout):
            worker: _Worker = key.data
            if events & selectors.EVENT_WRITE:
                self._send(worker)
            if events & selectors.EVENT_READ:
                for message in self._received(worker):
                    if message[0] == "answer":
                        worker.jobs -= 1
                    yield self._workers.index(worker), message

    def _send(self, worker: _Worker) -> None:
        try:
            while worker.unsent:
                del worker.unsent[: worker.socket.send(worker.unsent)]
            wanted = selectors.EVENT_READ
        except BlockingIOError:
            wanted = selectors.EVENT_READ | selectors.EVENT_WRITE
        except OSError as error:
            raise self._ended(worker) from error
        if wanted != worker.wanted:
            worker.wanted = wanted
            self._selector.modify(worker.socket, wanted, worker)

    def _received(self, worker: _Worker) -> Iterator[Message]:
        try:
            raw = worker.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            raw = b""
        if not raw:
            raise self._ended(worker)
        worker.unread += raw
        at = 0
        while len(worker.unread) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(worker.unread, at)
            if len(worker.unread) - at - _LENGTH.size < length:
                break
            start = at + _LENGTH.size
            at = start + length
            message: Message = marshal.loads(worker.unread[start:at])  # noqa: S302 - from our own child
            if message[0] == "failed":
                raise EngineError(message[1], message[2])
            yield message
        del worker.unread[:at]

    def _ended(self, worker: _Worker) -> EngineError:
        status = os.waitpid(worker.pid, 0)[1]
        worker.is_reaped = True
        how = (
            f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
            if os.WIFSIGNALED(status)
            else f"ended with code {os.WEXITSTATUS(status)}"
        )
        return EngineError(
            "internal",
            f"cannot go on: a worker process {how}; if memory is short, give the backup more, and run it again",
        )

    def kill(self) -> None:
        """Ends all workers at once; those that have nothing to do lose nothing by it."""
        for worker in self._workers:
            worker.socket.close()
            if not worker.is_reaped:
                os.kill(worker.pid, signal.SIGKILL)
        for worker in self._workers:
            if not worker.is_reaped:
                os.waitpid(worker.pid, 0)
        self._workers = []
        self._selector.close()
        gc.unfreeze()


class _Worker:
    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid, self.socket = pid, connection
        self.jobs = 0
        self.unsent, self.unread = bytearray(), bytearray()
        self.wanted = selectors.EVENT_READ
        self.is_reaped = False


def _work(connection: socket.socket, number: int, make: Callable[[int, Send], Handler]) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide about

    def send(message: Message) -> None:
        raw = marshal.dumps(message)
        connection.sendall(_LENGTH.pack(len(raw)) + raw)

    try:
        handler = make(number, send)
        with connection.makefile("rb") as stream:
            while head := stream.read(_LENGTH.size):
                (length,) = _LENGTH.unpack(head)
                send(("answer", *handler(marshal.loads(stream.read(length)))))  # noqa: S302 - from our own parent
    except (BrokenPipeError, ConnectionResetError):
        return
    except EngineError as error:
        send(("failed", error.code, str(error)))
    except MemoryError:
        send(("failed", "internal", "cannot go on: memory is short; give the backup more"))
    except OSError as error:
        code = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "internal"
        send(("failed", code, f"cannot go on: {error}; free space there, or see the log of the kernel"))
    except Exception as error:  # noqa: BLE001 - said to the parent, which says it to the user
        send(("failed", "internal", f"cannot go on: {error!r} in a worker process; this is a fault of the program"))
