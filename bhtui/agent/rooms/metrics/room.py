"""The room of metrics: one sample a second of every instance and of the host, and what is kept of them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cache, partial
from operator import attrgetter
from pathlib import Path

from bhtui.core.errors import NotFound, UsageError
from bhtui.core.series import Series, SeriesQuery
from bhtui.core.spec import MetricsSpec
from bhtui.core.status import HostStatus

from . import host, procfs
from .history import History
from .host import HostReading
from .model import HOST, HOST_METRICS, INSTANCE_METRICS, METRICS, HostSample, Sample, service_of
from .points import Key, Points
from .rollup import folded
from .scrape import Scraper
from .tree import Tree

PERIOD = 1.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """How well the room keeps its own time."""

    ticks: int = 0
    missed: int = 0
    """Ticks that were left out because the one before had taken too long."""
    lag_seconds: float = 0.0
    """How late the last tick began."""
    worst_lag_seconds: float = 0.0
    duration_seconds: float = 0.0
    """How long the last one took."""


class Metrics:
    """Samples from `start` to `close`.

    `groups_of` tells the cgroup folders of an instance, `limit_of` its declared limit of a metric.
    """

    def __init__(
        self,
        state_folder: Path,
        groups_of: Callable[[str], Sequence[str]] = lambda _: (),
        limit_of: Callable[[str, str], float | None] = lambda _instance, _metric: None,
        clock: Callable[[], int] = time.time_ns,
        kept: MetricsSpec | None = None,
    ) -> None:
        self.pace = Pace()
        self.served: Callable[[], Mapping[str, str]] = dict
        """Address of the own metrics of each running instance that has one; the wiring gives it."""
        self.scraper = Scraper(lambda: self.served())
        self.history = History(state_folder / "metrics", kept or MetricsSpec())
        self._folder, self._groups_of, self._limit_of, self._clock = state_folder, groups_of, limit_of, clock
        self._trees: dict[str, Tree] = {}
        self._ended: list[Tree] = []
        self._latest: dict[str, Sample] = {}
        self._host = HostReading()
        self._host_sample = HostSample()
        self._os = host.os_name()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to sample, in the running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._run(), name="metrics"),
            loop.create_task(self.scraper.watch(), name="scrape"),
        ]
        for task in self._tasks:
            task.add_done_callback(_tell_failure)

    async def close(self) -> None:
        """Ends sampling and closes every file."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.scraper.close)
        self._pool.shutdown(wait=True)
        await self.history.close()
        for tree in [*self._trees.values(), *self._ended]:
            tree.close()
        self._trees.clear()
        self._ended.clear()

    def track(self, instance: str, pid: int) -> None:
        """Samples an instance from now on; `pid` is its first process."""
        self.forget(instance)
        self._trees[instance] = Tree(pid, partial(self._groups_of, instance))

    def forget(self, instance: str) -> None:
        """Samples it no more; what was measured stays in the history."""
        if (tree := self._trees.pop(instance, None)) is not None:
            self._ended.append(tree)  # it may be in use in the sampling thread just now, which closes it
        self._latest.pop(instance, None)

    def of(self, instance: str) -> Sample | None:
        """The last sample of an instance that runs."""
        return self._latest.get(instance)

    @property
    def latest(self) -> Mapping[str, Sample]:
        """The last sample of every instance that runs."""
        return self._latest

    @property
    def host_sample(self) -> HostSample:
        """The last sample of the host."""
        return self._host_sample

    async def series(self, query: SeriesQuery) -> list[Series]:
        """Metrics (none: all) of services, instances or `host` (none: all) after since and up to until (0: now).

        Raises UsageError, NotFound.
        """
        if unknown := sorted(set(query.metrics) - set(METRICS)):
            raise UsageError(f"cannot show {', '.join(unknown)}: no such metric; there are {', '.join(METRICS)}")
        if query.step < 0:
            raise UsageError(f"cannot show points {query.step:g} s apart: the step must be zero or more")
        until = query.until_ns or self._clock()
        there = await self.history.keys(query.since_ns)
        chosen = [key for key in self._chosen(query.names, there) if key[1] in query.metrics or not query.metrics]
        points = await self.history.read(chosen, query.since_ns, until, round(query.step * 1e9))
        if query.by_service:
            return [_series(service, service, metric, each) for (service, metric), each in folded(points).items()]
        limit = self._limit_of
        return [
            _series(service_of(name), name, metric, each, limit(name, metric))
            for (name, metric), each in points.items()
        ]

    def _chosen(self, names: Collection[str], there: Sequence[Key]) -> list[Key]:
        measured = dict.fromkeys(name for name, _ in there)
        known = {*measured, *self._trees, *map(service_of, measured), *map(service_of, self._trees), HOST}
        if unknown := sorted(set(names) - known):
            raise NotFound(
                f"cannot show {', '.join(unknown)}: nothing of that name was measured in that time; "
                f"there are {', '.join(sorted(known))}"
            )
        return [key for key in there if key[0] in names or service_of(key[0]) in names or not names]

    def host_status(self, now_ns: int, last_backup_ns: int = 0) -> HostStatus:
        """The host as it was last measured."""
        if not self._host.total_ticks:
            self._host = host.measure(self._folder)
        return HostStatus(
            hostname=os.uname().nodename,
            os=self._os,
            uptime_seconds=self._host.uptime_seconds,
            load1=self._host.load1,
            cpu_percent=self._host_sample.cpu_percent,
            cpus=os.cpu_count() or 1,
            memory_used_bytes=self._host.memory_used_bytes,
            memory_total_bytes=self._host.memory_total_bytes,
            disk_used_percent=self._host.disk_used_percent,
            time_ns=now_ns,
            last_backup_ns=last_backup_ns,
        )

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        await self.history.load(self._clock())
        due = loop.time()
        while True:
            await asyncio.sleep(due - loop.time())
            begun = loop.time()
            self.pace.lag_seconds = begun - due
            self.pace.worst_lag_seconds = max(self.pace.worst_lag_seconds, self.pace.lag_seconds)
            await self._tick()
            self.pace.duration_seconds = loop.time() - begun
            self.pace.ticks += 1
            # From deadline to deadline, so that nothing adds up; a deadline that is past already is left out.
            late = max(0, int((loop.time() - due) // PERIOD))
            self.pace.missed += late
            due += PERIOD * (1 + late)

    async def _tick(self) -> None:
        trees = dict(self._trees)
        ended, self._ended = self._ended, []
        loop = asyncio.get_running_loop()
        samples, reading = await loop.run_in_executor(self._pool, self._measure, trees, ended)
        self._host_sample, self._host = host.sample(self._host, reading), reading
        self._latest = {name: one for name, one in samples.items() if self._trees.get(name) is trees[name]}
        values = dict(_known(HOST, HOST_METRICS, self._host_sample))
        for name, one in self._latest.items():
            values.update(_known(name, INSTANCE_METRICS, one))
        values.update(self.scraper.values())
        self.history.append(self._clock(), values)

    def _measure(self, trees: Mapping[str, Tree], ended: Sequence[Tree]) -> tuple[dict[str, Sample], HostReading]:
        """Runs in the sampling thread, as does everything that touches a tree once it is tracked."""
        for tree in ended:
            tree.close()
        children = cache(procfs.children)  # at most once a tick, and only when some tree has no groups
        samples = {}
        for name, tree in trees.items():
            if (sample := tree.sample(time.monotonic_ns(), children)) is not None:
                samples[name] = sample
        return samples, host.measure(self._folder)


def _series(service: str, instance: str, metric: str, points: Points, limit: float | None = None) -> Series:
    return Series(service, instance, metric, points.times_ns, points.means, limit, points.lows, points.highs)


_PARTS = {kind: attrgetter(*(each.name for each in fields(kind))) for kind in (Sample, HostSample)}
"""All numbers of a sample; ten times as fast as `astuple`, and it is asked of every instance every second."""


def _known(name: str, metrics: Iterable[str], sample: Sample | HostSample) -> Iterator[tuple[Key, float]]:
    numbers = _PARTS[type(sample)](sample)
    return (((name, metric), value) for metric, value in zip(metrics, numbers, strict=True) if value is not None)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("sampling has ended: %r; restart the agent and report this", error)
