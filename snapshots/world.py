"""A made-up fleet at one fixed moment: the same messages that live hosts would send, for snapshots and tests."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from random import Random

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

NOW = 1_773_803_564.0
"""2026-03-18 03:12:44 UTC."""
G, M = 1024**3, 1024**2


def ns(seconds_ago: float) -> int:
    return int((NOW - seconds_ago) * 1e9)


HOSTS = (
    HostInfo("web-01", "10.0.0.11", "production", production=True),
    HostInfo("web-02", "10.0.0.12", "production", production=True),
    HostInfo("web-07", "10.0.0.17", "production", production=True),
    HostInfo("db-01", "10.0.1.11", "production", production=True),
    HostInfo("cache-02", "10.0.2.12", "production", production=True),
    HostInfo("edge-3", "192.0.2.33", "edge", read_only=True),
    HostInfo("stage-1", "10.1.0.11", "staging"),
    HostInfo("stage-2", "10.1.0.12", "staging"),
)
LINKS = {"edge-3": LinkSeen("no-route", "cannot reach 192.0.2.33:22: no route to host"), "cache-02": LinkSeen("stale")}
CPU = {"web-01": 22, "web-02": 20, "web-07": 91, "db-01": 34, "cache-02": 3, "stage-1": 8, "stage-2": 5}
MEMORY = {"web-01": 1.9, "web-02": 1.8, "web-07": 3.1, "db-01": 7.4, "cache-02": 0.4, "stage-1": 0.9, "stage-2": 0.7}


def instance(service: str, **changes: object) -> status_pb2.InstanceStatus:
    """A healthy instance, with changes; None takes a field away."""
    values: dict[str, object] = {
        "service": service,
        "instance": f"{service}-1",
        "state": "running",
        "goal": "up",
        "health": "healthy",
        "probe": "http",
        "pid": 2000 + sum(map(ord, service)),
        "uptime_seconds": 3.2 * 86400,
        "cpu_percent": 2.0 + len(service),
        "memory_bytes": 96 * M,
        "memory_limit_bytes": 512 * M,
        "limits_held_by": "cgroup v2",
        "since_ns": ns(3.2 * 86400),
        "threads": 8,
        "fds": 41,
        "result": "none",
    }
    values.update(changes)
    return status_pb2.InstanceStatus(**{key: value for key, value in values.items() if value is not None})  # type: ignore[arg-type]


def services(host: str) -> list[status_pb2.InstanceStatus]:
    if host == "web-07":
        why = (
            "exit 1 after 0.2 s: bind 0.0.0.0:8080: address in use by nginx(2231)\n"
            "03:12:12 starting api 4.2.1\n03:12:12 bind 0.0.0.0:8080: address in use"
        )
        return [
            instance("identity", ports=[7001]),
            instance("storage", ports=[7002], memory_bytes=210 * M, cpu_percent=12.0),
            instance("ledger", ports=[7003], memory_bytes=455 * M, cpu_percent=41.0),
            instance("node", ports=[7004], cpu_percent=0.6),
            instance(
                "api",
                state="backoff",
                health="unknown",
                pid=None,
                uptime_seconds=None,
                cpu_percent=None,
                memory_bytes=None,
                restarts=6,
                next_start_seconds=8.0,
                last_error=why,
                result="exit-code",
                since_ns=ns(3),
                threads=None,
                fds=None,
            ),
        ]
    if host == "db-01":
        return [
            instance(
                "postgres",
                ports=[5432],
                memory_bytes=1800 * M,
                memory_limit_bytes=2 * G,
                cpu_percent=31.0,
                probe="test",
                uptime_seconds=41 * 86400,
            ),
            instance("pgbouncer", ports=[6432], probe="tcp", memory_bytes=18 * M, memory_limit_bytes=None),
            instance("exporter", health="degraded", health_detail="answered in 4.8 s of 5 s", memory_bytes=31 * M),
        ]
    return [
        instance("nginx", ports=[80, 443], probe="tcp", memory_bytes=48 * M),
        instance("api", ports=[8080], memory_bytes=222 * M),
        instance("worker", memory_bytes=210 * M, probe="none", health="unknown"),
    ]


def wave(seed: int, mean: float, at: float, spread: float = 0.5) -> float:
    """A plausible load."""
    noise = Random(seed * 1000 + int(at)).random() - 0.5
    return max(0.0, mean * (1 + spread * math.sin(at / 17 + seed) * 0.6 + spread * noise))


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


def events(host: str) -> list[events_pb2.Event]:
    kinds = [
        (900, "config.loaded", "", "configuration loaded: 5 services", "ada"),
        (420, "operation.state", "3f9a11c2d4e5f60718293a4b5c6d7e8f", "restart api: running", "ada"),
        (418, "instance.state", "api-1", "running -> stopping: asked to restart", ""),
        (417, "instance.state", "api-1", "stopping -> starting", ""),
        (416, "instance.state", "api-1", "starting -> running", ""),
        (415, "operation.state", "3f9a11c2d4e5f60718293a4b5c6d7e8f", "restart api: done", "ada"),
    ]
    if host == "web-07":
        failed = "starting -> backoff: exit 1 after 0.2 s, restart"
        kinds += [(40 - number * 6, "instance.state", "api-1", f"{failed} {number + 1}", "") for number in range(6)]
    if host == "db-01":
        kinds.append((75, "instance.health", "exporter-1", "healthy -> degraded: answered in 4.8 s of 5 s", ""))
    return [
        events_pb2.Event(
            seq=80 + number,
            time_ns=ns(ago),
            kind=kind,
            target=target,
            message=message,
            actor=operations_pb2.Actor(name=actor) if actor else None,
        )
        for number, (ago, kind, target, message, actor) in enumerate(kinds)
    ]


def operations(host: str) -> list[operations_pb2.Operation]:
    ada = operations_pb2.Actor(name="ada", origin="desk")
    step = operations_pb2.Step
    out = [
        operations_pb2.Operation(
            id=f"{host[:2].encode().hex()}9a11c2d4e5f60718293a4b5c6d7e8f",
            kind="restart",
            targets=["api"],
            actor=ada,
            reason="new certificate",
            state="done",
            created_ns=ns(420),
            started_ns=ns(420),
            ended_ns=ns(415.9),
            effects=["nginx depends on api, stays up, answers 502 meanwhile"],
            steps=[
                step(
                    index=0,
                    kind="service.stop",
                    target="api-1",
                    title="stop api-1: SIGTERM, 10 s grace",
                    state="done",
                    started_ns=ns(420),
                    ended_ns=ns(418.8),
                ),
                step(
                    index=1,
                    kind="service.start",
                    target="api-1",
                    title="start api-1: wait healthy by http :8080/health, at most 30 s",
                    state="done",
                    started_ns=ns(418.8),
                    ended_ns=ns(415.9),
                ),
            ],
        )
    ]
    if host == "db-01":
        out.append(
            operations_pb2.Operation(
                id="b1d2c3e4f5a6978812345678deadbeef",
                kind="restart",
                targets=["exporter"],
                actor=ada,
                reason="slow answers",
                state="running",
                created_ns=ns(6),
                started_ns=ns(6),
                steps=[
                    step(
                        index=0,
                        kind="service.stop",
                        target="exporter-1",
                        title="stop exporter-1: SIGTERM, 10 s grace",
                        state="done",
                        started_ns=ns(6),
                        ended_ns=ns(4.4),
                    ),
                    step(
                        index=1,
                        kind="service.start",
                        target="exporter-1",
                        title="start exporter-1: wait healthy by http :9187/, at most 30 s",
                        state="waiting",
                        detail="not ready yet: connection refused, 4 s of 30 s",
                        started_ns=ns(4.4),
                    ),
                    step(
                        index=2,
                        kind="service.wait",
                        target="exporter-1",
                        title="watch exporter-1 for 10 s",
                        state="pending",
                    ),
                ],
            )
        )
    if host == "stage-1":
        out.append(
            operations_pb2.Operation(
                id="77aa31c2d4e5f60718293a4b5c6d7e00",
                kind="start",
                targets=["worker"],
                actor=operations_pb2.Actor(name="bo", origin="laptop"),
                state="failed",
                created_ns=ns(7200),
                started_ns=ns(7200),
                ended_ns=ns(7169),
                error="cannot start worker-1: not healthy after 30 s: connection refused on :9000",
                steps=[
                    step(
                        index=0,
                        kind="service.start",
                        target="worker-1",
                        title="start worker-1",
                        state="failed",
                        started_ns=ns(7200),
                        ended_ns=ns(7169),
                    )
                ],
            )
        )
    return out


def backups(host: str) -> backup_pb2.ListBackupsResponse:
    if host.startswith("stage"):
        return backup_pb2.ListBackupsResponse(
            sources=[
                backup_pb2.BackupSource(service="api", path="/srv/api/data", bytes=41 * M, files=1204),
                backup_pb2.BackupSource(
                    service="worker", path="/srv/spool", problem="cannot read /srv/spool: permission denied"
                ),
            ],
            hint="declare `backup: {repository: DIR}` in blackhole.yaml, then: blackhole backup create",
        )
    ages = (9, 33, 57, 81, 105, 129)
    return backup_pb2.ListBackupsResponse(
        repository="/srv/backup",
        hint="make one now: blackhole backup create",
        snapshots=[
            backup_pb2.BackupSnapshot(
                id=f"{index * 2654435761 % 2**32:08x}",
                time_ns=ns(age * 3600),
                type="full" if index == 5 else "incremental",
                host=host,
                services=["api", "worker"],
                bytes_added=(1.2 * G if index == 5 else (41 + index * 7) * M).__int__(),
                bytes_total=int(1.2 * G),
                verified=index in (2, 5),
            )
            for index, age in enumerate(ages)
        ],
    )


_SAYS = (
    ("info", "GET /v1/items/9 200 12 ms"),
    ("info", "GET /v1/items?page=3 200 31 ms"),
    ("debug", "cache hit items:9"),
    ("info", "POST /v1/orders 201 48 ms"),
    ("warning", "slow query: 812 ms SELECT * FROM orders WHERE account = $1"),
    ("info", "healthz ok"),
)


def log_lines(host: str, count: int = 400) -> list[logs_pb2.LogLine]:
    random = Random(host)
    names = [one.instance for one in services(host)] if host in CPU else []
    out: list[logs_pb2.LogLine] = []
    for number in range(count):
        ago = (count - number) * 0.7 - random.random() * 0.5
        name = random.choice(names if number % 3 == 0 else names[:-1])
        level, text = random.choice(_SAYS)
        if host == "web-07" and name == "api-1":
            level, text = "error", "bind 0.0.0.0:8080: address already in use"
        elif number % 11 == 0:
            fields = {
                "level": level,
                "msg": text,
                "trace": f"{random.getrandbits(32):08x}",
                "account": random.randint(100, 999),
                "ms": random.randint(3, 900),
            }
            text = json.dumps(fields)
        out.append(
            logs_pb2.LogLine(
                time_ns=ns(ago), service=name[:-2], instance=name, stream="stdout", level=level, message=text
            )
        )
    return out


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
        name = request.names[0]
        since = max(request.since_ns / 1e9, NOW - 3700)
        times = [since + offset * request.step for offset in range(int((NOW - since) / request.step) + 1)]
        means = {
            "cpu_percent": 41.0,
            "memory_bytes": 430.0 * M,
            "threads": 21.0,
            "fds": 63.0,
            "read_bytes_per_second": 220_000.0,
            "write_bytes_per_second": 1.4 * M,
        }
        if name == "host":
            means = {"cpu_percent": float(CPU.get(host, 10)), "memory_bytes": MEMORY.get(host, 1.0) * G}
        limits = {"cpu_percent": 200.0, "memory_bytes": 512.0 * M} if name != "host" else {"memory_bytes": 4.0 * G}
        return metrics_pb2.SeriesResponse(
            series=[
                metrics_pb2.Series(
                    service=name,
                    instance=name,
                    metric=metric,
                    times_ns=[int(at * 1e9) for at in times],
                    limit=limits.get(metric),
                    values=[wave(len(metric), mean, at, 0.1 if metric == "memory_bytes" else 0.7) for at in times],
                )
                for metric, mean in means.items()
            ]
        )

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
