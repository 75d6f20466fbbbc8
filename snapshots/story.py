"""What has happened on the hosts of the made-up fleet: events, operations, backups, log lines."""

from __future__ import annotations

import json
from random import Random

from bhtui.rpc.blackhole.v1 import (
    backup_pb2,
    events_pb2,
    logs_pb2,
    operations_pb2,
)

from .hosts import CPU, G, M, ns, services


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


ADA = operations_pb2.Actor(name="ada", origin="desk")
Step = operations_pb2.Step


def _done(host: str) -> operations_pb2.Operation:
    """A restart that went well."""
    return operations_pb2.Operation(
        id=f"{host[:2].encode().hex()}9a11c2d4e5f60718293a4b5c6d7e8f",
        kind="restart",
        targets=["api"],
        actor=ADA,
        reason="new certificate",
        state="done",
        created_ns=ns(420),
        started_ns=ns(420),
        ended_ns=ns(415.9),
        effects=["nginx depends on api, stays up, answers 502 meanwhile"],
        steps=[
            Step(
                index=0,
                kind="service.stop",
                target="api-1",
                title="stop api-1: SIGTERM, 10 s grace",
                state="done",
                started_ns=ns(420),
                ended_ns=ns(418.8),
            ),
            Step(
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


def _under_way() -> operations_pb2.Operation:
    """A restart that waits for its service to be ready."""
    return operations_pb2.Operation(
        id="b1d2c3e4f5a6978812345678deadbeef",
        kind="restart",
        targets=["exporter"],
        actor=ADA,
        reason="slow answers",
        state="running",
        created_ns=ns(6),
        started_ns=ns(6),
        steps=[
            Step(
                index=0,
                kind="service.stop",
                target="exporter-1",
                title="stop exporter-1: SIGTERM, 10 s grace",
                state="done",
                started_ns=ns(6),
                ended_ns=ns(4.4),
            ),
            Step(
                index=1,
                kind="service.start",
                target="exporter-1",
                title="start exporter-1: wait healthy by http :9187/, at most 30 s",
                state="waiting",
                detail="not ready yet: connection refused, 4 s of 30 s",
                started_ns=ns(4.4),
            ),
            Step(
                index=2,
                kind="service.wait",
                target="exporter-1",
                title="watch exporter-1 for 10 s",
                state="pending",
            ),
        ],
    )


def _failed() -> operations_pb2.Operation:
    """A start that was not ready in time."""
    return operations_pb2.Operation(
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
            Step(
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


def operations(host: str) -> list[operations_pb2.Operation]:
    return [
        _done(host),
        *([_under_way()] if host == "db-01" else []),
        *([_failed()] if host == "stage-1" else []),
    ]


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
    ages = [9 + 24 * number for number in range(33) if number not in (6, 7, 19)]
    snapshots = [
        backup_pb2.BackupSnapshot(
            id=f"{(index + 1) * 2654435761 % 2**32:08x}",
            time_ns=ns(age * 3600),
            type="full" if index % 7 == 5 else "incremental",
            host=host,
            services=[service],
            bytes_added=int(1.2 * G if index % 7 == 5 else (41 + index * 7) * M),
            bytes_total=int(1.2 * G),
            files=48_211,
            paths=[f"/srv/{service}"],
            verified=index in (2, 5),
            verified_ns=ns(7200) if index in (2, 5) else 0,
            verified_how="data",
            problem="the pack 9f31c0aa is missing" if host == "web-02" and index == 3 else "",
            drilled_ns=ns(5 * 86400) if index == 5 else 0,
            drill_seconds=41.0,
            kept=["newest", "incremental 1 of 7"] if not index else ["incremental 3 of 7"],
        )
        for service in ("api", "worker")
        for index, age in enumerate(ages)
    ]
    late = host == "web-02"
    return backup_pb2.ListBackupsResponse(
        repository="/srv/backup",
        hint="make one now: blackhole backup create",
        snapshots=sorted(snapshots, key=lambda one: -one.time_ns),
        services=[
            backup_pb2.ServiceProtection(
                service=service,
                last_ns=ns(9 * 3600),
                last_good_ns=ns((57 if late and service == "api" else 9) * 3600),
                late=late and service == "api",
                failed_ns=ns(3600) if late and service == "api" else 0,
                error="pg_basebackup of api failed: connection refused" if late and service == "api" else "",
                drilled_ns=ns(5 * 86400),
                drill_seconds=41.0,
            )
            for service in ("api", "worker")
        ],
        running=[
            backup_pb2.BackupProgress(
                operation="5e1d", service="worker", phase="backup", bytes=int(0.5 * G), bytes_total=int(1.2 * G),
                files=20_000, files_total=48_211, current="/srv/worker/spool/2026/11/0000412.json", seconds=9.0,
            )
        ]
        if host == "web-01"
        else [],
        next_incremental_ns=ns(-15 * 3600),
        next_full_ns=ns(-5 * 86400),
        rpo_seconds=86400.0,
        rto_seconds=1800.0,
    )  # fmt: skip


def backup_files(request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:
    top = request.path or ""
    names = (
        ("etc", "dir", 0),
        ("spool", "dir", 0),
        ("app.db", "file", 412 * M),
        ("current", "symlink", 0),
        ("notes.txt", "file", 812),
    )
    return backup_pb2.BackupFiles(
        id=request.id,
        entries=[
            backup_pb2.BackupEntry(
                path=f"{top}/{name}", type=kind, mode=0o755 if kind == "dir" else 0o640, size=size,
                mtime_ns=ns(3600 * (3 + number)), user="api", group="api",
                linktarget="app.db" if kind == "symlink" else "",
            )
            for number, (name, kind, size) in enumerate(names)
        ],
    )  # fmt: skip


def backup_diff(request: backup_pb2.BackupDiffRequest) -> backup_pb2.BackupDiff:
    change = backup_pb2.BackupChange
    return backup_pb2.BackupDiff(
        a=request.a,
        b=request.b,
        changes=[
            change(path="/srv/api/app.db", kind="changed", size_a=410 * M, size_b=412 * M),
            change(path="/srv/api/spool/0000411.json", kind="removed", size_a=812),
            change(path="/srv/api/spool/0000412.json", kind="added", size_b=901),
            change(path="/srv/api/notes.txt", kind="meta", size_a=812, size_b=812),
        ],
        bytes_added=412 * M + 901,
        bytes_removed=410 * M + 812,
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
