"""Looks at the memory of every instance once a second, and begins what the policy of pressure says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bhtui.agent.memory import Events
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.request import ClearCacheRequest, CollectGarbageRequest, Request, RestartRequest
from bhtui.core.units import format_size

from .model import Instances, Running, Usage
from .pressure import Pressure, decide
from .room import Limits

log = logging.getLogger(__name__)

PERIOD = 1.0
Begin = Callable[[Request, str], Awaitable[object]]
"""Begins an operation of the agent's own, for a reason. Raises BlackholeError."""


class PressureWatch:
    """One for the whole host."""

    def __init__(
        self,
        limits: Limits,
        instances: Instances,
        usage: Usage,
        events: Events,
        begin: Begin,
        clock: Callable[[], int],
        held: Callable[[str], str] = lambda _: "",
    ) -> None:
        """`clock` gives nanoseconds and is never set; `held`: what holds automatic restarts of a service now, a
        maintenance window; empty: nothing does."""
        self._limits, self._instances, self._usage = limits, instances, usage
        self._events, self._begin, self._clock, self._held = events, begin, clock, held
        self._pressures: dict[str, Pressure] = {}

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        """Once at every instance."""
        picture = self._instances.picture
        self._pressures = {name: each for name, each in self._pressures.items() if name in picture}
        for i in picture.values():
            limit = self._limits.effective(i.spec).limits.memory
            sample = self._usage.of(i.name)
            if i.pid is not None and limit and sample and sample.memory_bytes is not None:
                await self._judge(i, sample.memory_bytes, limit)

    async def _judge(self, i: Running, used: int, limit: int) -> None:
        was, held = self._pressures.get(i.name, Pressure()), self._held(i.service)
        self._pressures[i.name], verdict = decide(was, used / limit, i.spec.on_pressure, self._clock(), bool(held))
        said = f"{i.name} uses {format_size(used)} of {format_size(limit)} ({used / limit:.0%})"
        if verdict.tell:
            steps = list(i.spec.on_pressure)
            then = f"in turn: {', '.join(steps)}" if steps else "its policy (limits.on_pressure) has no steps"
            then += f"; a restart is held: {held}" if held and "restart" in steps else ""
            data = {"memory_bytes": used, "limit_bytes": limit, "steps": steps}
            self._events.append(EventKind.LIMITS_PRESSURE, i.name, f"{said}; {then}", data)
        if verdict.step:
            await self._act(i, verdict.step, said)

    async def _act(self, i: Running, step: str, why: str) -> None:
        try:
            await self._begin(_request(i, step), f"memory pressure: {why}")
        except BlackholeError as error:
            message = f"{i.name}: {step} was not begun: {error}"
            log.warning("%s", message)
            self._events.append(EventKind.LIMITS_PRESSURE, i.name, message, {"step": step, "error": str(error)})


def _request(i: Running, step: str) -> Request:
    match step:
        case "clear-cache":
            return ClearCacheRequest((i.service,))
        case "gc":
            return CollectGarbageRequest((i.service,))
        case _:
            return RestartRequest((i.name,))
