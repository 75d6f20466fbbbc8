"""Syslog by UDP (RFC 5426), TCP with octet counting (RFC 6587), TLS (RFC 5425), and a Unix socket.

None of them tells when a message has arrived. So what was sent counts as received after a while in which the connection
stayed and, for TCP, the other side's kernel had acknowledged it; when the connection breaks everything since then is
sent again. UDP can lose without a sign: only a port that nobody listens on is noticed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import ssl
import struct
import termios
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from bhtui.agent.outbound import tls

from ..model import TAKEN, Outcome, Record, SinkDown
from . import Around
from .rfc5424 import Format

CONNECT_SECONDS = SEND_SECONDS = 10.0
CLOSE_SECONDS = 1.0
SETTLE_SECONDS = 5.0
USER_TIMEOUT_MS = 20_000
"""After so long without an acknowledgement the kernel gives a TCP connection up."""
UDP_BURST, UDP_PAUSE = 10, 0.002
"""Datagrams sent at once, and seconds before the next: more than 5,000 a second overrun the socket of a receiver that
is not scheduled for a moment, and nobody would know."""
REFUSED_SECONDS = 0.05
"""How long a host needs to say that nobody listens on a port."""
SOCKET_BUFFER = 1 << 20


class Wire(Protocol):
    """A connection that is there. Every method raises OSError when it is lost."""

    def send(self, messages: Sequence[bytes]) -> None: ...

    def check(self) -> bool: ...

    def finish(self) -> bool: ...

    def drop(self) -> None: ...


class SyslogSink:
    """Formats, and keeps one connection."""

    settle_seconds = SETTLE_SECONDS

    def __init__(self, options: Mapping[str, Any], around: Around) -> None:
        address, protocol = str(options["address"]), str(options["protocol"])
        self._options, self._path = options, address.removeprefix("unix:") if address.startswith("unix:") else ""
        self._protocol = "unix" if self._path else protocol
        self.target = f"{self._protocol} {self._path or address}"
        host, _, port = address.rpartition(":")
        self._place = (host.strip("[]"), int(port)) if not self._path else ("", 0)
        self._format = Format(options, around.host)
        self._wire: Wire | None = None
        self._was_refused = False

    def send(self, records: Sequence[Record]) -> Outcome:
        """All of them, as one or more messages each."""
        messages = [message for record in records for message in self._format.messages(record)]
        try:
            if self._wire is None:
                self._wire = self._connect()
                if self._was_refused and self._protocol == "udp":
                    messages = self._try_first(messages)
            self._wire.send(messages)
            self._was_refused = False
        except OSError as error:
            self._give_up(error)
        return TAKEN

    def _try_first(self, messages: list[bytes]) -> list[bytes]:
        """Where nobody listened before one datagram is enough to learn whether somebody does now; the others."""
        assert self._wire is not None
        self._wire.send(messages[:1])
        time.sleep(REFUSED_SECONDS)
        self._wire.check()
        return messages[1:]

    def check(self) -> bool:
        """Whether the connection is still there and what was sent is acknowledged."""
        try:
            if self._wire is None:
                raise ConnectionError("the connection was lost")
            return self._wire.check()
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Nothing that can be done."""

    def close(self) -> bool:
        """True where the other side has said that it has read everything, or there is no sign that it has not."""
        if self._wire is None:
            return False
        try:
            return self._wire.finish()
        except OSError:
            return False
        finally:
            self._drop()

    def _give_up(self, error: OSError) -> NoReturn:
        self._drop()
        self._was_refused = True
        raise SinkDown(tls.explained(error, self.target)) from error

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.drop()
            self._wire = None

    def _connect(self) -> Wire:
        if self._protocol == "unix":
            return unix_wire(self._path)
        kind = socket.SOCK_DGRAM if self._protocol == "udp" else socket.SOCK_STREAM
        if kind == socket.SOCK_DGRAM:
            return _Datagrams(_udp(*self._place), UDP_BURST)
        sock = socket.create_connection(self._place, CONNECT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
        sock.settimeout(SEND_SECONDS)
        if self._protocol != "tls":
            return _Stream(sock)
        settings = self._options["tls"]
        try:
            name = settings.get("server_name") or self._place[0]
            return _Stream(tls.context(settings).wrap_socket(sock, server_hostname=name))
        except BaseException:
            sock.close()
            raise


def _udp(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, kind)
    sock.connect(address)
    sock.settimeout(SEND_SECONDS)
    return sock


class _Stream:
    """A byte stream with each message's length before it; TLS or not."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._is_tcp = sock.family != socket.AF_UNIX and _has_counts(sock)
        self._sent: deque[tuple[float, int]] = deque()
        """When each batch was sent, and the count of acknowledged bytes that says that it has arrived."""

    def send(self, messages: Sequence[bytes]) -> None:
        self._must_be_open()
        data = memoryview(b"".join([b"%d %s" % (len(message), message) for message in messages]))
        while data:  # sendall would have one deadline for all of it, which a slow receiver may need longer for
            data = data[self._sock.send(data) :]
        if self._is_tcp:
            self._sent.append((time.monotonic(), _acknowledged(self._sock) + _queued(self._sock)))

    def check(self) -> bool:
        self._must_be_open()
        if not self._is_tcp:
            return True
        due, acknowledged = time.monotonic() - SETTLE_SECONDS, _acknowledged(self._sock)
        while self._sent and self._sent[0][1] <= acknowledged:
            self._sent.popleft()
        return not self._sent or self._sent[0][0] > due

    def _must_be_open(self) -> None:
        # A syslog server says nothing; what can be read is the end, or an error, or TLS talking to itself.
        if not select.select([self._sock], [], [], 0)[0]:
            return
        self._sock.settimeout(0)
        try:
            if self._sock.recv(4096) == b"":
                raise ConnectionError("it has closed the connection")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self._sock.settimeout(SEND_SECONDS)

    def finish(self) -> bool:
        """Says that nothing more comes; a server that closes then has read everything."""
        self._sock.settimeout(CLOSE_SECONDS)
        if isinstance(self._sock, ssl.SSLSocket):
            with contextlib.suppress(ssl.SSLError):
                self._sock.unwrap()
        self._sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + CLOSE_SECONDS
        while time.monotonic() < deadline:
            if self._sock.recv(4096) == b"":
                return not (self._is_tcp and _queued(self._sock))
        return False

    def drop(self) -> None:
        self._sock.close()


def _has_counts(sock: socket.socket) -> bool:
    """Whether this kernel counts acknowledged bytes: Linux 4.1 and later."""
    return len(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)) == 128


def _acknowledged(sock: socket.socket) -> int:
    """Bytes that the other side's kernel has acknowledged: tcpi_bytes_acked of struct tcp_info."""
    return int(struct.unpack_from("Q", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128), 120)[0])


def _queued(sock: socket.socket) -> int:
    """Bytes that were sent and that it has not acknowledged."""
    return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])


class _Datagrams:
    """A message each; `burst` 0: the kernel makes the sender wait, so nothing has to be paced."""

    def __init__(self, sock: socket.socket, burst: int, path: str = "") -> None:
        self._sock, self._burst, self._path = sock, burst, path
        self._ino = os.stat(path).st_ino if path else 0  # noqa: PTH116

    def send(self, messages: Sequence[bytes]) -> None:
        for number, message in enumerate(messages, 1):
            self._sock.send(message)
            if self._burst and number % self._burst == 0:
                time.sleep(UDP_PAUSE)

    def check(self) -> bool:
        if self._path:
            self._must_be_the_same()
        elif error := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        return True

    def _must_be_the_same(self) -> None:
        """Whoever bound the path is still there: another one has none of what the first had not read."""
        if Path(self._path).stat().st_ino != self._ino:
            raise ConnectionError("another program has taken the socket over")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(self._path)

    def finish(self) -> bool:
        self.check()
        return True

    def drop(self) -> None:
        self._sock.close()


def unix_wire(path: str) -> Wire:
    """A datagram socket as /dev/log is, or a stream socket. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        sock.settimeout(SEND_SECONDS)
        sock.connect(path)
        return _Datagrams(sock, 0, path)
    except OSError as error:
        sock.close()
        if error.errno != errno.EPROTOTYPE:  # that says: it is a stream
            raise
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(SEND_SECONDS)
        stream.connect(path)
    except OSError:
        stream.close()
        raise
    return _Stream(stream)
