"""A recording in the place of live hosts: the same messages at the same distances, slower, faster or halted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.rpc.blackhole.v1 import backup_pb2, logs_pb2, metrics_pb2, operations_pb2, overview_pb2
from bhtui.rpc.convert.logs import messages_of

from .backend import Sink
from .lines import counted, selected, wants
from .message import HostInfo, LogsSeen, Seen
from .record import read

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
REFUSED = "cannot change anything in a replay; start bhtui without --replay"


class Replay:
    """Plays a recording. `clock` is a monotonic clock in seconds; `now` is the time inside the recording."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Raises UsageError when the file cannot be read or is empty."""
        self._messages = list(read(path))
        if not self._messages:
            raise UsageError(f"cannot replay {path}: nothing was recorded in it")
        self._messages.sort(key=lambda seen: seen.time)
        self.start, self.end = self._messages[0].time, self._messages[-1].time
        self._clock = clock
        self._speed = 1.0
        self._paused = False
        self._from, self._at = clock(), self.start
        self._changed = asyncio.Event()

    def now(self) -> float:
        """The time of the recording; it stands still at its end."""
        if self._paused:
            return self._at
        return min(self.end, self._at + (self._clock() - self._from) * self._speed)

    def describe(self) -> str:
        """How it goes: `x4`, `paused`, `ended`."""
        if self.now() >= self.end:
            return "ended"
        return "paused" if self._paused else f"x{self._speed:g}"

    def pause(self) -> None:
        """Halts, or goes on."""
        self._rebase()
        self._paused = not self._paused

    def faster(self, by: int) -> None:
        """Changes the speed by steps."""
        self._rebase()
        index = max(0, min(len(SPEEDS) - 1, SPEEDS.index(self._speed) + by))
        self._speed = SPEEDS[index]

    def _rebase(self) -> None:
        self._at, self._from = self.now(), self._clock()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _until(self, time: float) -> None:
        """Waits until the recording is there."""
        while self.now() < time:
            changed = self._changed
            left = None if self._paused else (time - self.now()) / self._speed
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                continue

    # As a backend

    def hosts(self) -> tuple[HostInfo, ...]:
        return tuple({seen.host: seen.body for seen in self._messages if isinstance(seen.body, HostInfo)}.values())

    async def run(self, sink: Sink) -> None:
        for seen in self._messages:
            await self._until(seen.time)
            if not isinstance(seen.body, LogsSeen):
                sink(seen)
        await asyncio.Event().wait()

    async def logs(self, host: str, request: logs_pb2.LogsRequest) -> AsyncGenerator[logs_pb2.LogBatch, None]:
        if not request.follow:
            yield logs_pb2.LogBatch(lines=selected(self._lines_until_now(host), request), caught_up=True)
            return
        wanted = wants(request)
        known: set[tuple[int, str, str]] = set()
        for seen in self._messages:
            if seen.host != host or not isinstance(seen.body, LogsSeen):
                continue
            await self._until(seen.time)
            # One line may be in several of the recorded streams.
            lines = [line for line in filter(wanted, messages_of(seen.body.batch)) if _key(line) not in known]
            known |= set(map(_key, lines))
            yield logs_pb2.LogBatch(lines=lines, dropped=seen.body.batch.dropped, caught_up=True)
        await asyncio.Event().wait()

    async def count_logs(self, host: str, request: logs_pb2.CountLogsRequest) -> logs_pb2.LogCounts:
        return counted(self._lines_until_now(host), request)

    def _lines_until_now(self, host: str) -> list[logs_pb2.LogLine]:
        bodies = [seen.body for seen in self._seen_until_now(host) if isinstance(seen.body, LogsSeen)]
        return list({_key(line): line for body in bodies for line in messages_of(body.batch)}.values())

    async def series(self, host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        out = metrics_pb2.SeriesResponse()
        for seen in self._seen_until_now(host):
            if isinstance(seen.body, metrics_pb2.SeriesResponse):
                names = set(request.names)
                out.series.extend(one for one in seen.body.series if not names or names & {one.service, one.instance})
        return out

    async def overview(self, host: str) -> overview_pb2.OverviewResponse:
        seen = [one.body for one in self._seen_until_now(host) if isinstance(one.body, overview_pb2.OverviewResponse)]
        if not seen:
            raise NotFound(f"cannot find an overview of {host} so early in this recording")
        return seen[-1]

    async def outputs(self, host: str) -> tuple[logs_pb2.LogOutputsResponse, metrics_pb2.RemoteWriteResponse]:
        outputs, remote_write = logs_pb2.LogOutputsResponse(), metrics_pb2.RemoteWriteResponse()
        for seen in self._seen_until_now(host):
            if isinstance(seen.body, logs_pb2.LogOutputsResponse):
                outputs = seen.body
            elif isinstance(seen.body, metrics_pb2.RemoteWriteResponse):
                remote_write = seen.body
        return outputs, remote_write

    def _seen_until_now(self, host: str) -> list[Seen]:
        now = self.now()
        return [seen for seen in self._messages if seen.host == host and seen.time <= now]

    async def backups(self, host: str) -> backup_pb2.ListBackupsResponse:
        found = backup_pb2.ListBackupsResponse()
        for seen in self._seen_until_now(host):
            if isinstance(seen.body, backup_pb2.ListBackupsResponse):
                found = seen.body
        return found

    async def backup_files(self, host: str, request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:  # noqa: ARG002
        raise Refused("cannot look into a backup: a recording does not hold what is in it")

    async def backup_diff(self, host: str, request: backup_pb2.BackupDiffRequest) -> backup_pb2.BackupDiff:  # noqa: ARG002
        raise Refused("cannot compare backups: a recording does not hold what is in them")

    async def plan(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.OperationPlan:  # noqa: ARG002
        raise Refused(REFUSED)

    async def begin(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.Operation:  # noqa: ARG002
        raise Refused(REFUSED)

    async def watch(self, host: str, operation: str) -> AsyncIterator[operations_pb2.Operation]:
        for seen in self._seen_until_now(host):
            if isinstance(seen.body, operations_pb2.Operation) and seen.body.id == operation:
                yield seen.body
                return
        raise NotFound(f"cannot find operation {operation} in this recording")

    async def cancel(self, host: str, operation: str) -> operations_pb2.Operation:  # noqa: ARG002
        raise Refused(REFUSED)

    async def close(self) -> None:
        """Nothing is open."""


def _key(line: logs_pb2.LogLine) -> tuple[int, str, str]:
    return line.time_ns, line.instance, line.message
