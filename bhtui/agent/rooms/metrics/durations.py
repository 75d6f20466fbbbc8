"""How long calls took, counted in buckets: a histogram of Prometheus with labels."""

from __future__ import annotations

from bisect import bisect_left

from .model import Row

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds; the last bucket has no bound."""
_NAMES = (*(f"{bound:g}" if bound < 1 else f"{bound:.1f}" for bound in BOUNDS), "+Inf")


class Durations:
    """Counts since it was made; `name` is that of the metric."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, service: str, method: str, status: str, seconds: float) -> None:
        """Counts one call; `status` as gRPC names it, `OK`."""
        labels = (service, method, status)
        counts = self._counts.setdefault(labels, [0] * len(_NAMES))
        counts[bisect_left(BOUNDS, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def rows(self) -> dict[str, list[Row]]:
        """The series of the histogram: `_bucket` (the last label is `le`), `_sum` and `_count`."""
        buckets: list[Row] = []
        totals: list[Row] = []
        for labels, counts in self._counts.items():
            total = 0
            for name, count in zip(_NAMES, counts, strict=True):
                total += count
                buckets.append(((*labels, name), total))
            totals.append((labels, total))
        sums: list[Row] = list(self._sums.items())
        return {f"{self._name}_bucket": buckets, f"{self._name}_sum": sums, f"{self._name}_count": totals}
