"""Listens to the events of one engine and tells those whose container has changed; comes back when the engine does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bhtui.core.errors import BlackholeError, NoConnection

from .engine import Engine, EngineEvent

log = logging.getLogger(__name__)

SOONEST, LATEST = 0.25, 10.0
"""Seconds to the next try to reach an engine that is gone."""
BURST, RATE = 10.0, 1.0
"""Events in a row that are told at once, and how many a second after that: Podman restarts what falls over without a
pause, ten times a second and for ever."""
OF_OTHERS = ("exec_", "top", "attach", "resize", "archive-path", "copy", "export")
"""Events that change nothing about a container; health checks make two or three of the first kind each time."""


class _Turn:
    """Tells one listener, not too often: what is told late is told once."""

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        self.name, self._changed = name, changed
        self._left, self._at = BURST, 0.0
        self._later: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._left, self._at = min(BURST, self._left + (now - self._at) * RATE), now
        if self._left >= 1:
            self._left -= 1
            self._changed()
        elif self._later is None:
            self._later = loop.call_later((1 - self._left) / RATE, self._told)

    def _told(self) -> None:
        self._later = None
        self._left -= 1
        self._changed()

    def cancel(self) -> None:
        """It is told no more."""
        if self._later is not None:
            self._later.cancel()


class Watch:
    """One connection for all containers of an engine, held from the first `add` to `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: dict[Callable[[], None], _Turn] = {}
        self._names: dict[str, str] = {}
        """The names of the containers by their ids: an event of a renamed one may tell only the other."""
        self._task: asyncio.Task[None] | None = None
        self._told = ""

    def add(self, name: str, changed: Callable[[], None]) -> None:
        """`changed` is called whenever the container of that name may be otherwise."""
        self._listeners.setdefault(changed, _Turn(name, changed))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name=f"events of {self._engine.place.path}"
            )

    def remove(self, changed: Callable[[], None]) -> None:
        """It is told no more."""
        if turn := self._listeners.pop(changed, None):
            turn.cancel()

    async def close(self) -> None:
        """Ends the connection."""
        for changed in tuple(self._listeners):
            self.remove(changed)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        delay = SOONEST
        while True:
            try:
                async with self._engine.events() as events:
                    log.info("%s at %s is listened to", self._engine.name, self._engine.place.path)
                    delay, self._told = SOONEST, ""
                    self._tell_all()  # what happened before nobody heard
                    async for event in events:
                        self._tell(event)
            except BlackholeError as error:
                self._lost(error)
            except Exception:
                # A fault of ours must not end the watch; what changes is still seen by looking now and then.
                log.exception("the events of %s cannot be read", self._engine.place.path)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LATEST)

    def _lost(self, error: BlackholeError) -> None:
        """The first time everybody looks, and finds out what that means for him."""
        if not self._told:
            log.log(logging.INFO if isinstance(error, NoConnection) else logging.WARNING, "%s", error)
            self._tell_all()
        self._told = str(error)

    def _tell_all(self) -> None:
        for turn in tuple(self._listeners.values()):
            turn.tell()

    def _tell(self, event: EngineEvent) -> None:
        if event.action.startswith(OF_OTHERS):
            return
        known = self._names.get(event.id, event.name)
        about = {event.name, known, event.attributes.get("oldName", "").lstrip("/"), event.id}
        for turn in tuple(self._listeners.values()):
            if turn.name in about:
                turn.tell()
        if event.action in ("destroy", "remove"):
            self._names.pop(event.id, None)
        elif any(turn.name == event.name for turn in self._listeners.values()):
            self._names[event.id] = event.name
