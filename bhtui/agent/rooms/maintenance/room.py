"""The room of maintenance windows: knows which are open, tells when that changes, is asked before the agent acts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from bhtui.agent.memory import Events, Settings
from bhtui.agent.store import StoreError
from bhtui.core.event import EventKind
from bhtui.core.maintenance import Window
from bhtui.core.operation import Plan
from bhtui.core.request import WindowRequest

from . import requests
from .book import Entry, WindowBook
from .calendar import SECOND
from .model import Instances
from .windows import Zones, clock_text, holding, next_change, windows_at
from .zones import zone_of

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds; what nobody has told is noticed after so long."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was worked out, and how long it holds: from one moment to the next change."""

    declared: tuple[object, ...]
    from_ns: int
    until_ns: int | None
    windows: tuple[Window, ...]

    def holds(self, declared: tuple[object, ...], now_ns: int) -> bool:
        return (
            self.declared == declared and self.from_ns <= now_ns and (self.until_ns is None or now_ns < self.until_ns)
        )


class Maintenance:
    """Every window of this host."""

    def __init__(
        self,
        settings: Settings,
        instances: Instances,
        events: Events,
        clock: Callable[[], int] = time.time_ns,
        zones: Zones = zone_of,
    ) -> None:
        self.clock = clock
        self.book = WindowBook(settings)
        self._instances, self._events, self._zones = instances, events, zones
        self._seen: _Seen | None = None
        self._changed = asyncio.Event()

    # ---- questions -----------------------------------------------------------------------------------------------

    def windows(self) -> list[Window]:
        """Every window, the open ones first."""
        now, declared = self.clock(), self._instances.spec.windows
        if self._seen is None or not self._seen.holds(declared, now):
            found = windows_at(declared, self.book.opened.values(), self.book.closed, self._zones, now)
            self._seen = _Seen(declared, now, next_change(found), tuple(found))
        return list(self._seen.windows)

    def held(self, service: str) -> str:
        """Why nothing is to be done to a service by itself now: `maintenance window "night" until 03:00`; or empty."""
        return holding(self.windows(), service, self._zones, self.clock())

    def until_text(self, moment_ns: int) -> str:
        """A moment by the clock of this host."""
        return clock_text(moment_ns, self._zones(""), self.clock())

    def plan(self, request: WindowRequest) -> Plan:
        """Exactly what the request would do. Raises NotFound, UsageError, Refused."""
        held = [i for i in self._instances.picture.values() if i.held]
        return requests.plan(self._instances.spec, self.windows(), held, request, self.clock(), self.until_text)

    # ---- changes -------------------------------------------------------------------------------------------------

    def open(self, entry: Entry) -> None:
        """A window from now on. Raises StoreUnavailable."""
        if entry.id not in self.book.opened and entry.until_ns > self.clock():
            self.book.open(entry)
        self._renew()

    def remove(self, window: str) -> None:
        """One that was opened at run time is closed. Raises StoreUnavailable."""
        if window in self.book.opened:
            self.book.remove(window)
        self._renew()

    def close_early(self, window: str, until_ns: int | None) -> None:
        """A declared one does not count until then; None: it counts again. Raises StoreUnavailable."""
        self.book.close_early(window, until_ns)
        self._renew()

    def on_clock_set(self, step_ns: int) -> None:  # noqa: ARG002 - what is open now depends on the time alone
        """The host's clock was set: other windows may be open now."""
        self._renew()

    def _renew(self) -> None:
        self._seen = None
        self.look()
        self._changed.set()

    # ---- the watch -----------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            self._changed.clear()
            self.look()
            change = next_change(self.windows())
            left = LONGEST_SLEEP if change is None else (change - self.clock()) / SECOND
            try:
                async with asyncio.timeout(max(0.01, min(left, LONGEST_SLEEP))):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def look(self) -> None:
        """Tells what has opened or closed since the last time, and lets go of what is held no more."""
        now = self.clock()
        open_now = {each.id: each for each in self.windows() if each.open}
        told = self.book.told
        if told != (telling := {key: each.until_ns for key, each in open_now.items()}):
            try:
                self.book.tell(telling, now)
            except StoreError as error:
                log.warning("maintenance windows are told later: %s", error)
                return
            for key, window in open_now.items():
                if key not in told:
                    self._tell_opened(window)
            for key in told:
                if key not in open_now:
                    self._events.append(EventKind.WINDOW_CLOSED, key, f'maintenance window "{key}" is closed')
        self._instances.look_at_holds()

    def _tell_opened(self, window: Window) -> None:
        whose = " ".join(window.services) or "all services"
        by = f", opened by {window.actor}" + (f": {window.reason}" if window.reason else "") if window.actor else ""
        until = self.until_text(window.until_ns)
        message = f'maintenance window "{window.id}" until {until}: automatic restarts of {whose} are held{by}'
        data = {"services": list(window.services), "until_ns": window.until_ns, "reason": window.reason}
        self._events.append(EventKind.WINDOW_OPENED, window.id, message, data)
