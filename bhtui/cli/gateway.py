"""A gateway for Prometheus: an HTTP server on this machine that fetches each host's figures when it is asked for them.

    GET /sd                     the hosts, as https://prometheus.io/docs/prometheus/latest/http_sd/ wants them
    GET /hosts/NAME/metrics     the figures of one host, in the text format

A host that cannot be reached is 503, so that Prometheus notes `up` as 0.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, unquote

from bhtui.core.errors import BlackholeError, UsageError
from bhtui.ssh.inventory import Host

from .targets import Target

log = logging.getLogger(__name__)

ASK_SECONDS = 8.0
"""Less than Prometheus' own patience of ten seconds."""
HEAD_SECONDS = 5.0
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def discovery(hosts: Iterable[Host], listen: str) -> list[dict[str, object]]:
    """A target for each host: the gateway, with the path of that host, and labels that say which host it is."""
    return [
        {
            "targets": [listen],
            "labels": {
                "__metrics_path__": f"/hosts/{quote(host.name, safe='')}/metrics",
                "host": host.name,
                **({"group": ",".join(("", *host.groups, ""))} if host.groups else {}),
            },
        }
        for host in hosts
    ]


def address(listen: str) -> tuple[str, int]:
    """The host and the port of `127.0.0.1:9464`, `[::1]:9464`. Raises UsageError."""
    host, _, port = listen.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"cannot listen at {listen!r}: write an address and a port, for example 127.0.0.1:9464")
    return host.strip("[]"), int(port)


class Gateway:
    """Answers one request a connection."""

    def __init__(self, targets: Mapping[str, Target], found: Sequence[Mapping[str, object]]) -> None:
        self._targets, self._found = targets, found

    async def start(self, listen: str) -> asyncio.Server:
        """Opens the port. Raises UsageError."""
        host, port = address(listen)
        try:
            return await asyncio.start_server(self._answer, host, port)
        except OSError as error:
            # What asyncio says of a port that is taken is written for programmers.
            code = error.errno or 0
            why = os.strerror(code) if code in errno.errorcode else error.strerror or str(error)
            raise UsageError(f"cannot listen at {listen}: {why.lower()}; choose another with --listen") from None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                words = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("latin-1").split()
            status, kind, body = await self._page(words[1] if len(words) == 3 and words[0] == "GET" else "")
            data = body.encode()
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + data)
            async with asyncio.timeout(HEAD_SECONDS):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a request came to nothing: %r", error)
        finally:
            writer.close()

    async def _page(self, path: str) -> tuple[str, str, str]:
        if path == "/sd":
            return "200 OK", "application/json", json.dumps(list(self._found))
        parts = path.split("/")
        name = unquote(parts[2]) if len(parts) == 4 and (parts[1], parts[3]) == ("hosts", "metrics") else ""
        if name not in self._targets:
            return "404 Not Found", TEXT, "there are /sd and /hosts/NAME/metrics\n"
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return "200 OK", TEXT, await (await self._targets[name].client()).metrics_page()
        except BlackholeError as error:
            return "503 Service Unavailable", TEXT, f"{error}\n"
        except TimeoutError:
            return (
                "503 Service Unavailable",
                TEXT,
                f"cannot read the figures of {name}: no answer in {ASK_SECONDS:g} s\n",
            )
