"""Probes over a socket: TCP connects, HTTP asks for a page."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamWriter
from urllib.parse import unquote, urlsplit

from .address import connect, reason
from .model import ProbeResult

LINE_LIMIT = 4096
BODY_SHOWN = 200  # characters of an answer that are kept as the detail


class TcpProbe:
    """Healthy when the connection is accepted."""

    def __init__(self, target: str) -> None:
        self._target = target

    async def ask(self) -> ProbeResult:
        try:
            _, writer = await connect(self._target)
        except (OSError, ValueError) as error:
            return ProbeResult(False, detail=f"{self._target}: {_said(error)}")
        await _close(writer)
        return ProbeResult(True)

    async def close(self) -> None:
        """It holds nothing."""


class HttpProbe:
    """Healthy when the status is 200 to 399. HTTP/1.1, RFC 9112; `http+unix://%2Frun%2Fapp.sock/path` for a socket."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        secure = parts.scheme == "https"
        self._tls = ssl.create_default_context() if secure else None
        self._name = parts.hostname or "localhost"
        if parts.scheme.endswith("+unix"):
            self._target, self._name = "unix:" + unquote(parts.netloc), "localhost"
        else:
            host = f"[{self._name}]" if ":" in self._name else self._name
            self._target = f"{host}:{parts.port or (443 if secure else 80)}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host_header = parts.netloc.rpartition("@")[2] if not parts.scheme.endswith("+unix") else "localhost"
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host_header}\r\nUser-Agent: blackhole\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode("ascii", "replace")

    async def ask(self) -> ProbeResult:
        writer = None
        try:
            reader, writer = await connect(self._target, self._tls, self._name)
            writer.write(self._request)
            line = await reader.readline()
            status = _status(line)
            if status is None:
                what = f"not HTTP: {line[:40]!r}" if line else "nothing, and then closed the connection"
                return ProbeResult(False, detail=f"{self._url}: it answered {what}")
            if 200 <= status < 400:
                return ProbeResult(True)
            return ProbeResult(False, detail=f"HTTP {status}{await _body(reader)}")
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return ProbeResult(False, detail=f"{self._url}: {_said(error)}")
        finally:
            if writer is not None:
                await _close(writer)

    async def close(self) -> None:
        """It holds nothing."""


def _status(line: bytes) -> int | None:
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return None
    return int(parts[1])


async def _body(reader: asyncio.StreamReader) -> str:
    """The beginning of the answer in one line, for the detail; the status alone when there is none."""
    head = b"\r\n" + await reader.read(LINE_LIMIT)  # the end of the status line: there may be no header at all
    if b"\r\n\r\n" not in head:
        head += await reader.read(LINE_LIMIT)
    text = " ".join(head.partition(b"\r\n\r\n")[2].decode(errors="replace").split())[:BODY_SHOWN]
    return f": {text}" if text and not text.startswith("<") else ""


def _said(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)


async def _close(writer: StreamWriter) -> None:
    """A peer that is gone or does not say goodbye must not hold up a probe."""
    writer.transport.abort()
    await asyncio.sleep(0)
