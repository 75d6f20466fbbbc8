"""Notices when somebody sets the host's clock, tells it, and lets those know who count by it.

The clock is compared with CLOCK_BOOTTIME, which nobody can set and which goes on while the host is suspended. What NTP
mends by going faster or slower (8 % at most) is less between two looks than what is told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from bhtui.agent.events.log import EventLog
from bhtui.core.event import EventKind
from bhtui.core.units import format_time

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
LOOK_SECONDS = 1.0
LEAST_NS = SECOND
"""A smaller step is not told: nothing here counts so exactly."""


class ClockWatch:
    """Each of `concerned` is called with the nanoseconds by which the clock was put forward (back: less than 0)."""

    def __init__(
        self,
        events: EventLog,
        concerned: Sequence[Callable[[int], None]],
        clock: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._events, self._concerned, self._clock, self._steady = events, concerned, clock, steady
        self._ahead = clock() - steady()

    async def watch(self) -> None:
        """Runs for as long as the agent does."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Looks once, and tells a step."""
        now = self._clock()
        ahead = now - self._steady()
        step, self._ahead = ahead - self._ahead, ahead
        if abs(step) >= LEAST_NS:
            self._tell(step, now)
            for each in self._concerned:
                each(step)

    def _tell(self, step: int, now: int) -> None:
        way = "forward" if step > 0 else "back"
        message = (
            f"the clock of the host was set {way} by {duration_text(round(abs(step) / SECOND))}: what was "
            f"{_whole(now - step)} is {_whole(now)} now; times before and after do not compare"
        )
        log.warning("%s", message)
        self._events.append(EventKind.CLOCK_SET, "", message, {"seconds": round(step / SECOND, 3)})


def duration_text(seconds: int) -> str:
    """`1 d 2 h`, `1 h`, `5 min 3 s`, `2 s`: the two largest units."""
    units, left = [], seconds
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        units.append(f"{count} {unit}" if count else "")
    first = next((at for at, text in enumerate(units) if text), 0)
    return " ".join(filter(None, units[first : first + 2]))


def _whole(time_ns: int) -> str:
    return format_time(time_ns - time_ns % SECOND).replace(".000000000", "")
