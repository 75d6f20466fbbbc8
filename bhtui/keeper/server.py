"""The keeper's socket: connections, who may have one, and queues that never block the keeper."""

from __future__ import annotations

import os
import socket
import struct
from collections import deque

from bhtui.keeper import wire
from bhtui.keeper.loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_QUEUED = 1024  # packets; a client that reads so little is dropped, what it missed is in `list`
MAX_CLIENTS = 64
PACKETS_PER_TURN = 64


class Client:
    """One connection. `events` tells whether it wants to hear of what happens."""

    def __init__(self, server: Server, sock: socket.socket, events: bool = False) -> None:
        self.sock, self.events, self.open = sock, events, True
        self.pid, self.uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self._server = server
        self._queue: deque[tuple[dict[str, Any], list[int]]] = deque()
        sock.setblocking(False)
        server.loop.watch(sock.fileno(), self._readable)

    def _readable(self) -> None:
        for _ in range(PACKETS_PER_TURN):
            if not self.open or self._server.paused:
                return
            try:
                got = wire.receive(self.sock)
            except BlockingIOError:
                return
            except wire.BadMessage as error:
                text = f"cannot read the message: {error}"
                self.send({"re": None, "error": {"stage": "message", "errno": 0, "text": text}})
                continue
            except OSError:
                got = None
            if got is None:
                self.drop()
                return
            self._server.handle(self, *got)

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        """Sends now or queues; the descriptors stay the caller's. A client that does not keep up is dropped."""
        if not self.open:
            return
        if not self._queue and self._try(message, fds or []):
            return
        if self.open and len(self._queue) >= MAX_QUEUED:
            self.drop()
        if self.open:
            self._queue.append((message, [os.dup(fd) for fd in fds or ()]))
            self._server.loop.rewatch(self.sock.fileno(), self._ready, events=READ | WRITE)

    def _try(self, message: dict[str, Any], fds: list[int]) -> bool:
        try:
            wire.send(self.sock, message, fds)
        except BlockingIOError:
            return False
        except OSError:
            self.drop()
        return True

    def _ready(self) -> None:
        while self._queue and self._try(*self._queue[0]):
            if not self.open:
                return
            wire.close_all(self._queue.popleft()[1])
        if not self._queue:
            self._server.loop.rewatch(self.sock.fileno(), self._readable, events=READ)
        self._readable()

    @property
    def is_idle(self) -> bool:
        """Whether everything it was sent has left."""
        return self.open and not self._queue

    def drop(self) -> None:
        """Ends the connection."""
        if self.open:
            self.open = False
            self._server.loop.unwatch(self.sock.fileno())
            self.sock.close()
            self._server.clients.discard(self)
            while self._queue:
                wire.close_all(self._queue.popleft()[1])


class Server:
    """Listens, checks who connects, and passes each message with its descriptors to `on_message`."""

    def __init__(
        self, loop: Loop, listener: socket.socket, on_message: Callable[[Client, dict[str, Any], list[int]], None]
    ) -> None:
        self.loop, self.listener = loop, listener
        self.clients: set[Client] = set()
        self.paused = False
        self._on_message = on_message
        listener.setblocking(False)
        loop.watch(listener.fileno(), self._accept)

    def listen_at(self, listener: socket.socket) -> None:
        """Listens there instead; connections stay."""
        self.loop.unwatch(self.listener.fileno())
        self.listener.close()
        self.listener = listener
        listener.setblocking(False)
        self.loop.watch(listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return  # it went away again, or there are no descriptors left: the next turn tries again
        self.take(sock)

    def take(self, sock: socket.socket, events: bool = False) -> Client | None:
        """Makes a connection a client if its peer is this user or root and there is room."""
        client = Client(self, sock, events)
        self.clients.add(client)
        if client.uid not in (0, os.geteuid()) or len(self.clients) > MAX_CLIENTS:
            client.drop()
            return None
        return client

    def handle(self, client: Client, message: dict[str, Any], fds: list[int]) -> None:
        """Hands a message on; descriptors that nobody took are closed."""
        try:
            self._on_message(client, message, fds)
        finally:
            wire.close_all(fds)

    def tell(self, event: dict[str, Any]) -> None:
        """Sends an event to every client that wants events."""
        for client in list(self.clients):
            if client.events:
                client.send(event)


def listen(path: str) -> socket.socket:
    """A listening socket of that path, mode 0600. The caller holds the lock that makes removing an old one safe."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(path)  # the umask of the keeper makes it 0600
        os.chmod(path, 0o600)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener
