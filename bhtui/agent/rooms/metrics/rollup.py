"""What the instances of a service come to together. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .model import HOST, HOST_METRICS, INSTANCE_METRICS, SERVED_METRICS, Metric, service_of
from .points import NAN, Key, Points


def folded(points: Mapping[Key, Points]) -> dict[Key, Points]:
    """The series of each service: sums, or the greatest where a sum means nothing. Moments without any are gaps.

    Lows and highs are those of the instances together, so the true ones lie between them.
    """
    groups: dict[Key, list[Points]] = {}
    for (name, metric), each in points.items():
        groups.setdefault((service_of(name), metric), []).append(each)
    return {key: _fold(each, describe(*key)) for key, each in groups.items()}


def describe(name: str, metric: str) -> Metric:
    """What a metric of the host or of an instance is."""
    return HOST_METRICS[metric] if name == HOST else {**INSTANCE_METRICS, **SERVED_METRICS}[metric]


def _fold(series: Sequence[Points], metric: Metric) -> Points:
    if len(series) == 1:
        return series[0]
    times = sorted({time_ns for each in series for time_ns in each.times_ns})
    place = {time_ns: at for at, time_ns in enumerate(times)}
    columns: list[list[list[float]]] = [[[] for _ in times] for _ in range(3)]
    for each in series:
        for column, values in zip(
            columns, (each.means, each.lows or each.means, each.highs or each.means), strict=True
        ):
            for time_ns, value in zip(each.times_ns, values, strict=True):
                if not math.isnan(value):
                    column[place[time_ns]].append(value)
    means, lows, highs = ([metric.fold(found) if found else NAN for found in column] for column in columns)
    has_range = any(each.lows for each in series)
    return Points(times, means, lows if has_range else (), highs if has_range else ())
