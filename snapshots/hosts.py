"""The hosts of the made-up fleet, and what runs on them at one fixed moment."""

from __future__ import annotations

import math
from random import Random

from bhtui.console.sources.message import HostInfo, LinkSeen
from bhtui.rpc.blackhole.v1 import (
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
