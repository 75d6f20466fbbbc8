"""One connection to the keeper's socket: requests matched with answers, events passed on. It ends with the keeper."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from bhtui.agent.keeper.model import KeeperError, KeeperLost
from bhtui.keeper import wire

Answer = tuple[dict[str, Any], list[int]]
OnEvent = Callable[[dict[str, Any], list[int]], None]
PACKETS_PER_TURN = 64


class Link:
    """`on_event` gets every packet that answers no waiting request, with descriptors it then owns; `on_end` is called
    once, when the keeper has closed the connection."""

    def __init__(self, sock: socket.socket, on_event: OnEvent, on_end: Callable[[], None]) -> None:
        self._sock, self._on_event, self._on_end = sock, on_event, on_end
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Answer], list[Answer]]] = {}
        self._sending = asyncio.Lock()
        self._may_write = asyncio.Event()
        self.is_open = True
        self._peer = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self._loop.add_reader(sock.fileno(), self._read)

    @classmethod
    async def open(cls, path: str, on_event: OnEvent, on_end: Callable[[], None]) -> Link:
        """Connects; raises OSError."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        return cls(sock, on_event, on_end)

    async def ask(self, op: str, fields: dict[str, Any], fds: Sequence[int], timeout: float) -> Answer:
        """The answer, with descriptors that the caller owns. Raises KeeperError, or KeeperLost after the timeout."""
        [*_, answer] = await self.ask_many(op, fields, fds, timeout)
        return answer

    async def ask_many(self, op: str, fields: dict[str, Any], fds: Sequence[int], timeout: float) -> list[Answer]:
        """All packets of an answer that has several (those with a `process`, then the last)."""
        id_ = next(self._ids)
        future: asyncio.Future[Answer] = self._loop.create_future()
        parts: list[Answer] = []
        self._waiting[id_] = future, parts
        try:
            async with asyncio.timeout(timeout):
                await self._send({"op": op, "id": id_, **fields}, fds)
                last = await future
        except TimeoutError:
            raise KeeperLost(
                f"cannot {op}: the keeper, process {self._peer}, does not answer (within {timeout:g} s); "
                "`blackhole stop --emergency` ends it and the services",
                op,
            ) from None
        except OSError as error:
            raise KeeperLost(f"cannot {op}: the keeper is gone: {error.strerror}", op) from error
        finally:
            del self._waiting[id_]
        if refusal := last[0].get("error"):
            wire.close_all(last[1])
            raise KeeperError(refusal["text"], refusal["stage"], refusal["errno"])
        return [*parts, last]

    async def _send(self, message: dict[str, Any], fds: Sequence[int]) -> None:
        async with self._sending:
            while True:
                if not self.is_open:
                    raise KeeperLost("the keeper is gone", message["op"])
                with contextlib.suppress(BlockingIOError):
                    wire.send(self._sock, message, fds)
                    return
                await self._writable()

    async def _writable(self) -> None:
        self._may_write.clear()
        self._loop.add_writer(self._sock.fileno(), self._may_write.set)
        try:
            await self._may_write.wait()
        finally:
            if self.is_open:
                self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        for _ in range(PACKETS_PER_TURN):
            try:
                got = wire.receive(self._sock)
            except BlockingIOError:
                return
            except (OSError, wire.BadMessage):
                got = None
            if got is None:
                self.close()
                self._on_end()
                return
            self._take(*got)

    def _take(self, message: dict[str, Any], fds: list[int]) -> None:
        future, parts = self._waiting.get(message.get("re") or 0, (None, []))
        if future is None or future.done():
            self._on_event(message, fds)
        elif "process" in message:
            parts.append((message, fds))
        else:
            future.set_result((message, fds))

    def close(self) -> None:
        """Ends the connection; whoever waits for an answer gets KeeperLost."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._may_write.set()
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(KeeperLost("the keeper is gone: it died before it answered"))
