"""The Prometheus endpoint, in the service's own event loop: a hung service does not answer here either."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

HEAD_LIMIT = 16 << 10
DEADLINE = 10.0
"""Seconds a scraper has for its request and for taking the answer."""


class MetricsEndpoint:
    """Answers GET /metrics, HTTP/1.1, one request a connection."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> None:
        """Raises OSError when the port cannot be had."""
        try:
            self._server = await asyncio.start_server(self._answer, host, port, limit=HEAD_LIMIT)
        except OSError as error:
            raise OSError(f"cannot serve metrics on {host}:{port}: {error.strerror or error}") from None

    async def close(self) -> None:
        """Stops listening."""
        if self._server:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.split(b"\r\n", 1)[0].split()))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            writer.close()

    def _response(self, request: list[bytes]) -> bytes:
        if len(request) != 3 or request[0] != b"GET" or request[1].split(b"?")[0] not in (b"/", b"/metrics"):
            status, kind, body = "404 Not Found", "text/plain", b"only GET /metrics is answered\n"
        else:
            status, kind, body = "200 OK", CONTENT_TYPE_LATEST, generate_latest(self.registry)
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + body
