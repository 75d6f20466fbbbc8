"""What is: the host and every instance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bhtui.agent.events.log import EventLog
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.core.status import HostStatus, InstanceStatus
from bhtui.rpc.blackhole.v1 import status_pb2 as pb
from bhtui.rpc.blackhole.v1.status_pb2_grpc import StatusServicer
from bhtui.rpc.convert.status import host_to_message, instance_to_json, instance_to_message

from .guard import Context

SHORTEST_INTERVAL = 0.05
"""Seconds between snapshots at the least: many events at once are one snapshot."""


class Status(StatusServicer):
    """`host` says how the host is; `open_operations` names the operations that have not ended; `notes` says what is
    wrong with the agent itself."""

    def __init__(
        self,
        supervisor: Supervisor,
        host: Callable[[int], HostStatus],
        events: EventLog,
        open_operations: Callable[[], list[str]],
        notes: Callable[[], list[str]] = list,
    ) -> None:
        self._supervisor = supervisor
        self._host = host
        self._events = events
        self._open_operations = open_operations
        self._notes = notes

    async def Get(self, request: pb.StatusRequest, context: Context) -> pb.Snapshot:
        return self._snapshot(self._supervisor.status(request.names), full=True)

    async def CheckHealth(self, request: pb.StatusRequest, context: Context) -> pb.Snapshot:
        return self._snapshot(await self._supervisor.check(request.names), full=True)

    async def Watch(
        self,
        request: pb.StatusRequest,
        context: Context,
    ) -> AsyncIterator[pb.Snapshot]:
        interval = max(SHORTEST_INTERVAL, request.interval or 1.0)
        before: Mapping[str, InstanceStatus] = {}
        full = True
        while True:
            event = self._events.changed()
            now = {status.instance: status for status in self._supervisor.status(request.names)}
            yield self._snapshot(
                [status for name, status in now.items() if full or not _same(before.get(name), status)],
                removed=[name for name in before if name not in now],
                full=full,
            )
            before, full = now, False
            await _first_of(event, interval)

    def _snapshot(
        self, instances: Iterable[InstanceStatus], removed: Iterable[str] = (), full: bool = False
    ) -> pb.Snapshot:
        return pb.Snapshot(
            host=host_to_message(self._host(time.time_ns())),
            instances=map(instance_to_message, instances),
            removed=removed,
            seq=self._events.last_seq,
            full=full,
            open_operations=self._open_operations(),
            notes=self._notes(),
        )

    async def quick(self, question: Mapping[str, Any]) -> Any:
        """The quick road: the objects that a client would make of Get's answer; with `notes` when it asks for them."""
        host = self._host(time.time_ns()).hostname
        found = [instance_to_json(status, host) for status in self._supervisor.status(question.get("names", ()))]
        return {"instances": found, "notes": self._notes()} if question.get("notes") else found


def _same(before: InstanceStatus | None, now: InstanceStatus) -> bool:
    """Whether nothing changed but the running of time, which a reader can tell by itself from `since_ns`."""
    return before is not None and _timeless(before) == _timeless(now)


def _timeless(status: InstanceStatus) -> InstanceStatus:
    scaling = replace(status.scaling, seconds=0.0) if status.scaling else None
    # Told anew once a minute: a reader shows for some minutes what was dropped.
    dropped = status.log_dropped and replace(status.log_dropped, seconds=status.log_dropped.seconds // 60)
    return replace(
        status, uptime_seconds=None, next_start_seconds=None, limits_override_seconds=None, scaling=scaling,
        log_dropped=dropped,
    )  # fmt: skip


async def _first_of(event: Awaitable[object], interval: float) -> None:
    """Until something happened or the interval is over, and never sooner than the shortest."""
    await asyncio.sleep(SHORTEST_INTERVAL)
    try:
        await asyncio.wait_for(event, interval - SHORTEST_INTERVAL)
    except TimeoutError:
        return
