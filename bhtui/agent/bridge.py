"""Joins its standard input and output to a Unix socket: `python bridge.py SOCKET`. Standard library only.

For hosts whose sshd forwards no sockets: the console runs this as a command instead. Exit code 3: nobody answers.
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def main(path: str) -> int:
    """Copies both ways until both sides have ended."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
    except OSError as error:
        sys.stderr.write(f"bridge: cannot reach the agent at {path}: {error.strerror}\n")
        return 3
    # A byte before everything tells the console that the agent answered, before it lets its client speak.
    sys.stdout.buffer.write(b"+")
    sys.stdout.buffer.flush()
    inward = threading.Thread(target=_inward, args=(sock,), daemon=True)
    inward.start()
    try:
        while data := sock.recv(1 << 16):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    except (BrokenPipeError, ConnectionResetError):
        return 1
    return 0


def _inward(sock: socket.socket) -> None:
    try:
        while data := os.read(0, 1 << 16):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        sock.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
