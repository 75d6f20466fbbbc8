"""Tells others of one service: runs its `on_change`, one at a time, the newest state, until it works."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bhtui.agent.command import Said
from bhtui.agent.memory import Events
from bhtui.core.endpoint import Endpoint, ready_addresses
from bhtui.core.event import EventKind
from bhtui.core.spec import EndpointsSpec

log = logging.getLogger(__name__)

DEBOUNCE = 0.1
"""Seconds that a change waits for the next one: instances that come up together are told of together."""
LONGEST_WAIT = 60.0
REASON_LINES = 3
REASON_LENGTH = 400
"""Characters."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command was told, and which command."""

    command: str
    ready: tuple[str, ...]


def _reason(said: Said) -> str:
    """How it ended, and its last lines: nginx and others name the cause before they say that they failed."""
    how = said.text.partition(": ")[0] if said.output else said.text
    lines = [line.strip() for line in said.output.splitlines() if line.strip()]
    return ": ".join([how, "; ".join(lines[-REASON_LINES:])[-REASON_LENGTH:]]) if lines else how


Run = Callable[[str, EndpointsSpec, tuple[Endpoint, ...]], Awaitable[Said]]
"""Runs the command of a service and hands it that state. Never raises for what the command does."""


def fingerprint(command: Sequence[str]) -> str:
    """Of a command: it may hold what is not to be kept."""
    return hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]


def wait_before(failures: int) -> float:
    """Seconds before it is tried again: 1, 2, 4 ... 60."""
    return min(LONGEST_WAIT, 2.0 ** min(failures - 1, 10))


class Teller:
    """One for each service with an `on_change`. `told` is what others know; None: nobody knows."""

    def __init__(
        self, service: str, run: Run, events: Events, keep: Callable[[str, Told | None], None], told: Told | None
    ) -> None:
        self.service, self.told = service, told
        self.trouble = ""
        """Why others do not know the present state yet; empty: no attempt has failed."""
        self.failures = 0
        """Attempts to tell them of the present state that failed."""
        self._run, self._events, self._keep = run, events, keep
        self._wanted: tuple[EndpointsSpec, tuple[Endpoint, ...]] | None = None
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._work(), name=f"tell of {service}")

    def want(self, spec: EndpointsSpec, endpoints: tuple[Endpoint, ...]) -> None:
        """The state that others are to know from now on."""
        before, self._wanted = self._wanted, (spec, endpoints)
        if before is None or self._goal(before) != self._goal(self._wanted):
            self.trouble, self.failures = "", 0
            self._changed.set()

    @property
    def is_behind(self) -> bool:
        """Whether others have yet to be told."""
        return self._wanted is not None and self.told != self._goal(self._wanted)

    @staticmethod
    def _goal(wanted: tuple[EndpointsSpec, tuple[Endpoint, ...]]) -> Told:
        return Told(fingerprint(wanted[0].on_change), ready_addresses(wanted[1]))

    async def close(self) -> None:
        """A command that runs is ended with it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        last_trouble = ""
        while True:
            if not self.is_behind:
                self.failures, last_trouble = 0, ""
                await self._changed.wait()
            await asyncio.sleep(DEBOUNCE)
            self._changed.clear()
            if not self.is_behind:
                continue
            said = await self._tell()
            if said.ok:
                self.failures, last_trouble = 0, ""
                continue
            self.failures += 1
            # Its last line alone: those before may have a time or a pid, which is no other trouble.
            if said.text != last_trouble:
                self._fail(said)
                last_trouble = said.text
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_before(self.failures)):
                    await self._changed.wait()

    async def _tell(self) -> Said:
        assert self._wanted is not None
        spec, endpoints = wanted = self._wanted
        # A command that fails, or an agent that dies meanwhile, may leave half of it done: nobody knows then.
        if self.told is not None:
            self.told = None
            self._keep(self.service, None)
        try:
            said = await self._run(self.service, spec, endpoints)
        except Exception as error:
            # A fault of ours must not end the telling for good.
            log.exception("%s: on_change", self.service)
            said = Said(False, f"{type(error).__name__}: {error}; see the agent's log")
        if said.ok:
            self.told, self.trouble = self._goal(wanted), ""
            self._keep(self.service, self.told)
            ready = ready_addresses(endpoints)
            message = (
                f"{self.service}: told that {', '.join(ready) or 'none'} {'are' if len(ready) > 1 else 'is'} ready"
            )
            self._events.append(EventKind.ENDPOINTS_TOLD, self.service, message, {"ready": list(ready)})
        else:
            self.trouble = _reason(said)
        return said

    def _fail(self, said: Said) -> None:
        message = f"{self.service}: on_change failed, and is tried again: {self.trouble}"
        data = {"reason": self.trouble, "output": said.output[-1000:]}
        self._events.append(EventKind.ENDPOINTS_FAILED, self.service, message, data)
