"""The lines of one host's log: those that are there, then those to come, across lost connections."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator

from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1.logs_pb2 import LogBatch, LogLine, LogsRequest

from .targets import Target

Line = tuple[Target, LogLine]


class LogReader:
    """Reads once; `past` first, `new` after it when the request follows."""

    def __init__(self, target: Target, request: LogsRequest) -> None:
        self._target = target
        self._request = request
        self._batches: AsyncIterator[LogBatch] | None = None
        self._rest: list[LogLine] = []
        self._last_ns = 0
        self._at_last: set[tuple[str, str, str]] = set()
        """What was seen of the newest moment: a connection made anew asks from that moment on."""

    async def past(self) -> AsyncIterator[Line]:
        """The lines that were there when it was asked, oldest first. Raises NoConnection."""
        self._batches = (await self._target.client()).logs(self._request)
        async for batch in self._batches:
            self._warn(batch)
            for line in batch.lines:
                self._seen(line)
                yield self._target, line
            if batch.caught_up and self._request.follow:
                return

    async def new(self) -> AsyncIterator[Line]:
        """The lines that come after; ends only by an error."""
        while True:
            try:
                async for line in self._more():
                    yield self._target, line
                return
            except NoConnection:
                sys.stderr.write(f"{self._target.name}: the connection was lost, connecting again\n")
                client = await self._target.again()
                request = LogsRequest()
                request.CopyFrom(self._request)
                request.since_ns, request.tail = max(self._last_ns, request.since_ns), 0
                self._batches = client.logs(request)

    async def _more(self) -> AsyncIterator[LogLine]:
        assert self._batches is not None
        async for batch in self._batches:
            self._warn(batch)
            for line in batch.lines:
                if not self._repeated(line):
                    self._seen(line)
                    yield line

    def _repeated(self, line: LogLine) -> bool:
        return line.time_ns == self._last_ns and (line.instance, line.stream, line.message) in self._at_last

    def _seen(self, line: LogLine) -> None:
        if line.time_ns > self._last_ns:
            self._last_ns = line.time_ns
            self._at_last.clear()
        if line.time_ns == self._last_ns:
            self._at_last.add((line.instance, line.stream, line.message))

    def _warn(self, batch: LogBatch) -> None:
        if batch.dropped:
            sys.stderr.write(f"{self._target.name}: {batch.dropped} lines were lost here, this reader was too slow\n")


async def newest(lines: AsyncIterator[Line], count: int) -> list[Line]:
    """The last so many lines of a stream."""
    kept: list[Line] = []
    async for line in lines:
        kept.append(line)
        if len(kept) > 2 * count + 1000:
            del kept[:-count]
    return list(itertools.islice(kept, max(0, len(kept) - count), None))
