"""The systemd journal by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): a datagram an entry.

A value is written as `NAME=value`, or, when it may hold a newline or anything else, as the name, its length and its
bytes. What is larger than a datagram goes in a sealed memfd, handed over beside an empty one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.agent.outbound import tls

from ..model import TAKEN, Outcome, Record, SinkDown
from . import Around
from .rfc5424 import NO_LEVEL, SEVERITIES
from .text import stamp

SEND_SECONDS = 10.0
SETTLE_SECONDS = 1.0
SOCKET_BUFFER = 1 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class JournaldSink:
    """Waits while the journal's queue is full. systemd keeps the socket, and what is in it, while journald restarts."""

    settle_seconds = SETTLE_SECONDS

    def __init__(self, options: Mapping[str, Any], _around: Around) -> None:
        self._path = str(options["path"])
        self.target = self._path
        self._sock: socket.socket | None = None
        self._ino = 0

    def send(self, records: Sequence[Record]) -> Outcome:
        """An entry each."""
        try:
            sock = self._connected()
            for record in records:
                _send(sock, entry(record))
        except OSError as error:
            self._give_up(error)
        return TAKEN

    def check(self) -> bool:
        """Whether the socket is still the one that was written to."""
        try:
            if self._sock is None or Path(self._path).stat().st_ino != self._ino:
                raise ConnectionError("the journal's socket is another one")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                probe.connect(self._path)
        except OSError as error:
            self._give_up(error)
        return True

    def flush(self) -> None:
        """The journal decides itself when it writes to the disk."""

    def close(self) -> bool:
        """What is in the socket's queue is the journal's."""
        try:
            self.check()
        except SinkDown:
            return False
        self._drop()
        return True

    def _connected(self) -> socket.socket:
        if self._sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
                sock.settimeout(SEND_SECONDS)
                sock.connect(self._path)
                self._ino = Path(self._path).stat().st_ino
            except OSError:
                sock.close()
                raise
            self._sock = sock
        return self._sock

    def _give_up(self, error: OSError) -> None:
        self._drop()
        raise SinkDown(tls.explained(error, self._path)) from error

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def entry(record: Record) -> bytes:
    """The fields of one entry. The journal stamps it with the time it came; that of the line is BLACKHOLE_TIME."""
    lines = (
        f"PRIORITY={SEVERITIES.get(record.level, NO_LEVEL)}\nSYSLOG_IDENTIFIER={record.service}\n"
        f"BLACKHOLE_SERVICE={record.service}\nBLACKHOLE_INSTANCE={record.instance}\nBLACKHOLE_STREAM={record.stream}\n"
        f"BLACKHOLE_TIME={stamp(record.time_ns)}\nBLACKHOLE_PLACE={record.place}\n"
    ).encode()
    level = f"BLACKHOLE_LEVEL={record.level}\n".encode() if record.level else b""
    return lines + level + field("MESSAGE", record.text)


def field(name: str, value: bytes) -> bytes:
    """One field whose value may be any bytes."""
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(value)), value)


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.send(data)
    except OSError as error:
        if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
            raise
        _send_memfd(sock, data)


def _send_memfd(sock: socket.socket, data: bytes) -> None:
    fd = os.memfd_create("blackhole-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        done = 0
        while done < len(data):
            done += os.write(fd, memoryview(data)[done:])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        sock.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))])
    finally:
        os.close(fd)
