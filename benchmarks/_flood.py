"""Hosts that only have logs: each a real gRPC server on a Unix socket of its own, ten of them in one process.

As a program: `_flood.py FOLDER FIRST COUNT RATE` serves hosts FIRST to FIRST + COUNT, each at RATE lines a second from
the moment that it is asked; who does not read slows its host down, and no line is left out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc.aio

from bhtui.console.sources.backend import Sink
from bhtui.console.sources.live import LiveBackend
from bhtui.console.sources.message import HostInfo, LinkSeen, Seen
from bhtui.core.logs import LogBatch, LogLine, LogPlace
from bhtui.rpc import options
from bhtui.rpc.blackhole.v1 import logs_pb2, logs_pb2_grpc
from bhtui.rpc.client import AgentClient
from bhtui.rpc.convert.logs import batch_to_message

PACE = 0.08
"""Seconds between batches, as an agent's that has many lines."""
LEVELS = ["info"] * 90 + ["debug"] * 6 + ["warning"] * 3 + ["error"]
MOST = 500
"""Lines of a batch."""


def text(number: int) -> str:
    """A line as services write them."""
    level = LEVELS[number % 100].upper()
    return f"{level} request {number:09d} served path=/items/{number % 977} in {number % 871} ms by worker-{number % 7}"


class Logs(logs_pb2_grpc.LogsServicer):
    """The log of one host."""

    def __init__(self, rate: int) -> None:
        self._rate = rate

    async def Read(self, request: logs_pb2.LogsRequest, context: Any) -> AsyncIterator[logs_pb2.LogBatch]:  # noqa: N802, ARG002
        yield logs_pb2.LogBatch(caught_up=True, clock_ns=time.time_ns())
        began, number = time.monotonic(), 0
        while request.follow:
            due = int((time.monotonic() - began) * self._rate)
            while number < due:
                count = min(MOST, due - number)
                yield batch_to_message(batch(number, count), request.columns)
                number += count
            await asyncio.sleep(PACE)

    async def Count(self, *_: Any) -> AsyncIterator[logs_pb2.LogCounts]:  # noqa: N802
        yield logs_pb2.LogCounts(done=True, bucket_ns=10**9)


def batch(number: int, count: int) -> LogBatch:
    now = time.time_ns()
    lines = tuple(
        LogLine(now + place, "api", f"api-{n % 5}", "stdout", LEVELS[n % 100], text(n))
        for place, n in enumerate(range(number, number + count))
    )
    places = tuple(LogPlace("api", f"api-{n}", n + 1, 1, number, 0) for n in range(5))
    return LogBatch(lines, scanned=number + count, places=places, clock_ns=now)


async def serve(folder: Path, names: Sequence[str], rate: int) -> None:
    servers = []
    for name in names:
        server = grpc.aio.server(options=options.SERVER)
        logs_pb2_grpc.add_LogsServicer_to_server(Logs(rate), server)
        server.add_insecure_port(f"unix:{folder / name}.sock")
        await server.start()
        servers.append(server)
    (folder / f"{names[0]}.ready").touch()
    await asyncio.gather(*(server.wait_for_termination() for server in servers))


class Link:
    """Always there."""

    status = LinkSeen("live")

    def __init__(self, socket: Path) -> None:
        self._client = AgentClient(socket)

    async def watch(self) -> AsyncIterator[LinkSeen]:
        yield self.status
        await asyncio.Event().wait()

    async def ready(self, timeout: float = 60.0) -> AgentClient:  # noqa: ARG002 - as a real link's
        return self._client


class Links:
    def __init__(self, sockets: Sequence[Path]) -> None:
        self.links = {socket.stem: Link(socket) for socket in sockets}

    def start(self) -> None:
        """Connected already."""

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ARG002 - as a real fleet's
        for link in self.links.values():
            await (await link.ready()).close()


class FloodBackend(LiveBackend):
    """The console's own live backend, but that it watches nothing besides the logs."""

    def __init__(self, sockets: Sequence[Path], clock: Callable[[], float]) -> None:
        super().__init__(tuple(HostInfo(socket.stem) for socket in sockets), lambda: Links(sockets), clock)

    async def run(self, sink: Sink) -> None:
        self._fleet = self._connect()
        self._connected.set()
        for info in self.hosts():
            sink(Seen(time.time(), info.name, LinkSeen("live")))
        await asyncio.Event().wait()


def main() -> None:
    folder, first, count, rate = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    asyncio.run(serve(folder, [f"web{number:02d}" for number in range(first, first + count)], rate))


if __name__ == "__main__":
    main()
