"""The Prometheus endpoint: the last samples, the durations of the agent's own calls, and the agent's figures.

Text format: https://prometheus.io/docs/instrumenting/exposition_formats/. The library is imported only when an
endpoint is configured, and serves from threads of its own.
"""

from __future__ import annotations

import ipaddress
import os
import resource
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.states import State
from bhtui.core.status import InstanceStatus

from . import procfs
from .model import INSTANCE_METRICS, service_of
from .room import Metrics

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.core import Metric


class Described(NamedTuple):
    """One metric of the endpoint, as the docs list it."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


EXPORTED: Mapping[str, Described] = {
    "up": Described("gauge", "1 while the instance runs, 0 otherwise.", ("service", "instance")),
    "process_resource_usage": Described(
        "gauge", f"What an instance uses: {', '.join(INSTANCE_METRICS)}.", ("service", "instance", "resource")
    ),
    "grpc_request_duration_seconds": Described(
        "histogram", "Duration of calls to the agent, by the name of the status.", ("service", "method", "status")
    ),
    "blackhole_instance_restarts": Described("gauge", "Restarts since it was last started.", ("service", "instance")),
    "blackhole_log_output_up": Described("gauge", "1 unless the last try to send failed, 0 then.", ("output",)),
    "blackhole_log_output_lines_total": Described(
        "counter", "Lines of a log output: sent, retried, dropped, dead_lettered.", ("output", "result")
    ),
    "blackhole_log_output_sent_bytes_total": Described("counter", "Bytes of the lines that were sent.", ("output",)),
    "blackhole_log_output_behind_bytes": Described("gauge", "Captured and not yet sent.", ("output",)),
    "blackhole_log_output_behind_seconds": Described("gauge", "Age of the oldest line that waits.", ("output",)),
    "blackhole_agent_info": Described("gauge", "Always 1.", ("version",)),
    "blackhole_agent_sample_lag_seconds": Described("gauge", "How late the last sampling began."),
    "blackhole_agent_sample_duration_seconds": Described("gauge", "How long the last sampling took."),
    "blackhole_agent_samples_total": Described("counter", "Samplings done."),
    "blackhole_agent_samples_missed_total": Described("counter", "Samplings left out for being late."),
    "blackhole_scrape_up": Described(
        "gauge", "1 when an instance's own metrics could be read the last time.", ("service", "instance")
    ),
    "blackhole_scrape_failures_total": Described("counter", "Times that an instance's own metrics could not be read."),
    "blackhole_agent_history_bytes": Described("gauge", "Memory of the history of samples."),
    "blackhole_agent_history_disk_bytes": Described("gauge", "Space on disk of the history of samples."),
    "blackhole_agent_samples_unsaved_total": Described("counter", "Samplings that are not on disk."),
    "blackhole_agent_cpu_seconds_total": Described("counter", "Processor time of the agent."),
    "blackhole_agent_resident_memory_bytes": Described("gauge", "Resident memory of the agent."),
    "blackhole_agent_open_fds": Described("gauge", "Open file descriptors of the agent."),
    "blackhole_agent_threads": Described("gauge", "Threads of the agent."),
}
"""Every metric of the endpoint."""

Row = tuple[tuple[str, ...], float]


class Endpoint:
    """The page, and from `start` to `close` a server of it at `http://HOST:PORT/metrics`."""

    def __init__(
        self,
        metrics: Metrics,
        status: Callable[[], Sequence[InstanceStatus]],
        version: str,
        more: Callable[[], Mapping[str, Sequence[Row]]] = dict,
    ) -> None:
        from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics

        # A second series beside each, which nothing reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._metrics, self._status, self._version = metrics, status, version
        self._more = more
        self._registry = CollectorRegistry()
        self._registry.register(self)
        name = "grpc_request_duration_seconds"
        self._requests = Histogram(name, EXPORTED[name].help, EXPORTED[name].labels, registry=self._registry)
        self._served: tuple[WSGIServer, threading.Thread] | None = None

    def observe_request(self, service: str, method: str, status: str, seconds: float) -> None:
        """Counts one call to the agent; `status` as gRPC names it, `OK`."""
        self._requests.labels(service, method, status).observe(seconds)

    def page(self) -> str:
        """Everything now."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry).decode()

    def start(self, listen: str) -> int:
        """Opens the port and returns it. Raises BlackholeError."""
        from prometheus_client import start_http_server

        address, port = parse_listen(listen)
        try:
            self._served = start_http_server(port, address, self._registry)
        except OSError as error:
            raise BlackholeError(
                f"cannot serve metrics at {address}:{port}: {error.strerror}; choose another metrics.listen"
            ) from error
        return int(self._served[0].server_port)

    def close(self) -> None:
        """Closes the port."""
        if self._served is not None:
            server, thread = self._served
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
            self._served = None

    def collect(self) -> Iterator[Metric]:
        """All but the histogram, as prometheus_client asks for it."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, rows in self._rows().items():
            described = EXPORTED[name]
            family = (CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily)(
                name, described.help, labels=described.labels
            )
            for labels, value in rows:
                family.add_metric(labels, value)
            yield family

    def _rows(self) -> dict[str, Sequence[Row]]:
        instances = self._status()
        agent: dict[str, list[Row]] = {name: [((), value)] for name, value in self._agent().items()}
        return {
            "up": [((one.service, one.instance), float(one.state is State.RUNNING)) for one in instances],
            "process_resource_usage": list(self._usage(instances)),
            "blackhole_instance_restarts": [((one.service, one.instance), one.restarts) for one in instances],
            "blackhole_agent_info": [((self._version,), 1.0)],
            "blackhole_scrape_up": [
                ((service_of(name), name), float(not target.problem and target.seen is not None))
                for name, target in self._metrics.scraper.targets.items()
            ],
            **agent,
            **self._more(),
        }

    def _usage(self, instances: Sequence[InstanceStatus]) -> Iterator[Row]:
        latest = self._metrics.latest
        for one in instances:
            sample = latest.get(one.instance)
            for name in INSTANCE_METRICS if sample is not None else ():
                if (value := getattr(sample, name)) is not None:
                    yield (one.service, one.instance, name), value

    def _agent(self) -> dict[str, float]:
        pace, used = self._metrics.pace, resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * resource.getpagesize()
        return {
            "blackhole_agent_sample_lag_seconds": pace.lag_seconds,
            "blackhole_agent_sample_duration_seconds": pace.duration_seconds,
            "blackhole_agent_samples_total": pace.ticks,
            "blackhole_agent_samples_missed_total": pace.missed,
            "blackhole_scrape_failures_total": self._metrics.scraper.failures,
            "blackhole_agent_history_bytes": self._metrics.history.memory_bytes,
            "blackhole_agent_history_disk_bytes": self._metrics.history.disk_bytes,
            "blackhole_agent_samples_unsaved_total": self._metrics.history.lost,
            "blackhole_agent_cpu_seconds_total": used.ru_utime + used.ru_stime,
            "blackhole_agent_resident_memory_bytes": resident,
            "blackhole_agent_open_fds": procfs.open_files(os.getpid()) or 0,
            "blackhole_agent_threads": threading.active_count(),
        }


def parse_listen(listen: str) -> tuple[str, int]:
    """Address and port of `127.0.0.1:9090`, `[::1]:9090`, `localhost:9090`. Raises UsageError: wrong, or not loopback.

    The figures have no access control of their own, so no other host may reach them; it scrapes through a tunnel.
    """
    address, separator, port = listen.rpartition(":")
    address = address.strip("[]").replace("localhost", "127.0.0.1")
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
        number = int(port)
    except ValueError:
        separator = ""
    if not separator or not 0 <= number <= 65_535:
        raise UsageError(f"cannot serve metrics at {listen!r}: write an address and a port, for example 127.0.0.1:9090")
    if not is_loopback:
        raise UsageError(
            f"cannot serve metrics at {listen!r}: only this machine may reach them; write 127.0.0.1:{number} "
            "and scrape through an SSH tunnel or a proxy that checks who asks"
        )
    return address, number
