"""How far the output of a container was read, so that reading goes on there. Pure.

An engine gives what was printed since a second, in an order that is always the same. So a place is a second, and how
many lines of it and later were taken. The second is a little behind the latest one, because lines of stdout and stderr
may be some milliseconds out of order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECOND = 1_000_000_000
LAG = 2
"""Seconds that the mark is behind."""
SET_BACK = 60
"""Seconds that a line is before the latest one when the clock was set back, and not the order a little mixed."""


class Marks:
    """Of one container. `behind` lines were taken after the mark was written down."""

    def __init__(self, id_: str, mark: Mapping[str, Any] | None = None, behind: int = 0) -> None:
        self.id = id_
        of_it = mark if mark and mark.get("id") == id_ else {}
        self.since = int(of_it.get("since", 0))
        """Unix seconds from which on to read again; 0: from the beginning."""
        self._skip = int(of_it.get("count", 0)) + (behind if of_it else 0)
        self._counts: dict[int, int] = {}
        self._latest = 0

    def again(self) -> None:
        """Reading begins anew at the mark: what was taken since then will come once more."""
        mark = self.mark
        self.since, self._skip = mark["since"], mark["count"] + self._skip
        self._counts, self._latest = {}, 0

    def take(self, time_ns: int) -> bool:
        """Counts a line at its time; whether it is new."""
        second = max(time_ns // SECOND, 0) or self._latest
        if second < self._latest - SET_BACK:
            self._counts, self._latest, self.since = {}, 0, min(self.since, second)
        self._counts[second] = self._counts.get(second, 0) + 1
        if second > self._latest:
            self._latest = second
            for old in [one for one in self._counts if one < second - LAG]:
                del self._counts[old]
        if self._skip:
            self._skip -= 1
            return False
        return True

    @property
    def mark(self) -> dict[str, Any]:
        """The place behind the last line taken, as JSON values."""
        if not self._latest:
            return {"id": self.id, "since": self.since, "count": 0}
        since = max(self._latest - LAG, self.since)
        return {"id": self.id, "since": since, "count": sum(n for at, n in self._counts.items() if at >= since)}
