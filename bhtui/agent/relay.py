"""Hands the bytes of one connection on to another, both ways, without a task or a buffer of its own.

A stream of log lines comes through here many times a second; reading and writing it by asyncio's streams costs several
turns of the loop for each piece.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

_ALL = 1 << 20
"""More than a stream ever holds."""


class Side(asyncio.Protocol):
    """One of two connections. A slow reader at the other one stops what comes in here; the end of either is both's."""

    def __init__(self, over: asyncio.Future[None]) -> None:
        """`over` is done when this side has ended."""
        self._over = over
        self._transport: asyncio.Transport | None = None
        self._other: Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def join(self, other: Side) -> None:
        """What comes here goes there."""
        self._other = other

    def write(self, data: bytes) -> None:
        """To who is at this side."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """What was written is still sent."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._other is not None:
            self._other.write(data)

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - who ends a connection needs no reason
        self._end()

    def pause_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, path: str) -> None:
    """Joins a client, of which `first` was read, with who listens at a path, until one of them ends.

    Raises OSError when nobody listens there.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    client, server = Side(over), Side(over)
    client.join(server)
    server.join(client)
    transport: Any = writer.transport
    # All that the streams hold is taken out of them, and nothing may come to them before they are out of the way.
    first += await reader.read(_ALL)
    transport.pause_reading()
    transport.set_protocol(client)
    client.connection_made(transport)
    try:
        await loop.create_unix_connection(lambda: server, path)
        server.write(first)
        transport.resume_reading()
        await over
    finally:
        server.close()
        client.close()
