"""The Prometheus endpoint: every figure as a page, and the port that serves it.

Text format: https://prometheus.io/docs/instrumenting/exposition_formats/. Written here, because that is a few lines
and a page of many instances costs a fraction of what a general library takes; served by threads of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from bhtui.core.errors import BlackholeError, UsageError

from .figures import EXPORTED, Figures
from .model import Row

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT = 10.0
"""Seconds that a reader may take for one request, and the agent for its figures."""
SERIES_SUFFIXES = ("_bucket", "_sum", "_count")


class Endpoint:
    """The page, and from `start` to `close` a server of it at `http://HOST:PORT/metrics`."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._loop: asyncio.AbstractEventLoop | None = None
        self._served: tuple[_Server, threading.Thread] | None = None

    def page(self) -> str:
        """Everything now."""
        return text(self._figures.rows())

    def start(self, listen: str) -> int:
        """Opens the port and returns it; inside a running loop figures are asked for there. Raises BlackholeError."""
        address, port = parse_listen(listen)
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        try:
            server = _Server((address, port), self._served_page)
        except OSError as error:
            raise BlackholeError(
                f"cannot serve metrics at {address}:{port}: {error.strerror}; choose another metrics.listen"
            ) from error
        thread = threading.Thread(target=server.serve_forever, name="metrics-endpoint", daemon=True)
        thread.start()
        self._served = server, thread
        return int(server.server_address[1])

    def close(self) -> None:
        """Closes the port."""
        if self._served is not None:
            server, thread = self._served
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
            self._served = None

    def _served_page(self) -> str:
        """Called by the threads of the server. What the rooms know is read in their loop, where nothing changes
        meanwhile; the text is made here."""
        if self._loop is None:
            return self.page()

        async def rows() -> Mapping[str, Sequence[Row]]:
            return self._figures.rows()

        return text(asyncio.run_coroutine_threadsafe(rows(), self._loop).result(TIMEOUT))


def text(figures: Mapping[str, Sequence[Row]]) -> str:
    """A page of the text format, version 0.0.4, in the order of EXPORTED."""
    lines: list[str] = []
    for name, described in EXPORTED.items():
        lines.append(f"# HELP {name} {described.help}\n# TYPE {name} {described.kind}")
        if described.kind == "histogram":
            for suffix in SERIES_SUFFIXES:
                labels = (*described.labels, "le") if suffix == "_bucket" else described.labels
                lines += _lines(name + suffix, labels, figures.get(name + suffix, ()))
        else:
            lines += _lines(name, described.labels, figures.get(name, ()))
    return "\n".join([*lines, ""])


def _lines(name: str, labels: Sequence[str], rows: Iterable[Row]) -> Iterable[str]:
    if not labels:
        return [f"{name} {float(value)!r}" for _, value in rows]
    pattern = name + "{" + ",".join(f'{label}="%s"' for label in labels) + "} "
    return [pattern % tuple(map(_escaped, values)) + repr(float(value)) for values, value in rows]


def _escaped(value: str) -> str:
    """Most need nothing."""
    if "\\" in value or "\n" in value or '"' in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value


class _Server(ThreadingTCPServer):  # not HTTPServer, which asks DNS for its own name
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], page: Any) -> None:
        self.page = page
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = TIMEOUT
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "blackhole", ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in ("/metrics", "/"):
            self.send_error(404, explain="the figures are at /metrics")
            return
        body = self.server.page().encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing of each scrape."""


def parse_listen(listen: str) -> tuple[str, int]:
    """Address and port of `127.0.0.1:9090`, `[::1]:9090`, `localhost:9090`. Raises UsageError: wrong, or not loopback.

    The figures have no access control of their own, so no other host may reach them; it scrapes through a tunnel.
    """
    address, separator, port = listen.rpartition(":")
    address = address.strip("[]").replace("localhost", "127.0.0.1")
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
        number = int(port)
    except ValueError:
        separator = ""
    if not separator or not 0 <= number <= 65_535:
        raise UsageError(f"cannot serve metrics at {listen!r}: write an address and a port, for example 127.0.0.1:9090")
    if not is_loopback:
        raise UsageError(
            f"cannot serve metrics at {listen!r}: only this machine may reach them; write 127.0.0.1:{number} "
            "and scrape through an SSH tunnel or a proxy that checks who asks"
        )
    return address, number
