"""Stands between a client and a server, and does what lines do."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Proxy:
    """Passes, refuses whom it does not know, hangs up after so many bytes, trickles, or says nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._there = host, port
        self.answer = b""
        """What is said instead of the server's answer."""
        self.left = -1
        """Bytes to the server until everybody is hung up on, and nobody let in; -1: no limit."""
        self.pace = 0
        """Bytes a second to the server of each connection; 0: as fast as it goes."""
        self.is_mute = False
        """Whether what is sent goes nowhere, and nobody is answered."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(here,), daemon=True).start()

    def _serve(self, here: socket.socket) -> None:
        with here, suppress(OSError):
            if self.answer:
                here.recv(1 << 16)
                here.sendall(self.answer)
                return
            if self.left == 0:
                return
            if self.is_mute:
                while here.recv(1 << 16):
                    pass
                return
            with socket.create_connection(self._there) as there:
                back = threading.Thread(target=self._pump, args=(there, here), daemon=True)
                back.start()
                while (part := here.recv(1 << 16)) and self.left:
                    if self.left > 0:
                        part = part[: self.left]
                        self.left -= len(part)
                    there.sendall(part)
                    time.sleep(len(part) / self.pace if self.pace else 0)
                there.shutdown(socket.SHUT_RDWR)
                back.join(10)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 16):
                target.sendall(part)
