"""What a service says of its requests in Prometheus' text format: how many, how many failed, how long they took. Pure.

Histograms of durations count first; a service that has none is judged by its counters of requests. What it asks of
others (clients, databases) and the endpoint's own figures are left out.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

DURATION = re.compile(r"(?:requests?|rpc|http|grpc|handling|server).*(?:duration|latency|handling|seconds|_ms\b)")
REQUESTS = re.compile(r"(?:requests|handled|rpcs)_total$")
OTHERS = re.compile(r"client|outgoing|upstream|(?:^|_)(?:db|sql|redis|pool)_|^(?:process|python|go|promhttp)_")
MILLISECONDS = re.compile(r"_(?:ms|millis|milliseconds)$")
CODE_LABELS = (
    "code", "status", "status_code", "http_status", "http_status_code", "response_code",
    "grpc_code", "result",
)  # fmt: skip
FAILURES = frozenset(
    {"unknown", "deadlineexceeded", "internal", "unavailable", "dataloss", "unimplemented", "resourceexhausted"}
    | {"error", "failure", "failed"}
)
"""Codes that are the server's fault: those of gRPC, and the words people use. Of HTTP those that begin with 5."""
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(slots=True)
class Totals:
    """Everything since the service started."""

    requests: float = 0.0
    errors: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    """Upper bound in seconds: how many requests took at most so long."""
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """Between two looks. Unknown numbers are None."""

    requests_per_second: float | None = None
    errors_per_second: float | None = None
    latency_p50_seconds: float | None = None
    latency_p95_seconds: float | None = None
    latency_p99_seconds: float | None = None


def is_of_interest(name: str) -> bool:
    """Whether a metric, without the endings of its series, tells of requests that it has served."""
    return not OTHERS.search(name) and bool(DURATION.search(name) or REQUESTS.search(name))


def totals(text: str) -> Totals:
    """What a page says. Raises ValueError when it is not in the format."""
    from prometheus_client.parser import text_string_to_metric_families

    histograms, counters = Totals(), Totals()
    buckets: defaultdict[float, float] = defaultdict(float)
    for family in text_string_to_metric_families(_only_interesting(text)):
        scale = 1e-3 if MILLISECONDS.search(family.name) else 1.0
        for sample in family.samples:
            if family.type == "histogram" and sample.name.endswith("_bucket"):
                buckets[_bound(sample.labels.get("le", "")) * scale] += sample.value
            elif family.type in ("histogram", "summary") and sample.name.endswith("_count"):
                _count(histograms, sample.labels, sample.value)
            elif family.type == "counter" and REQUESTS.search(sample.name):
                _count(counters, sample.labels, sample.value)
    chosen = histograms if histograms.is_known else counters
    chosen.buckets = dict(sorted(buckets.items()))
    return chosen


def traffic(before: Totals, after: Totals, seconds: float) -> Traffic:
    """What went on in between; nothing when the service was started anew meanwhile, or tells nothing."""
    if not (before.is_known and after.is_known) or seconds <= 0 or after.requests < before.requests:
        return Traffic()
    grown = {bound: count - before.buckets.get(bound, 0.0) for bound, count in after.buckets.items()}
    return Traffic(
        (after.requests - before.requests) / seconds,
        max(0.0, after.errors - before.errors) / seconds,
        *(quantile(part, grown) for part in QUANTILES),
    )


def quantile(part: float, buckets: Mapping[float, float]) -> float | None:
    """The duration that this part of the requests did not exceed, by linear interpolation within a bucket, as
    Prometheus' histogram_quantile does it; None without requests or buckets."""
    bounds = sorted(buckets)
    if not bounds or not math.isinf(bounds[-1]) or buckets[bounds[-1]] <= 0:
        return None
    rank = part * buckets[bounds[-1]]
    at = next(number for number, bound in enumerate(bounds) if buckets[bound] >= rank)
    if math.isinf(bounds[at]):
        return bounds[at - 1] if at else None
    below, start = (buckets[bounds[at - 1]], bounds[at - 1]) if at else (0.0, 0.0)
    inside = buckets[bounds[at]] - below
    return start + (bounds[at] - start) * ((rank - below) / inside if inside > 0 else 1.0)


def _count(into: Totals, labels: Mapping[str, str], value: float) -> None:
    into.is_known = True
    into.requests += value
    if any(_is_failure(labels[name]) for name in CODE_LABELS if name in labels):
        into.errors += value


def _is_failure(code: str) -> bool:
    return bool(re.fullmatch(r"5(?:\d\d|xx)", code)) or code.lower().replace("_", "") in FAILURES


def _bound(text: str) -> float:
    return math.inf if text == "+Inf" else float(text)


_NAME = re.compile(r"(?:# (?:TYPE|HELP) )?([A-Za-z_:][\w:]*)")


def _only_interesting(text: str) -> str:
    """The lines about requests: most of a large page need not be taken apart."""
    return "".join(f"{line}\n" for line in _interesting(text.splitlines()))


def _interesting(lines: Sequence[str]) -> Iterable[str]:
    known: dict[str, bool] = {}
    for line in lines:
        match = _NAME.match(line)
        if match is None:
            continue
        name = match[1]
        if name not in known:
            known[name] = is_of_interest(re.sub(r"_(?:bucket|count|sum)$", "", name))
        if known[name]:
            yield line
