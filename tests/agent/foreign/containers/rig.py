"""What engines really answered, and a socket that answers it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"
DOCKER, PODMAN = "docker-20.10", "podman-4.3"
HEADS = {
    DOCKER: "Api-Version: 1.41\r\nServer: Docker/20.10.24+dfsg1 (linux)\r\n",
    PODMAN: "Api-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\nServer: Libpod/4.3.1 (linux)\r\n",
}


def recorded(engine: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((RECORDED / f"{engine}.json").read_text())
    return said


def answer(status: str, body: bytes = b"", head: str = HEADS[DOCKER]) -> bytes:
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*chunks: bytes, head: str = HEADS[DOCKER]) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return f"HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def served(answers: Callable[[str], bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """A socket where each request (`GET /x`) gets the bytes; with it, the requests and bodies that came."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request = " ".join(head.split()[:2])
        size = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Length")), 0)
        asked.append(" ".join((request, (await reader.readexactly(size)).decode())).strip())
        writer.write(answers(request))
        await writer.drain()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="bh") as folder:
        path = f"{folder}/engine.sock"
        server = await asyncio.start_unix_server(serve, path)
        try:
            yield path, asked
        finally:
            server.close()
            await server.wait_closed()
