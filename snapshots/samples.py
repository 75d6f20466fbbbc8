"""Made-up samples of the fleet's hosts and instances."""

from __future__ import annotations

from collections.abc import Iterator

from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2

from .hosts import CPU, MEMORY, NOW, G, M, ns, wave


def samples(host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
    """What the host would answer at NOW: an hour of everything that is asked for."""
    since = max(request.since_ns / 1e9, NOW - 3700)
    until = request.until_ns / 1e9 or NOW
    times = [since + offset * request.step for offset in range(max(0, int((until - since) / request.step) + 1))]
    made = metrics_pb2.SeriesResponse()
    for name in request.names:
        made.series.extend(_series(host, name, metric, mean, times) for metric, mean in _means(host, name, request))
    return made


def _means(host: str, name: str, request: metrics_pb2.SeriesRequest) -> Iterator[tuple[str, float]]:
    """What is measured of a host or an instance; the more when it is asked for by name."""
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
    if request.metrics:
        more = {"receive_bytes_per_second": 3.1 * M, "send_bytes_per_second": 9.9 * M, "load1": CPU.get(host, 10) / 25}
        served = {"requests_per_second": 214.0, "errors_per_second": 0.8, "latency_p95_seconds": 0.18}
        means |= (more | {"disk_used_percent": 61.0}) if name == "host" else served
    return ((metric, mean) for metric, mean in means.items() if not request.metrics or metric in request.metrics)


def _series(host: str, name: str, metric: str, mean: float, times: list[float]) -> metrics_pb2.Series:
    limits = {"cpu_percent": 200.0, "memory_bytes": 512.0 * M} if name != "host" else {"memory_bytes": 4.0 * G}
    seed, load = len(metric), mean
    if name not in ("host", "api-1"):
        seed, load = seed + sum(map(ord, name)) % 97, mean * (0.4 + sum(map(ord, host + name)) % 7 / 8)
    spread = 0.1 if metric in ("memory_bytes", "disk_used_percent") else 0.7
    return metrics_pb2.Series(
        service=name,
        instance=name,
        metric=metric,
        times_ns=[int(at * 1e9) for at in times],
        limit=limits.get(metric),
        values=[wave(seed, load, at, spread) for at in times],
    )


def outputs(host: str) -> tuple[logs_pb2.LogOutputsResponse, metrics_pb2.RemoteWriteResponse]:
    """Logs go to a Loki and to syslog, samples to a Prometheus; one host has trouble with two of them."""
    loki = logs_pb2.LogOutput(
        name="loki", type="loki", target="https://loki.example:3100", state="ok", sent=1_204_311, sent_bytes=212 * M,
        last_sent_ns=ns(1), retried=40,
    )  # fmt: skip
    syslog = logs_pb2.LogOutput(
        name="central", type="syslog", target="tls syslog.example:6514", state="ok", sent=88_120, sent_bytes=14 * M,
        last_sent_ns=ns(2),
    )  # fmt: skip
    sent = metrics_pb2.RemoteWriteStatus(
        target="https://prometheus.example:9090/api/v1/write", state="ok", sent=4_210_880, sent_bytes=190 * M,
        last_sent_ns=ns(6),
    )  # fmt: skip
    if host == "web-07":
        loki.state, loki.failing_since_ns, loki.last_error_ns = "failing", ns(312), ns(9)
        loki.last_error = "https://loki.example:3100 says 503 Service Unavailable: ingester is not ready"
        loki.behind_lines, loki.behind_bytes, loki.behind_seconds, loki.dead_lettered = 18_220, 3 * M, 312, 12
        sent.state, sent.behind_samples, sent.behind_bytes, sent.behind_seconds = "lagging", 41_200, 2 * M, 184
        sent.dropped = 800
    return logs_pb2.LogOutputsResponse(outputs=[loki, syslog]), metrics_pb2.RemoteWriteResponse(statuses=[sent])
