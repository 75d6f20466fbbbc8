"""Samples of a host from its agent and, where that has none, from the Prometheus that its host is declared to have."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from bhtui.core.errors import BlackholeError
from bhtui.rpc.blackhole.v1 import metrics_pb2

from .prometheus import Prometheus

Ask = Callable[[metrics_pb2.SeriesRequest], Awaitable[metrics_pb2.SeriesResponse]]

REST = 15.0
"""Seconds for which a Prometheus that could not be asked is left alone."""


class History:
    """Of one host. `is_live`: whether its agent answers now."""

    def __init__(
        self,
        agent: Ask,
        is_live: Callable[[], bool],
        prometheus: Prometheus,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent, self._is_live, self._prometheus = agent, is_live, prometheus
        self._clock, self._monotonic = clock, monotonic
        self._failed: tuple[float, BlackholeError] | None = None

    async def series(self, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        """All there is. `source` says when some of it is not from the agent, or could not be had. Raises
        BlackholeError when there is nothing at all."""
        if not self._is_live():
            return await self._asked(request)
        try:
            recent = await self._agent(request)
        except BlackholeError as error:
            try:
                return await self._asked(request)
            except BlackholeError as other:
                raise BlackholeError(f"{error}; and {other}") from None
        edge = beginning(recent)
        if edge is not None and reaches_back(request, edge, self._clock()):
            return recent
        wanted = metrics_pb2.SeriesRequest()
        wanted.CopyFrom(request)
        if edge is not None:
            wanted.until_ns = edge - 1
        try:
            older = await self._asked(wanted)
        except BlackholeError as error:
            recent.source = f"the agent alone: {error}"
            return recent
        return before(older, recent) if older.series else recent

    async def _asked(self, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        """From Prometheus; one that has just failed is not asked again at once. Raises BlackholeError."""
        if self._failed is not None and self._monotonic() - self._failed[0] < REST:
            raise self._failed[1]
        try:
            answer = await self._prometheus.series(request, self._clock())
        except BlackholeError as error:
            self._failed = self._monotonic(), error
            raise
        self._failed = None
        return answer


def beginning(answer: metrics_pb2.SeriesResponse) -> int | None:
    """The first time of which there is something, Unix nanoseconds."""
    return min((one.times_ns[0] for one in answer.series if one.times_ns), default=None)


def reaches_back(request: metrics_pb2.SeriesRequest, edge_ns: int, now: float) -> bool:
    """Whether what begins at `edge` is all that was asked for, as far as one can tell."""
    until_ns = request.until_ns or int(now * 1e9)
    slack = max(0.03 * (until_ns - request.since_ns), (2 * request.step + 2) * 1e9)
    return edge_ns <= request.since_ns + slack


def before(older: metrics_pb2.SeriesResponse, recent: metrics_pb2.SeriesResponse) -> metrics_pb2.SeriesResponse:
    """What Prometheus has, then what the agent has; limits are the agent's."""
    edge = beginning(recent)
    told = f", before {datetime.fromtimestamp(edge / 1e9).astimezone():%d %b %H:%M}" if edge is not None else ""
    made = metrics_pb2.SeriesResponse(source=f"{older.source}{told}")
    first = {(one.instance, one.metric): one for one in older.series}
    for one in recent.series:
        old = first.pop((one.instance, one.metric), None)
        made.series.append(_after(old, one) if old is not None else one)
    made.series.extend(first.values())
    return made


def _after(old: metrics_pb2.Series, new: metrics_pb2.Series) -> metrics_pb2.Series:
    joined = metrics_pb2.Series()
    joined.CopyFrom(new)
    del joined.times_ns[:], joined.values[:], joined.lows[:], joined.highs[:]
    joined.times_ns.extend([*old.times_ns, *new.times_ns])
    joined.values.extend([*old.values, *new.values])
    if old.highs or new.highs:
        joined.highs.extend([*(old.highs or old.values), *(new.highs or new.values)])
    return joined
