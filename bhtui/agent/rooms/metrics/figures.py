"""Every figure that leaves the agent for Prometheus, by the endpoint or by remote write, with what it means."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

from bhtui.core.states import State
from bhtui.core.status import InstanceStatus

from . import procfs
from .durations import Durations
from .model import HOST_METRICS, INSTANCE_METRICS, SERVED_METRICS, Row, service_of
from .room import Metrics


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
    "blackhole_host_usage": Described("gauge", f"What the host uses: {', '.join(HOST_METRICS)}.", ("resource",)),
    "blackhole_service_traffic": Described(
        "gauge",
        f"What an instance says of its requests: {', '.join(SERVED_METRICS)}.",
        ("service", "instance", "resource"),
    ),
    "grpc_request_duration_seconds": Described(
        "histogram", "Duration of calls to the agent, by the name of the status.", ("service", "method", "status")
    ),
    "blackhole_instance_restarts": Described("gauge", "Restarts since it was last started.", ("service", "instance")),
    "blackhole_log_dropped_lines_total": Described(
        "counter", "Lines that are in no log: over the `rate_limit`, or `disk` full.", ("service", "instance", "reason")
    ),
    "blackhole_log_output_up": Described("gauge", "1 unless the last try to send failed, 0 then.", ("output",)),
    "blackhole_log_output_lines_total": Described(
        "counter", "Lines of a log output: sent, retried, dropped, dead_lettered.", ("output", "result")
    ),
    "blackhole_log_output_sent_bytes_total": Described("counter", "Bytes of the lines that were sent.", ("output",)),
    "blackhole_log_output_behind_bytes": Described("gauge", "Captured and not yet sent.", ("output",)),
    "blackhole_log_output_behind_seconds": Described("gauge", "Age of the oldest line that waits.", ("output",)),
    "blackhole_remote_write_up": Described(
        "gauge", "1 unless the last try to send samples failed, 0 then.", ("remote",)
    ),
    "blackhole_remote_write_samples_total": Described(
        "counter", "Samples of remote write: sent, retried, dropped, rejected.", ("remote", "result")
    ),
    "blackhole_remote_write_sent_bytes_total": Described("counter", "Bytes that remote write has sent.", ("remote",)),
    "blackhole_remote_write_behind_samples": Described("gauge", "Samples taken and not yet sent.", ("remote",)),
    "blackhole_remote_write_behind_seconds": Described(
        "gauge", "Age of the oldest sample that waits to be sent.", ("remote",)
    ),
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


class Figures:
    """`status` tells the instances, `more` the figures of other rooms by metric. Asked in the agent's own loop."""

    def __init__(
        self,
        metrics: Metrics,
        status: Callable[[], Sequence[InstanceStatus]],
        version: str,
        more: Callable[[], Mapping[str, Sequence[Row]]] = dict,
    ) -> None:
        self.durations = Durations("grpc_request_duration_seconds")
        """Calls to the agent: service, method, status as gRPC names it."""
        self._metrics, self._status, self._version, self._more = metrics, status, version, more

    def rows(self) -> dict[str, Sequence[Row]]:
        """Every figure now, by metric: label values in the order of EXPORTED, and the value."""
        instances = self._status()
        agent: dict[str, list[Row]] = {name: [((), value)] for name, value in self._agent().items()}
        return {
            "up": [((one.service, one.instance), float(one.state is State.RUNNING)) for one in instances],
            "process_resource_usage": list(self._usage(instances)),
            "blackhole_host_usage": [
                ((name,), value)
                for name, value in zip(HOST_METRICS, astuple(self._metrics.host_sample), strict=True)
                if value is not None
            ],
            "blackhole_service_traffic": [
                ((service_of(name), name, metric), value) for (name, metric), value in self._metrics.scraper.values()
            ],
            **self.durations.rows(),
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
