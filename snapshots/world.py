"""A made-up fleet at one fixed moment: the same messages that live hosts would send, for snapshots and tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from bhtui.console.sources.backend import Sink
from bhtui.console.sources.lines import counted, selected
from bhtui.console.sources.message import HostInfo, LinkSeen, Seen
from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1 import (
    agent_pb2,
    backup_pb2,
    events_pb2,
    logs_pb2,
    metrics_pb2,
    operations_pb2,
    overview_pb2,
    status_pb2,
)

from .hosts import CPU, HOSTS, LINKS, MEMORY, NOW, G, ns, services, wave
from .samples import outputs, samples
from .story import backup_diff, backup_files, backups, events, log_lines, operations


def messages() -> Iterator[Seen]:
    """Everything the sources would have said by NOW."""
    for number, info in enumerate(HOSTS):
        name = info.name
        yield Seen(NOW - 900, name, info)
        yield Seen(NOW - 890, name, LINKS.get(name, LinkSeen("live")))
        if name == "edge-3":
            continue
        age = 12.0 if name == "cache-02" else 0.0
        for second in range(60):
            at = NOW - 59 + second - age
            burst = 2.2 if name == "web-07" and second > 40 else 1.0
            host = status_pb2.HostStatus(
                hostname=name,
                os="Debian 12",
                uptime_seconds=41.3 * 86400,
                load1=CPU[name] / 25,
                cpus=4,
                memory_used_bytes=int(MEMORY[name] * G),
                memory_total_bytes=(8 if name == "db-01" else 4) * G,
                disk_used_percent=88 if name == "db-01" else 40 + number * 3,
                time_ns=int(at * 1e9),
                cpu_percent=min(99.0, wave(number, CPU[name] / (2.2 if name == "web-07" else 1), at) * burst),
                last_backup_ns=ns(2.2 * 86400 if name == "web-02" else 9 * 3600) if info.group == "production" else 0,
            )
            changed = services(name)
            for one in changed:
                if one.HasField("cpu_percent"):
                    one.cpu_percent = wave(len(one.service), one.cpu_percent, at) if second < 59 else one.cpu_percent
            yield Seen(at, name, status_pb2.Snapshot(host=host, instances=changed, full=second == 0, seq=100 + second))
        yield Seen(
            NOW - age,
            name,
            agent_pb2.AgentInfo(
                hostname=name, version="1.0", config_path="/etc/blackhole/blackhole.yaml", limits="cgroup v2"
            ),
        )
        yield Seen(NOW - age, name, events_pb2.EventBatch(events=events(name)))
        yield Seen(NOW - age, name, operations_pb2.ListOperationsResponse(operations=operations(name)))
        yield Seen(NOW - age, name, backups(name))


class World:
    """A backend that says everything at once and then is still."""

    def __init__(self) -> None:
        self.asked: list[logs_pb2.LogsRequest] = []
        self.begun: list[tuple[str, operations_pb2.OperationRequest]] = []
        self.later: asyncio.Queue[Seen] = asyncio.Queue()

    def hosts(self) -> tuple[HostInfo, ...]:
        return HOSTS

    async def run(self, sink: Sink) -> None:
        for seen in messages():
            sink(seen)
        while True:
            sink(await self.later.get())

    async def logs(self, host: str, request: logs_pb2.LogsRequest) -> AsyncGenerator[logs_pb2.LogBatch, None]:
        self.asked.append(request)
        if host not in CPU:
            raise NoConnection(f"cannot read the logs of {host}: no route to host")
        yield logs_pb2.LogBatch(lines=selected(log_lines(host), request), scanned=400, caught_up=True)
        if request.follow:
            await asyncio.Event().wait()

    async def count_logs(self, host: str, request: logs_pb2.CountLogsRequest) -> logs_pb2.LogCounts:
        return counted(log_lines(host) if host in CPU else [], request)

    async def series(self, host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        return samples(host, request)

    async def outputs(self, host: str) -> tuple[logs_pb2.LogOutputsResponse, metrics_pb2.RemoteWriteResponse]:
        return outputs(host)

    async def backups(self, host: str) -> backup_pb2.ListBackupsResponse:
        return backups(host)

    async def backup_files(self, host: str, request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:
        return backup_files(request)

    async def backup_diff(self, host: str, request: backup_pb2.BackupDiffRequest) -> backup_pb2.BackupDiff:
        return backup_diff(request)

    async def overview(self, host: str) -> overview_pb2.OverviewResponse:
        raise NoConnection(f"cannot look around on {host}: no route to host")

    async def plan(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.OperationPlan:
        step = operations_pb2.PlanStep
        services = list(getattr(request, request.WhichOneof("request") or "restart").services) or ["api"]
        steps = []
        for name in services:
            steps += [
                step(
                    kind="service.stop",
                    target=f"{name}-1",
                    title=f"stop {name}-1: SIGTERM, 10 s grace, then the whole cgroup",
                    after=[len(steps) - 1] if steps else [],
                ),
                step(
                    kind="service.start",
                    target=f"{name}-1",
                    title=f"start {name}-1: wait healthy, at most 30 s",
                    after=[len(steps)],
                ),
            ]
        return operations_pb2.OperationPlan(
            kind=request.WhichOneof("request") or "",
            targets=services,
            steps=steps,
            effects=["nginx depends on api, stays up, answers 502 meanwhile"],
            undo_on_failure=False,
            recent_seconds=[4.1, 3.9, 4.4, 4.0, 5.2, 4.1],
        )

    async def begin(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.Operation:
        self.begun.append((host, request))
        return operations_pb2.Operation(
            id=request.id,
            kind=request.WhichOneof("request") or "",
            targets=["api"],
            state="running",
            created_ns=ns(0),
            started_ns=ns(0),
            actor=request.actor,
            reason=request.reason,
        )

    async def watch(self, host: str, operation: str) -> AsyncIterator[operations_pb2.Operation]:
        kind = next(request.WhichOneof("request") or "" for _, request in self.begun if request.id == operation)
        yield operations_pb2.Operation(
            id=operation,
            kind=kind,
            targets=["api"],
            state="done",
            created_ns=ns(0),
            started_ns=ns(0),
            ended_ns=ns(-4.1),
        )

    async def cancel(self, host: str, operation: str) -> operations_pb2.Operation:
        return operations_pb2.Operation(id=operation, kind="restart", state="cancelling", created_ns=ns(1))

    async def close(self) -> None:
        """Nothing is open."""
