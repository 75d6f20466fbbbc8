"""One SFTP connection over the pipes of an `ssh` process. Requests of several threads are under way together."""

from __future__ import annotations

import struct
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from contextlib import suppress
from dataclasses import dataclass

VERSION = 3
NO_SUCH_FILE, PERMISSION_DENIED, BAD_MESSAGE = 2, 3, 5
_EOF = 1
_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE, _OPENDIR, _READDIR, _REMOVE, _MKDIR, _STAT, _RENAME = (
    1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 17, 18,
)  # fmt: skip
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED, _EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
_FLAG_READ, _FLAG_WRITE, _FLAG_CREATE, _FLAG_EXCLUSIVE = 1, 2, 8, 32
_ATTR_SIZE, _ATTR_OWNER, _ATTR_MODE, _ATTR_TIMES, _ATTR_EXTENDED = 1, 2, 4, 8, 0x80000000
PART = 32_000
"""Bytes of one read or write: what every server takes."""
AHEAD = 64
"""Requests of one file that are under way together: 2 MiB, enough for 100 ms at 20 MB/s."""
ANSWER = 60.0
"""Seconds after which a connection is given up."""
MAX_PACKET = 1 << 20


class Lost(Exception):
    """The connection is gone; the text says why."""


class Status(Exception):
    """The other side refused one request."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(slots=True)
class Reader:
    """Takes values from a packet. A packet that is too short is a struct.error."""

    raw: bytes
    at: int = 0

    def number(self, form: str = ">I") -> int:
        """An unsigned number."""
        (value,) = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def string(self) -> bytes:
        """Bytes with their length before them."""
        length = self.number()
        if self.at + length > len(self.raw):
            raise struct.error("a string is longer than its packet")
        self.at += length
        return self.raw[self.at - length : self.at]

    def attributes(self) -> tuple[int, int]:
        """Mode and size."""
        flags, mode, size = self.number(), 0, 0
        if flags & _ATTR_SIZE:
            size = self.number(">Q")
        if flags & _ATTR_OWNER:
            self.at += 8
        if flags & _ATTR_MODE:
            mode = self.number()
        if flags & _ATTR_TIMES:
            self.at += 8
        if flags & _ATTR_EXTENDED:
            for _ in range(self.number() * 2):
                self.string()
        return mode, size


Answer = tuple[int, Reader]


class Session:
    """Starts `argv` and speaks SFTP with it. Raises Lost when it cannot. Every call may raise Lost or Status."""

    def __init__(self, argv: list[str]) -> None:
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except FileNotFoundError as error:
            raise Lost("there is no `ssh` on this host; install OpenSSH's client") from error
        assert self._process.stdin
        assert self._process.stdout
        self._out, self._in = self._process.stdin, self._process.stdout
        self._waiting: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()
        self._next, self._why = 0, ""
        self._errors = deque[str](maxlen=5)
        self._said = threading.Thread(target=self._listen_to_errors, daemon=True, name="ssh errors")
        self._said.start()
        watchdog = threading.Timer(ANSWER, self._process.kill)
        watchdog.start()
        try:
            with suppress(Lost):  # what ended already may have said why
                self._send(_INIT, struct.pack(">I", VERSION))
            kind, _ = self._receive()
            if kind != _VERSION:
                raise Lost("the other side does not speak SFTP")
        except (Lost, struct.error) as error:
            self.close()
            raise Lost(self._explain(str(error))) from error
        finally:
            watchdog.cancel()
        self._thread = threading.Thread(target=self._listen, daemon=True, name="sftp")
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether no answer can come any more."""
        return bool(self._why)

    def close(self) -> None:
        """Ends the process."""
        self._why = self._why or "it was closed"
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def read(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file; `length` -1: to its end."""
        handle = self._handle(_OPEN, _string(path) + struct.pack(">II", _FLAG_READ, 0))
        try:
            if length < 0:
                kind, answer = self._ask(8, _string(handle))  # SSH_FXP_FSTAT
                length = max(_expect(kind, answer, _ATTRS).attributes()[1] - offset, 0)
            return b"".join(self._read(handle, offset, offset + length))
        finally:
            self._close_handle(handle)

    def write(self, path: str, parts: Iterable[bytes]) -> None:
        """A new file, on disk when this returns (where the server can say so)."""
        flags = _FLAG_WRITE | _FLAG_CREATE | _FLAG_EXCLUSIVE
        handle = self._handle(_OPEN, _string(path) + struct.pack(">III", flags, _ATTR_MODE, 0o600))
        try:
            under_way: deque[Future[Answer]] = deque()
            offset = 0
            for part in parts:
                for at in range(0, len(part), PART):
                    piece = part[at : at + PART]
                    under_way.append(self._begin(_WRITE, _string(handle) + struct.pack(">Q", offset) + _string(piece)))
                    offset += len(piece)
                    if len(under_way) >= AHEAD:
                        self._ok(under_way.popleft())
            while under_way:
                self._ok(under_way.popleft())
            with suppress(Status):  # an old server knows no fsync
                self._ok(self._begin(_EXTENDED, _string("fsync@openssh.com") + _string(handle)))
        finally:
            self._close_handle(handle)

    def entries(self, path: str) -> Iterator[tuple[str, int, int]]:
        """Name, mode and size of what is in a folder."""
        handle = self._handle(_OPENDIR, _string(path))
        try:
            while True:
                kind, answer = self._ask(_READDIR, _string(handle))
                if kind == _STATUS and _status(answer).code == _EOF:
                    return
                for _ in range(_expect(kind, answer, _NAME).number()):
                    name, _long = answer.string(), answer.string()
                    mode, size = answer.attributes()
                    if name not in (b".", b".."):
                        yield name.decode("utf-8", "surrogateescape"), mode, size
        finally:
            self._close_handle(handle)

    def mkdir(self, path: str, mode: int) -> None:
        """A folder."""
        self._ok(self._begin(_MKDIR, _string(path) + struct.pack(">II", _ATTR_MODE, mode)))

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        kind, answer = self._ask(_STAT, _string(path))
        return kind == _ATTRS and answer.attributes()[0] & 0o170000 == 0o040000

    def rename(self, old: str, new: str) -> None:
        """Refused when the new name exists."""
        self._ok(self._begin(_RENAME, _string(old) + _string(new)))

    def replace(self, old: str, new: str) -> None:
        """In one step, whatever had the new name."""
        self._ok(self._begin(_EXTENDED, _string("posix-rename@openssh.com") + _string(old) + _string(new)))

    def remove(self, path: str) -> None:
        """A file."""
        self._ok(self._begin(_REMOVE, _string(path)))

    def try_remove(self, path: str) -> None:
        """A file of ours that is of no use any more; the next run's leftovers are harmless."""
        with suppress(Status, Lost):
            self.remove(path)

    def free_bytes(self, path: str) -> int | None:
        """Free space for this user; None: the server cannot say."""
        try:
            kind, answer = self._ask(_EXTENDED, _string("statvfs@openssh.com") + _string(path))
            if kind != _EXTENDED_REPLY:
                return None
            _size, fragment, _blocks, _free, available = (answer.number(">Q") for _ in range(5))
        except (Lost, struct.error):
            return None
        return fragment * available

    def _read(self, handle: bytes, offset: int, end: int) -> Iterator[bytes]:
        under_way: deque[tuple[int, int, Future[Answer]]] = deque()
        while offset < end or under_way:
            while offset < end and len(under_way) < AHEAD:
                size = min(PART, end - offset)
                asked = self._begin(_READ, _string(handle) + struct.pack(">QI", offset, size))
                under_way.append((offset, size, asked))
                offset += size
            at, size, future = under_way.popleft()
            kind, answer = self._wait(future)
            if kind == _STATUS and _status(answer).code == _EOF:
                return
            part = _expect(kind, answer, _DATA).string()
            yield part
            if len(part) < size:  # the server gave less than was asked: ask for the rest at once, in order
                rest = struct.pack(">QI", at + len(part), size - len(part))
                under_way.appendleft((at + len(part), size - len(part), self._begin(_READ, _string(handle) + rest)))

    def _handle(self, kind: int, payload: bytes) -> bytes:
        got, answer = self._ask(kind, payload)
        return _expect(got, answer, _HANDLE).string()

    def _close_handle(self, handle: bytes) -> None:
        if not self.is_lost:
            with suppress(Lost):
                self._ask(_CLOSE, _string(handle))

    def _ask(self, kind: int, payload: bytes) -> Answer:
        return self._wait(self._begin(kind, payload))

    def _ok(self, future: Future[Answer]) -> None:
        kind, answer = self._wait(future)
        status = _status(_expect(kind, answer, _STATUS, refuse=False))
        if status.code:
            raise status

    def _wait(self, future: Future[Answer]) -> Answer:
        try:
            return future.result(ANSWER)
        except TooLong as error:
            self._fail(f"no answer for {ANSWER:g} s")
            raise Lost(self._why) from error

    def _begin(self, kind: int, payload: bytes) -> Future[Answer]:
        future: Future[Answer] = Future()
        with self._lock:
            if self._why:
                raise Lost(self._why)
            self._next += 1
            number = self._next
            self._waiting[number] = future
            self._send(kind, struct.pack(">I", number) + payload)
        return future

    def _send(self, kind: int, payload: bytes) -> None:
        packet = memoryview(struct.pack(">IB", len(payload) + 1, kind) + payload)
        try:
            while packet:
                packet = packet[self._out.write(packet) :]
        except (OSError, ValueError) as error:
            raise Lost(self._explain("the connection ended")) from error

    def _receive(self) -> Answer:
        (length,) = struct.unpack(">I", self._exactly(4))
        if not 1 <= length <= MAX_PACKET:
            raise Lost("the answer is not SFTP; does the login print something?")
        raw = self._exactly(length)
        return raw[0], Reader(raw, 1)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._in.read(size - len(found))
            if not part:
                raise Lost("the connection ended")
            found += part
        return found

    def _listen(self) -> None:
        try:
            while True:
                kind, answer = self._receive()
                if future := self._waiting.pop(answer.number(), None):
                    future.set_result((kind, answer))
        except (Lost, OSError, ValueError, struct.error) as error:
            self._fail(self._explain(str(error)))

    def _fail(self, why: str) -> None:
        with self._lock:
            self._why = self._why or why
            waiting, self._waiting = list(self._waiting.values()), {}
        self._process.kill()
        for future in waiting:
            future.set_exception(Lost(self._why))

    def _explain(self, otherwise: str) -> str:
        """What `ssh` said of it, when it said something."""
        self._said.join(1.0)
        return "; ".join(self._errors) or otherwise

    def _listen_to_errors(self) -> None:
        assert self._process.stderr
        with self._process.stderr as pipe:
            for line in iter(pipe.readline, b""):
                if text := line.decode("utf-8", "replace").strip():
                    self._errors.append(text[:300])


def _string(value: str | bytes) -> bytes:
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return struct.pack(">I", len(raw)) + raw


def _status(answer: Reader) -> Status:
    code = answer.number()
    message = answer.string().decode("utf-8", "replace") if answer.at < len(answer.raw) else ""
    return Status(code, message)


def _expect(kind: int, answer: Reader, wanted: int, refuse: bool = True) -> Reader:
    """The answer, when it is of the kind that was asked for."""
    if kind == wanted:
        return answer
    if kind == _STATUS and refuse:
        raise _status(answer)
    raise Status(BAD_MESSAGE, f"an answer of kind {kind}")
