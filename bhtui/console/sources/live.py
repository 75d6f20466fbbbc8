"""Live hosts: streams that go on over lost connections by the last event and the last line that were seen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.rpc.blackhole.v1 import backup_pb2, events_pb2, logs_pb2, metrics_pb2, operations_pb2, overview_pb2
from bhtui.rpc.client import AgentClient
from bhtui.rpc.resume import LogResume
from bhtui.ssh.history import History
from bhtui.ssh.inventory import PrometheusAt
from bhtui.ssh.prometheus import Prometheus

from .backend import Sink
from .message import HostInfo, LinkSeen, Seen, Trouble

log = logging.getLogger(__name__)

FIRST_DELAY = 0.25
MOST_DELAY = 10.0
"""Seconds between attempts at a stream that an answering agent refuses."""
SLOW = 60.0
"""Seconds between looks at what changes seldom."""
EVENTS_AT_FIRST = 500
BEGIN_FOR = 30.0
"""Seconds that a begin is tried over lost connections; its id makes every try the same operation."""
_ENDED = frozenset({"done", "failed", "cancelled"})


class Status(Protocol):
    """What a link says of itself (ssh.state.LinkStatus)."""

    @property
    def state(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def remedy(self) -> str: ...


class Link(Protocol):
    """What is needed of a link (ssh.link.Link)."""

    @property
    def status(self) -> Any: ...
    def watch(self) -> AsyncIterator[Any]: ...
    async def ready(self, timeout: float = 60.0) -> AgentClient: ...


class Links(Protocol):
    """What is needed of a fleet (ssh.fleet.Fleet)."""

    @property
    def links(self) -> Mapping[str, Any]: ...
    def start(self) -> None: ...
    async def socket(self, name: str, address: str, port: int) -> str: ...
    async def close(self, timeout: float = 5.0) -> None: ...


@dataclass
class _Woken:
    """Set when the operations of a host are to be read again, and what changes seldom."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    seldom: asyncio.Event = field(default_factory=asyncio.Event)


class LiveBackend:
    """Hosts behind links. `connect` makes the fleet when the first frame is on the screen, because what it imports is
    slow to load."""

    def __init__(
        self,
        infos: tuple[HostInfo, ...],
        connect: Callable[[], Links],
        clock: Callable[[], float],
        prometheus: Mapping[str, PrometheusAt] | None = None,
    ) -> None:
        """`prometheus`: by host, where its figures are besides."""
        self._infos, self._connect, self._clock = infos, connect, clock
        self._prometheus = dict(prometheus or {})
        self._histories: dict[str, History] = {}
        self._fleet: Links | None = None
        self._connected = asyncio.Event()

    def hosts(self) -> tuple[HostInfo, ...]:
        return self._infos

    async def run(self, sink: Sink) -> None:
        # What the links import holds the interpreter for long; a thread lets the screen be drawn meanwhile.
        self._fleet = await asyncio.to_thread(self._connect)
        self._fleet.start()
        self._connected.set()
        async with asyncio.TaskGroup() as group:
            for info in self._infos:
                group.create_task(self._host(info.name, sink), name=f"watch {info.name}")

    async def close(self) -> None:
        if self._fleet is not None:
            await self._fleet.close()

    # Watching

    async def _host(self, host: str, sink: Sink) -> None:
        woken = _Woken()

        def say(body: Any) -> None:
            sink(Seen(self._clock(), host, body))

        async with asyncio.TaskGroup() as group:
            group.create_task(self._states(host, say))
            for stream in (_status, _Events(), _operations, _slow):
                group.create_task(self._persist(host, say, lambda client, s=stream: s(client, say, woken)))  # type: ignore[misc]

    async def _states(self, host: str, say: Callable[[Any], None]) -> None:
        link = await self._link(host)
        async for status in link.watch():
            detail = f"{status.detail}; {status.remedy}" if status.remedy else status.detail
            say(LinkSeen(str(status.state), detail))

    async def _persist(
        self, host: str, say: Callable[[Any], None], stream: Callable[[AgentClient], Awaitable[None]]
    ) -> None:
        """Keeps a stream going for ever."""
        delay = FIRST_DELAY
        while True:
            try:
                await stream(await self._live_client(host))
                delay = FIRST_DELAY
            except NoConnection:
                delay = FIRST_DELAY
            except BlackholeError as error:
                say(Trouble(str(error)))
                delay = min(MOST_DELAY, delay * 2)
            await asyncio.sleep(delay)

    async def _link(self, host: str) -> Link:
        await self._connected.wait()
        assert self._fleet is not None  # set before the event
        link: Link = self._fleet.links[host]
        return link

    async def _live_client(self, host: str) -> AgentClient:
        """The client, whenever the host can be reached at last."""
        link = await self._link(host)
        while True:
            async for status in link.watch():
                if status.state == "live":
                    break
            try:
                return await link.ready()
            except NoConnection:
                await asyncio.sleep(FIRST_DELAY)

    async def _client_now(self, host: str) -> AgentClient:
        """The client, or why there is none now."""
        link = await self._link(host)
        return await link.ready(5.0)

    # Asking

    async def logs(self, host: str, request: logs_pb2.LogsRequest) -> AsyncGenerator[logs_pb2.LogBatch, None]:
        resume = LogResume()
        while True:
            client = await self._live_client(host)
            try:
                async for batch in client.logs(resume.request(request)):
                    yield resume.new(batch)
            except NoConnection:
                await asyncio.sleep(FIRST_DELAY)
            else:
                if not request.follow:
                    return
                await asyncio.sleep(1.0)

    async def count_logs(self, host: str, request: logs_pb2.CountLogsRequest) -> logs_pb2.LogCounts:
        last = logs_pb2.LogCounts()
        async for counts in (await self._client_now(host)).count_logs(request):
            last = counts
        return last

    async def series(self, host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        history = self._history(host)
        return await (history.series(request) if history is not None else self._agents_series(host, request))

    async def _agents_series(self, host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        return await (await self._client_now(host)).series(request)

    def _history(self, host: str) -> History | None:
        """Of a host that has a Prometheus."""
        if host not in self._prometheus or self._fleet is None:
            return None
        if host not in self._histories:
            fleet, link = self._fleet, self._fleet.links[host]
            prometheus = Prometheus(host, self._prometheus[host], partial(fleet.socket, host))
            self._histories[host] = History(
                partial(self._agents_series, host), lambda: link.status.state == "live", prometheus, self._clock
            )
        return self._histories[host]

    async def overview(self, host: str) -> overview_pb2.OverviewResponse:
        return await (await self._client_now(host)).overview()

    async def outputs(self, host: str) -> tuple[logs_pb2.LogOutputsResponse, metrics_pb2.RemoteWriteResponse]:
        client = await self._client_now(host)
        outputs = logs_pb2.LogOutputsResponse(outputs=await client.log_outputs())
        try:
            return outputs, await client.remote_write()
        except NoConnection:
            raise
        except BlackholeError as error:  # an agent of before there was remote write
            log.debug("no remote write: %s", error)
            return outputs, metrics_pb2.RemoteWriteResponse()

    async def backups(self, host: str) -> backup_pb2.ListBackupsResponse:
        return await (await self._client_now(host)).backups(cached=True, without_sources=True)

    async def backup_files(self, host: str, request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:
        return await (await self._client_now(host)).backup_files(request)

    async def backup_diff(self, host: str, request: backup_pb2.BackupDiffRequest) -> backup_pb2.BackupDiff:
        return await (await self._client_now(host)).backup_diff(request)

    async def plan(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.OperationPlan:
        return await (await self._client_now(host)).plan(request)

    async def begin(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.Operation:
        deadline = self._clock() + BEGIN_FOR
        while True:
            try:
                return await (await self._client_now(host)).begin(request)
            except NoConnection:
                if self._clock() >= deadline:
                    raise
                await asyncio.sleep(FIRST_DELAY * 2)

    async def watch(self, host: str, operation: str) -> AsyncIterator[operations_pb2.Operation]:
        while True:
            client = await self._live_client(host)
            try:
                async for one in client.watch_operation(operation):
                    yield one
                    if one.state in _ENDED:
                        return
            except NoConnection:
                pass
            await asyncio.sleep(FIRST_DELAY)

    async def cancel(self, host: str, operation: str) -> operations_pb2.Operation:
        return await (await self._client_now(host)).cancel(operation)


async def _status(client: AgentClient, say: Callable[[Any], None], woken: _Woken) -> None:
    open_before: set[str] = set()
    async for snapshot in client.watch_status():
        say(snapshot)
        now = set(snapshot.open_operations)
        if now or open_before:
            woken.event.set()
        open_before = now


class _Events:
    """The event log, from the last one that was seen."""

    def __init__(self) -> None:
        self._after = 0

    async def __call__(self, client: AgentClient, say: Callable[[Any], None], woken: _Woken) -> None:
        tail = 0 if self._after else EVENTS_AT_FIRST
        async for batch in client.events(after=self._after, follow=True, tail=tail):
            if batch.events:
                known, self._after = self._after > 0, batch.events[-1].seq
                say(batch)
                if _about(batch, "operation."):
                    woken.event.set()
                # Of what was before, all has been read; else a fleet would be asked twice when one connects.
                if known and _about(batch, "backup.", "config."):
                    woken.seldom.set()


def _about(batch: events_pb2.EventBatch, *kinds: str) -> bool:
    return any(event.kind.startswith(kinds) for event in batch.events)


async def _operations(client: AgentClient, say: Callable[[Any], None], woken: _Woken) -> None:
    while True:
        say(operations_pb2.ListOperationsResponse(operations=await client.operations()))
        await woken.event.wait()
        # A burst of step changes is one look.
        await asyncio.sleep(0.2)
        woken.event.clear()


async def _slow(client: AgentClient, say: Callable[[Any], None], woken: _Woken) -> None:
    while True:
        woken.seldom.clear()
        say(await client.info())
        say(await client.backups(cached=True))
        await _bare(client, say)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.seldom.wait(), SLOW)
            await asyncio.sleep(0.5)  # a burst of events is one look


async def _bare(client: AgentClient, say: Callable[[Any], None]) -> None:
    """What runs on a host where nothing is declared, so that the fleet knows what failed there."""
    try:
        if not (await client.status()).instances:
            say(await client.overview())
    except NoConnection:
        raise
    except BlackholeError as error:  # an older agent does not know the question, and all else about it is well
        log.debug("no overview: %s", error)
