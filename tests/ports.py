"""Ports for programs that tests start: no two processes of tests are ever given the same one.

A port that was asked of the kernel (port 0) and closed again may be given to anybody before the program under test
listens on it, and tests run beside each other. So each process takes a block of ports for itself, below those the
kernel gives to clients (`ip_local_port_range`, from 32768), and never gives one out twice.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

FIRST, END, BLOCK = 20_000, 32_000, 100

_held = ExitStack()  # the locks of our blocks; the kernel takes them back when this process ends
_next = _end = 0


def free_port() -> int:
    """A port that nobody listens on, and that no other test gets."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many in a row. Raises OSError when there is no block left."""
    global _next, _end
    while True:
        if _end - _next < count:
            _next, _end = _block()
        first, _next = _next, _next + count
        if all(map(_is_free, range(first, first + count))):
            return first


def _block() -> tuple[int, int]:
    folder = Path(tempfile.gettempdir()) / f"bh-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for first in range(FIRST, END, BLOCK):
        lock = (folder / str(first)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.enter_context(lock)
        return first, first + BLOCK
    raise OSError(f"every block of ports from {FIRST} to {END} is held by a test that runs")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
