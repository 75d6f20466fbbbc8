"""Packets of the keeper's socket: one JSON object each, file descriptors beside it.

The socket is `SOCK_SEQPACKET`, so a packet is a message and nothing has to be framed. A body over `MAX_PACKET` bytes
(a huge environment, say) travels in a memfd: the packet is then the single byte `@` and the memfd its first descriptor.
"""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False  # importing typing would cost the keeper 0.7 MB
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Message = dict[str, Any]

MAX_PACKET = 60_000
MAX_BODY = 8 << 20
MAX_FDS = 16
IN_MEMFD = b"@"


class BadMessage(ValueError):
    """What came is not a message of this protocol; the connection itself is still good."""


def encode(message: Message) -> bytes:
    """The body of a packet. Strings may carry undecodable bytes as Python's surrogate escapes."""
    return json.dumps(message, separators=(",", ":")).encode()


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Sends one packet; raises BlockingIOError when a non-blocking socket is full, OSError when it is closed."""
    body = encode(message)
    if len(body) <= MAX_PACKET:
        _send(sock, body, fds)
        return
    memfd = os.memfd_create("message", os.MFD_CLOEXEC)
    try:
        write_all(memfd, body)
        os.lseek(memfd, 0, os.SEEK_SET)
        _send(sock, IN_MEMFD, [memfd, *fds])
    finally:
        os.close(memfd)


def _send(sock: socket.socket, body: bytes, fds: Sequence[int]) -> None:
    if fds:
        socket.send_fds(sock, [body], list(fds), socket.MSG_NOSIGNAL)
    else:
        sock.send(body, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message with its descriptors (close-on-exec, owned by the caller), or None at the connection's end."""
    body, fds, flags, _ = socket.recv_fds(sock, MAX_PACKET + 1, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
    if not body:
        close_all(fds)
        return None
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise BadMessage("the packet is larger than the protocol allows")
        if body == IN_MEMFD:
            body = _read_memfd(fds)
        return _decode(body), fds
    except BadMessage:
        close_all(fds)
        raise


def _read_memfd(fds: list[int]) -> bytes:
    if not fds:
        raise BadMessage("a packet promises a memfd and carries none")
    memfd = fds.pop(0)
    try:
        size = os.fstat(memfd).st_size
        if size > MAX_BODY:
            raise BadMessage(f"the message has {size} bytes, the most is {MAX_BODY}")
        return os.pread(memfd, size, 0)
    except OSError as error:
        raise BadMessage(f"cannot read the body of the message: {error.strerror}") from error
    finally:
        os.close(memfd)


def _decode(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise BadMessage("not a JSON object")
    return message


def close_all(fds: Iterable[int]) -> None:
    """Closes descriptors that are known to be open."""
    for fd in fds:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Writes all of data or raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
