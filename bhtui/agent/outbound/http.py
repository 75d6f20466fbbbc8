"""Requests to one of several servers over a connection that stays open. Raises Down for what may pass by itself."""

from __future__ import annotations

import http.client
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from . import Down, tls
from .secrets import authorization

TIMEOUT = 30.0
COMPRESS_ABOVE = 1024
LARGEST_ANSWER = 32 << 20
_NOT_OURS = frozenset({301, 302, 307, 308, 401, 403, 404, 405, 407, 408, 409, 425, 429})
"""Answers that say nothing about the lines: what stands in the way is the address, the rights, or the moment."""


class Answer(NamedTuple):
    """What a server said."""

    status: int
    body: bytes
    retry_after: float = 0.0
    """Seconds it asks for before the next request; 0: it does not."""


class Client:
    """Stays with the server that answers; goes on to the next one when it does not."""

    def __init__(self, options: Mapping[str, Any], addresses: Sequence[str], version: str) -> None:
        self._options, self._addresses = options, list(addresses)
        self._agent = f"blackhole/{version}"
        self._connection: http.client.HTTPConnection | None = None

    @property
    def address(self) -> str:
        """The server in use."""
        return self._addresses[0]

    def post(self, path: str, body: bytes, content_type: str, more: Mapping[str, str] | None = None) -> Answer:
        """The answer of 2xx, or of 400, 413, 422 and the like, which are about the body. Raises Down."""
        headers = {
            "Content-Type": content_type,
            "User-Agent": self._agent,
            "Accept": "application/json",
            **(more or {}),
        }
        if who := authorization(self._options):
            headers["Authorization"] = who
        if self._options.get("compress", True) and len(body) > COMPRESS_ABOVE:
            headers["Content-Encoding"] = "gzip"
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
        answer = self.ask(path, body, headers)
        if answer.status >= 500 or answer.status in _NOT_OURS:
            address = self.address
            self._next_server()
            raise Down(f"{address} says {said(answer)}", answer.retry_after)
        return answer

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever it is, of the server in use. Raises Down when there is none."""
        address = self.address
        try:
            for is_last in (False, True):
                had_one = self._connection is not None
                connection = self._connected()
                try:
                    connection.request("POST", urlsplit(address).path.rstrip("/") + path, body, dict(headers))
                    got = connection.getresponse()
                    return Answer(got.status, got.read(LARGEST_ANSWER), _seconds(got.headers.get("Retry-After")))
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    # The server has closed a connection that was idle for long: once that is no fault.
                    self.close()
                    if is_last or not had_one:
                        raise
            raise AssertionError
        except OSError as error:
            self.close()
            self._next_server()
            raise Down(tls.explained(error, address)) from error
        except ValueError as error:  # raised before anything was sent; its text may hold what must not be told
            self.close()
            why = "a user, secret or tenant has signs that HTTP cannot carry"
            raise Down(f"cannot ask {address}: {why}") from error
        except http.client.HTTPException as error:
            self.close()
            self._next_server()
            raise Down(f"{address} does not answer as HTTP: {type(error).__name__}") from error

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            parts = urlsplit(self.address)
            host = parts.hostname or ""
            if parts.scheme == "https":
                context = tls.context(self._options["tls"])
                made: http.client.HTTPConnection = http.client.HTTPSConnection(
                    host, parts.port or 443, timeout=TIMEOUT, context=context
                )
            else:
                made = http.client.HTTPConnection(host, parts.port or 80, timeout=TIMEOUT)
            self._connection = made
        return self._connection

    def _next_server(self) -> None:
        if len(self._addresses) > 1:
            self.close()
            self._addresses.append(self._addresses.pop(0))


def said(answer: Answer) -> str:
    """An answer in one line, for people."""
    return f"{answer.status} {http.client.responses.get(answer.status, '')}: {reason(answer.body)}".rstrip(": ")


def reason(body: bytes) -> str:
    """The first line of an answer, short."""
    return " ".join(body[:2000].decode("utf-8", "replace").split())[:300]


def _seconds(retry_after: str | None) -> float:
    """A Retry-After in seconds; a date is not worth a parser: the backoff goes on by itself."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0
