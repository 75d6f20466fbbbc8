"""HTTP/1.1 over a Unix socket, RFC 9112, as much of it as a container engine speaks: one request a connection.

By hand, because a library for it costs the agent of every host 10 MB of memory that these lines do not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

HEAD_LIMIT = 64 << 10
BODY_LIMIT = 32 << 20
"""Bytes of one whole answer: `inspect` and `list` of very many containers stay far below."""
PIECE = 64 << 10
CONNECT_SECONDS = 5.0


class BadAnswer(Exception):
    """What came back is not HTTP, ended too early, or is too large."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Flow:
    """An answer whose body comes little by little."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]
    """Pieces of the body as they come, never empty. Raises BadAnswer, OSError."""


async def ask(path: str, method: str, target: str, body: bytes | None, timeout: float) -> Answer:
    """Asks and waits for the whole answer. Raises OSError, BadAnswer; TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout), flow(path, method, target, body) as answer:
        whole = bytearray()
        async for piece in answer.pieces:
            whole += piece
            if len(whole) > BODY_LIMIT:
                raise BadAnswer(f"its answer is over {BODY_LIMIT >> 20} MiB")
        return Answer(answer.status, answer.headers, bytes(whole))


@contextlib.asynccontextmanager
async def flow(path: str, method: str, target: str, body: bytes | None = None) -> AsyncIterator[Flow]:
    """Asks; the body is read by whoever wants it, for as long as it comes. Raises OSError, BadAnswer."""
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_unix_connection(path, limit=HEAD_LIMIT)
    try:
        writer.write(_request(method, target, body))
        await writer.drain()
        status, headers = await _head(reader)
        yield Flow(status, headers, _pieces(reader, status, headers))
    except asyncio.IncompleteReadError as error:
        raise BadAnswer("its answer ended in the middle") from error
    except asyncio.LimitOverrunError as error:
        raise BadAnswer("its answer has no end of a line") from error
    finally:
        writer.transport.abort()  # the other side must not hold up whoever has read enough


def _request(method: str, target: str, body: bytes | None) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: blackhole\r\nConnection: close\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    elif method != "GET":
        head += "Content-Length: 0\r\n"
    return f"{head}\r\n".encode("ascii") + (body or b"")


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    while True:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.split("\r\n")[:-2]
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise BadAnswer(f"it does not speak HTTP: {first[:40]!r}")
        status = int(rest[:3])
        if status >= 200:  # an answer of 1xx announces another
            return status, {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}


async def _pieces(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if status in (204, 304):
        return
    if "chunked" in headers.get("transfer-encoding", "").lower():
        async for piece in _chunks(reader):
            yield piece
    elif "content-length" in headers:
        async for piece in _exactly(reader, _number(headers["content-length"], 10)):
            yield piece
    else:
        while piece := await reader.read(PIECE):
            yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What has come so far at once: an engine makes a chunk of every line."""
    chunks = Chunks()
    while not chunks.ended:
        data = await reader.read(PIECE)
        if not data:
            raise BadAnswer("its answer ended in the middle")
        if piece := chunks.feed(data):
            yield piece


class Chunks:
    """Takes a chunked body apart as it comes, RFC 9112 section 7.1."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The content of the chunks that are whole by now. Raises BadAnswer."""
        self._rest += data
        found, at = [], 0
        while not self.ended and (end := self._rest.find(b"\r\n", at)) >= 0:
            size = _number(self._rest[at:end].split(b";")[0].decode("latin-1"), 16)
            if size > BODY_LIMIT:
                raise BadAnswer(f"a chunk of its answer is over {BODY_LIMIT >> 20} MiB")
            begin, close = end + 2, end + 2 + size
            if size and len(self._rest) < close + 2:
                break
            if size and self._rest[close : close + 2] != b"\r\n":
                raise BadAnswer("a chunk of its answer has not the length it says")
            found.append(bytes(self._rest[begin:close]))
            at, self.ended = close + 2, not size
        del self._rest[:at]
        if len(self._rest) > HEAD_LIMIT and b"\r\n" not in self._rest[:HEAD_LIMIT]:
            raise BadAnswer("a chunk of its answer does not tell its length")
        return b"".join(found)


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise BadAnswer("its answer ended in the middle")
        size -= len(piece)
        yield piece


def _number(text: str, base: int) -> int:
    try:
        number = int(text.strip(), base)
    except ValueError:
        number = -1
    if number < 0:
        raise BadAnswer(f"{text[:20]!r} is not the length of anything")
    return number
