"""What instances write over their rate limit, as the keeper counts it: told when it begins and when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhtui.agent.events.log import EventLog
from bhtui.core.event import EventKind
from bhtui.core.status import LogDropped
from bhtui.core.units import format_age, format_size

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
"""So long, or as long as two stretches of its limit, nothing was dropped: then it is over."""
SECOND = 1e9


@dataclass(slots=True)
class Count:
    """Of one log: what was dropped in all, and before the flood that was told of last; `begun_ns` 0: it is over."""

    lines: int
    bytes: int
    last_ns: int
    limit: str
    seconds: float
    """Of a stretch of the limit."""
    lines_before: int
    bytes_before: int
    begun_ns: int = 0


class RateLimits:
    """Takes the `limited` of the keeper's `stats`, by path of the log."""

    def __init__(self, events: EventLog, clock: Callable[[], int] = time.time_ns) -> None:
        self._events, self._clock = events, clock
        self._counts: dict[str, Count] = {}
        self._looked = False

    def take(self, limited: Mapping[str, Mapping[str, Any]]) -> None:
        """Appends an event for each flood that has begun or is over since the last time."""
        now_ns = self._clock()
        for path, each in limited.items():
            count = self._counts.get(path)
            if count is None or each["lines"] < count.lines:  # another keeper counts from nought
                # What an agent before this one has told of is not told again.
                lines, size = (0, 0) if self._looked else (each["lines"], each["bytes"])
                count = Count(lines, size, each["last_ns"], "", 0.0, lines, size)
            grown = each["lines"] > count.lines or each["bytes"] > count.bytes
            count.lines, count.bytes, count.last_ns = each["lines"], each["bytes"], each["last_ns"]
            count.limit, count.seconds = each["limit"], each["seconds"]
            self._counts[path] = count
            if grown and not count.begun_ns:
                self._begin(path, count, now_ns)
        self._looked = True
        for path, count in self._counts.items():
            if count.begun_ns and now_ns - count.last_ns > max(QUIET_SECONDS, 2 * count.seconds) * SECOND:
                self._end(path, count)

    def _begin(self, path: str, count: Count, now_ns: int) -> None:
        count.begun_ns = now_ns
        limit = f" of {count.limit}" if count.limit else ""
        self._tell(path, count, f"writes more than its rate limit{limit}; what is over it is dropped and counted")

    def _end(self, path: str, count: Count) -> None:
        lasted = format_age(max(0.0, (count.last_ns - count.begun_ns) / SECOND))
        size = format_size(count.bytes - count.bytes_before)
        self._tell(path, count, f"is within its rate limit again: {count.lines - count.lines_before} lines ({size}) "
                   f"were dropped in {lasted}", over=True)  # fmt: skip
        count.begun_ns, count.lines_before, count.bytes_before = 0, count.lines, count.bytes

    def _tell(self, path: str, count: Count, message: str, *, over: bool = False) -> None:
        instance = Path(path).stem
        log.warning("%s %s", instance, message)
        data = {
            "lines": count.lines - count.lines_before, "bytes": count.bytes - count.bytes_before,
            "limit": count.limit, "over": over,
        }  # fmt: skip
        self._events.append(EventKind.LOGS_LIMITED, instance, f"{instance} {message}", data)

    def of(self, path: Path) -> LogDropped | None:
        """What was dropped of one log; None: nothing."""
        count = self._counts.get(str(path))
        if count is None:
            return None
        ago = max(0.0, (self._clock() - count.last_ns) / SECOND)
        return LogDropped(count.lines, count.bytes, ago, count.limit)

    def rows(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """For the Prometheus endpoint: service, instance and reason, with the number of lines."""
        for path, count in self._counts.items():
            yield (Path(path).parent.name, Path(path).stem, "rate_limit"), count.lines
