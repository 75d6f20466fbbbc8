"""The lines of one host's log: those that are there, then those to come, across lost connections."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.core.logcolumns import Lines, origin
from bhtui.core.logorder import Offset
from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1.logs_pb2 import LogBatch, LogsRequest
from bhtui.rpc.convert.logs import columns_of
from bhtui.rpc.resume import LogResume

from .targets import RECONNECT_TIMEOUT, Target

PAUSE = 3.0
"""Seconds between attempts at a host that stays away, at most."""


class LogReader:
    """Reads once; `past` first, `new` after it when the request follows. One of `several` never ends the others: it
    waits for its host as long as it takes, or ends, and `error` says why."""

    def __init__(self, target: Target, request: LogsRequest, *, several: bool = False, away: bool = False) -> None:
        """`away`: its host does not answer now, and somebody was told."""
        self.error: BlackholeError | None = None
        self.target, self._several = target, several
        self._request = LogsRequest(columns=True)
        self._request.MergeFrom(request)
        self._batches: AsyncIterator[LogBatch] | None = None
        self._resume = LogResume()
        self._offset = Offset()
        self._lost_at, self._away = time.monotonic() if away else 0.0, 0.0
        self._last = request.since_ns if away else 0
        self._asked_ns = 0

    @property
    def name(self) -> str:
        """Of the host."""
        return self.target.name

    async def past(self) -> AsyncIterator[Lines]:
        """The lines that were there when it was asked, oldest first. Raises NoConnection, or keeps it in `error`."""
        async for batch in self._all(until_caught_up=True):
            yield self._block(batch)

    async def new(self) -> AsyncIterator[Lines]:
        """The lines that come after, and a remark where the host was away; ends only by an error."""
        async for batch in self._all(until_caught_up=False):
            if self._away:
                text = f"{self.name} was away for {self._away:.1f} s; what it wrote meanwhile follows"
                yield Lines([self._last or time.time_ns()], [origin(self.name, "", "", 0, remark=True)], [text])
                self._away = 0.0
            yield self._block(batch)

    async def _all(self, *, until_caught_up: bool) -> AsyncIterator[LogBatch]:
        while True:
            try:
                if self._batches is None:
                    client = await (self.target.again() if self._lost_at else self.target.client())
                    self._asked_ns = time.time_ns()
                    self._batches = client.logs(self._resume.request(self._request))
                async for batch in self._batches:
                    if self._lost_at:
                        self._away, self._lost_at = time.monotonic() - self._lost_at, 0.0
                    self._warn(batch)
                    yield self._resume.new(batch)
                    if until_caught_up and batch.caught_up and self._request.follow:
                        return
                return
            except BlackholeError as error:
                self._batches = None
                is_first = not self._lost_at
                if not await self._waits_for(error):
                    return
                if until_caught_up and is_first and self._several and self._request.follow:
                    return  # the others go on; what is left of its past comes when it is back

    async def _waits_for(self, error: BlackholeError) -> bool:
        """Whether to try again. Raises the error where nothing else is read."""
        if isinstance(error, NoConnection):
            if not self._lost_at:
                self._lost_at = time.monotonic()
                sys.stderr.write(f"{self.name}: the connection was lost, connecting again\n")
            away = time.monotonic() - self._lost_at
            if away < RECONNECT_TIMEOUT or (self._several and self._request.follow):
                await asyncio.sleep(min(PAUSE, away / 10))
                return True
        if not self._several:
            raise error
        self.error = error
        return False

    def _block(self, batch: LogBatch) -> Lines:
        # Of one host alone the order is its own, and only many have to be brought to one clock.
        if self._several and self._offset.measure(batch.clock_ns, self._asked_ns, time.time_ns()):
            self._tell_clock()
        lines = columns_of(batch, self.name, self._offset.ns)
        self._last = lines.times[-1] if lines else self._last
        return lines

    def _tell_clock(self) -> None:
        seconds = self._offset.ns / 1e9
        what = (
            f"{format_age(abs(seconds))} {'behind' if seconds > 0 else 'ahead of'} ours" if seconds else "right again"
        )
        sys.stderr.write(f"{self.name}: its clock is {what}; its lines are put in by when they came\n")

    def _warn(self, batch: LogBatch) -> None:
        if batch.dropped:
            sys.stderr.write(
                f"{self.name}: rotation removed files before they were read here ({batch.dropped}); their lines are "
                f"lost to this reader\n"
            )
