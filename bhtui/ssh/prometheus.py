"""Samples out of a Prometheus, by its HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/.

It has what an agent's endpoint says, scraped or sent by remote write. A point is the mean of its step where that is
longer than a scrape may be, and has the greatest beside it; else it is the sample that was there.
"""

from __future__ import annotations

import base64
import math
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.rpc.blackhole.v1 import metrics_pb2

from .inventory import PrometheusAt

HOST = "host"
TIMEOUT = 8.0
"""Seconds for one question."""
LEAST_STEP, MEAN_FROM = 15.0, 60.0
"""Seconds between points at least, and from how many on a point is a mean."""
MOST_POINTS = 2_000
WAYS = (("avg_over_time", False), ("max_over_time", True))
"""The mean of a step, and whether it is the greatest instead."""
_GREATEST = "throttled_percent|latency_.*|pressure_.*"
FOLDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sum", (f'resource!~"{_GREATEST}"',)),
    ("max", (f'resource=~"{_GREATEST}"',)),
)
"""What all instances of a service come to together: their sum, or the greatest where a sum means nothing."""


class Question(NamedTuple):
    """A range query."""

    promql: str
    is_highs: bool


def step_for(request: metrics_pb2.SeriesRequest, until: float) -> float:
    """Seconds between points."""
    return max(LEAST_STEP, request.step, (until - request.since_ns / 1e9) / MOST_POINTS)


def questions(request: metrics_pb2.SeriesRequest, labels: Mapping[str, str], step: float) -> Iterator[Question]:
    """What has to be asked for a request; `labels` tell the host."""
    common = [f"{name}={_quoted(value)}" for name, value in labels.items()]
    metrics = [f"resource=~{_one_of(request.metrics)}"] if request.metrics else []
    instances = [name for name in request.names if name != HOST]
    selectors = []
    if HOST in request.names:
        selectors.append(("blackhole_host_usage", [*common, *metrics]))
    if instances or not request.names:
        key = "service" if request.by_service else "instance"
        named = [f"{key}=~{_one_of(instances)}"] if instances else []
        whose = '__name__=~"process_resource_usage|blackhole_service_traffic"'
        selectors.append(("", [whose, *common, *metrics, *named]))
    for name, matchers in selectors:
        is_folded = request.by_service and not name
        for fold, more in FOLDS if is_folded else (("", ()),):
            selector = f"{name}{{{', '.join([*matchers, *more])}}}"
            for way, is_highs in WAYS if step >= MEAN_FROM else (("", False),):
                inner = f"{way}({selector}[{step:.0f}s])" if way else selector
                yield Question(f"{fold} by (service, resource) ({inner})" if fold else inner, is_highs)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _one_of(values: Iterable[str]) -> str:
    return _quoted("|".join(map(re.escape, values)))


Key = tuple[str, str, str]
"""Service, instance, metric."""


def found_in(answer: Mapping[str, Any]) -> Iterator[tuple[Key, list[tuple[int, float]]]]:
    """The series of an answer, with times in Unix nanoseconds. Raises ValueError, KeyError, TypeError."""
    for one in answer["data"]["result"]:
        labels = one["metric"]
        service = str(labels.get("service", HOST))
        key = (service, str(labels.get("instance", service)) if service != HOST else HOST, str(labels["resource"]))
        yield key, [(round(float(time) * 1e9), float(value)) for time, value in one["values"]]


def joined(means: Mapping[Key, list[tuple[int, float]]], highs: Mapping[Key, Any], by_service: bool) -> Iterator[Any]:
    """Series as an agent gives them."""
    for key, points in sorted(means.items()):
        service, instance, metric = key
        high_at = dict(highs.get(key, ()))
        yield metrics_pb2.Series(
            service=service,
            instance=service if by_service else instance,
            metric=metric,
            times_ns=[time for time, _ in points],
            values=[value for _, value in points],
            highs=[max(value, high_at.get(time, value)) for time, value in points] if high_at else [],
        )


class Prometheus:
    """One host's series in a Prometheus. `socket` gives the local socket behind which the host's port answers."""

    def __init__(self, host: str, at: PrometheusAt, socket: Callable[[str, int], Awaitable[str]]) -> None:
        self._host, self._at, self._socket = host, at, socket
        self.name = f"prometheus {at.place[0]}:{at.place[1]}" + (f" of {host}" if at.is_on_host else "")

    async def series(self, request: metrics_pb2.SeriesRequest, now: float) -> metrics_pb2.SeriesResponse:
        """Samples of a request. Raises BlackholeError."""
        import httpx

        until = request.until_ns / 1e9 or now
        step = step_for(request, until)
        # Steps end at multiples of their length, so that a point stays the same when it is asked for again.
        last = math.floor(until / step) * step
        first = max(0.0, math.ceil(request.since_ns / 1e9 / step) * step)
        found: tuple[dict[Key, Any], dict[Key, Any]] = ({}, {})
        if first > last:
            return metrics_pb2.SeriesResponse(source=self.name)
        labels = dict(self._at.labels) or {"host": self._host}
        try:
            async with httpx.AsyncClient(**await self._how(httpx)) as client:
                for question in questions(request, labels, step):
                    values = {"query": question.promql, "start": first, "end": last, "step": step}
                    answer = await client.post(f"{self._at.url}/api/v1/query_range", data=values)
                    found[question.is_highs].update(found_in(self._said(answer)))
        except httpx.TimeoutException:
            raise NoConnection(f"cannot ask {self.name}: no answer in {TIMEOUT:.0f} s") from None
        except httpx.HTTPError as error:
            raise NoConnection(f"cannot ask {self.name}: {str(error).lower() or type(error).__name__}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise BlackholeError(f"cannot read what {self.name} answers: {error!r}; is it a Prometheus?") from None
        series = joined(found[0], found[1], request.by_service)
        return metrics_pb2.SeriesResponse(series=series, source=self.name)

    def _said(self, answer: Any) -> Any:
        """The body of a good answer. Raises BlackholeError, ValueError."""
        if answer.status_code == 200:
            return answer.json()
        try:
            why = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            why = str(answer.reason_phrase)
        hint = {401: "; see bearer_token_file or password_file in hosts.yaml", 404: "; is the url right?"}
        raise BlackholeError(
            f"cannot ask {self.name}: it says {answer.status_code} {' '.join(why.split())[:200]}"
            f"{hint.get(answer.status_code, '')}"
        )

    async def _how(self, httpx: Any) -> dict[str, Any]:
        """Transport, trust and identity. Raises BlackholeError."""
        at = self._at
        try:
            context: Any = ssl.create_default_context(cafile=at.ca_file) if at.ca_file else True
            headers = self._identity()
        except (OSError, UnicodeError) as error:
            path = getattr(error, "filename", None) or at.ca_file
            raise BlackholeError(f"cannot ask {self.name}: {path}: {getattr(error, 'strerror', error)}") from None
        path = await self._socket(*at.place) if at.is_on_host else ""
        transport = httpx.AsyncHTTPTransport(uds=path, verify=context) if path else None
        return {
            "transport": transport,
            "verify": context,
            "headers": headers,
            "timeout": TIMEOUT,
            "trust_env": not path,
        }

    def _identity(self) -> dict[str, str]:
        at = self._at
        if at.bearer_token_file:
            return {"Authorization": f"Bearer {Path(at.bearer_token_file).read_text().strip()}"}
        if at.username:
            password = Path(at.password_file).read_text().strip() if at.password_file else ""
            return {"Authorization": f"Basic {base64.b64encode(f'{at.username}:{password}'.encode()).decode()}"}
        return {}
