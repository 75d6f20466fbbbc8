"""The one socket of the agent: checks who comes, looks at the first bytes, shows the way to gRPC or the quick road.

gRPC for Python cannot tell a server which process is at the other end of a Unix socket, so the check by SO_PEERCRED is
made here, in front of it. The quick road answers one JSON line with one JSON line: importing gRPC costs a client
100 ms, which is more than the whole of a `status`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bhtui.core.errors import BlackholeError

from .relay import relay

log = logging.getLogger(__name__)

HTTP2_PREFACE = b"PRI"
"""How every HTTP/2 connection begins (RFC 9113, section 3.4)."""
FIRST_BYTES_TIMEOUT = 10.0
LEAVE_SECONDS = 0.3
LOOK_SECONDS = 1.0
"""Between looks at whether somebody has removed the socket."""
LINE_LIMIT = 1 << 16

Quick = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Answers one question of the quick road with JSON values; raises BlackholeError."""


class FrontDoor:
    """Listens on `path` and hands gRPC on to `grpc_path`, also when somebody empties the folder they are in."""

    def __init__(self, path: Path, grpc_path: Path, quick: Mapping[str, Quick]) -> None:
        self._path = path
        self._grpc_path = grpc_path
        self._quick = quick
        self._server: asyncio.Server | None = None
        self._grpc = -1
        self._watch: asyncio.Task[None] | None = None
        self._visitors: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Starts to listen; a socket left by an agent that was killed is replaced. gRPC must listen already."""
        # A name in /proc/self/fd leads to the socket that was opened, whether it still has another name or not.
        self._grpc = os.open(self._grpc_path, os.O_PATH | os.O_CLOEXEC)
        await self._listen()
        self._watch = asyncio.create_task(self._stay(), name="the watch on the agent's socket")

    async def _listen(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
        except OSError:
            listener.close()
            raise
        before = self._server
        self._server = await asyncio.start_unix_server(self._visit, sock=listener, limit=LINE_LIMIT, backlog=512)
        if before:
            before.close()

    async def _stay(self) -> None:
        """Makes the socket again when somebody has removed it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._path.exists():
                continue
            try:
                await self._listen()
                log.warning("somebody removed %s; it was made again", self._path)
            except OSError as error:
                log.warning("cannot make %s again: %s", self._path, error)

    async def close(self) -> None:
        """Stops listening; connections have LEAVE_SECONDS to hand on what the server said last."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._server:
            self._server.close()
        if self._visitors:
            await asyncio.wait(self._visitors, timeout=LEAVE_SECONDS)
        for task in self._visitors:
            task.cancel()
        await asyncio.gather(*self._visitors, return_exceptions=True)
        self._path.unlink(missing_ok=True)
        if self._grpc >= 0:
            os.close(self._grpc)
            self._grpc = -1

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._visitors.add(task)
        try:
            await self._serve(reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            log.debug("a connection ended before it asked for anything")
        except asyncio.CancelledError:
            log.debug("a connection was ended, because the agent stops")
        finally:
            self._visitors.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid not in (0, os.getuid()):
            log.warning("refused a connection of user %d; only root and user %d may connect", uid, os.getuid())
            return
        async with asyncio.timeout(FIRST_BYTES_TIMEOUT):
            first = await reader.readexactly(1)
        if first == HTTP2_PREFACE[:1]:
            await self._pipe(first, reader, writer)
        elif first == b"{":
            async with asyncio.timeout(FIRST_BYTES_TIMEOUT):
                answer = await self._answer(first, reader)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        else:
            log.warning("refused a connection that speaks neither HTTP/2 nor JSON")

    async def _answer(self, first: bytes, reader: asyncio.StreamReader) -> Mapping[str, Any]:
        try:
            question = json.loads(first + await reader.readline())
            quick = self._quick[question["quick"]]
        except (ValueError, KeyError, TypeError):
            return {"error": "cannot read the question: not a JSON object with a known `quick`", "exit_code": 2}
        try:
            return {"ok": await quick(question)}
        except BlackholeError as error:
            return {"error": str(error), "exit_code": error.exit_code}

    async def _pipe(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await relay(reader, writer, first, f"/proc/self/fd/{self._grpc}")
        except ConnectionError:
            log.debug("a client went away")


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end of a Unix socket (unix(7), SO_PEERCRED: pid, uid, gid)."""
    size = struct.calcsize("3i")
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)
