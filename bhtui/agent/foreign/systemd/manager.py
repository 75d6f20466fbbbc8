"""The units that are declared as services, one connection for each scope: `system`, `user`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from bhtui.agent.foreign.capture import Captures
from bhtui.core.spec import ServiceSpec

from .bus import MANAGER, PROPERTIES, SYSTEMD, Bus, BusError, BusLost
from .entries import HasLevel
from .journalctl import Journal
from .subject import UnitSubject

log = logging.getLogger(__name__)

JOB_SECONDS = 300.0
"""How long a job is waited for; what comes after that is observed."""
JOBS_KEPT = 256
AGAIN_SECONDS = 5.0
"""Between two tries to reach a bus that is lost."""
RELOAD_SECONDS = 90.0
"""How long systemd may take to read all its units: as long as it gives itself for anything else."""
GATHERING = 0.1
"""Seconds for which those are gathered who want systemd to read its units again; a large host takes a moment for it."""
MANAGER_INTERFACE = f"{SYSTEMD}.Manager"


def bus_path(scope: str, uid: int, environ: Mapping[str, str]) -> str:
    """The socket of the bus on which the scope's systemd is, or its own where there is no bus."""
    run = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    ways = {
        "user": (f"{run}/bus", f"{run}/systemd/private"),
        "system": ("/run/dbus/system_bus_socket", "/run/systemd/private"),
    }[scope]
    return next((way for way in ways if Path(way).exists()), ways[0])


class Systemd:
    """Manager of every unit of both scopes."""

    def __init__(self, has_level: HasLevel, captures: Captures) -> None:
        self._has_level, self._captures = has_level, captures
        self._scopes: dict[str, Scope] = {}

    def subject(self, spec: ServiceSpec, changed: Callable[[], None]) -> UnitSubject:
        """The unit of a service."""
        if spec.scope not in self._scopes:
            self._scopes[spec.scope] = Scope(spec.scope, Journal(spec.scope, self._has_level, self._captures))
        return UnitSubject(self._scopes[spec.scope], spec.unit, changed)

    async def close(self) -> None:
        """Lets go of both buses and of the journal."""
        for scope in self._scopes.values():
            await scope.close()


class Scope:
    """One systemd: its bus, the jobs that it was asked for, and who wants to know of what."""

    def __init__(self, name: str, journal: Journal) -> None:
        self.name, self.journal = name, journal
        self._bus = Bus("", self._on_signal, self._on_lost)
        self._opening = asyncio.Lock()
        self._subjects: dict[str, UnitSubject] = {}
        """By the path of the unit's object."""
        self._kept: set[str] = set()
        self._jobs: dict[str, asyncio.Future[str]] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        """Jobs that ended lately, for whoever learns only afterwards that it was his."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading, self._reload_asked, self._reload_done = asyncio.Lock(), 0, 0

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.journal.close()
        await self._bus.close()

    # ---- calls -----------------------------------------------------------------------------------------------------

    async def call(self, name: str, signature: str = "", *values: Any) -> tuple[Any, ...]:
        """The answer of a method of systemd's manager. Raises BusError, BusLost."""
        await self._open()
        return await self._bus.call(MANAGER, MANAGER_INTERFACE, name, signature, *values)

    async def properties(self, path: str, interface: str) -> dict[str, Any]:
        """All of an object's. Raises BusError, BusLost."""
        await self._open()
        (found,) = await self._bus.call(path, PROPERTIES, "GetAll", "s", interface)
        return {name: value for name, (_, value) in found.items()}

    async def job(self, name: str, *values: str, own: set[str]) -> str:
        """Asks for a job and waits for its end: `done`, `failed`, ...; empty: it takes longer than JOB_SECONDS.

        Its path is added to `own`. Raises BusError, BusLost.
        """
        (path,) = await self.call(name, "ss", *values)
        own.add(path)
        if path in self._ended:
            return self._ended[path]
        ended = self._jobs.setdefault(path, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(JOB_SECONDS):
                return await asyncio.shield(ended)
        except TimeoutError:
            return ""
        finally:
            self._jobs.pop(path, None)

    async def reload(self) -> None:
        """Has systemd read its units again; those who ask within a moment share one. Raises BusError, BusLost."""
        self._reload_asked += 1
        mine = self._reload_asked
        async with self._reloading:
            if self._reload_done >= mine:
                return
            await asyncio.sleep(GATHERING)
            upto = self._reload_asked
            await self._open()
            await self._bus.call(MANAGER, MANAGER_INTERFACE, "Reload", seconds=RELOAD_SECONDS)
            self._reload_done = upto

    async def _open(self) -> None:
        """Connects when there is no connection, and asks for what all want to know. Raises BusLost."""
        async with self._opening:
            if self._bus.is_open:
                return
            self._bus.path = bus_path(self.name, os.getuid(), os.environ)
            if not Path(self._bus.path).exists():
                raise BusLost(_no_bus(self.name, self._bus.path))
            await self._bus.open()
            try:
                await self._bus.call(MANAGER, MANAGER_INTERFACE, "Subscribe")
                sender = f"type='signal',sender='{SYSTEMD}',interface='{MANAGER_INTERFACE}'"
                for member in ("JobRemoved", "Reloading"):
                    await self._bus.match(f"{sender},member='{member}'")
                for path in self._subjects:
                    await self._bus.match(_changes_of(path))
            except (BusError, BusLost) as error:
                await self._bus.close()
                raise BusLost(f"systemd does not take part: {error}") from None

    # ---- signals ---------------------------------------------------------------------------------------------------

    async def watch(self, path: str, subject: UnitSubject) -> None:
        """Tells the subject when its unit changes. Raises BusError, BusLost."""
        self._subjects[path] = subject
        if self._bus.is_open:
            await self._bus.match(_changes_of(path))
        else:
            await self._open()

    async def keep(self, unit: str) -> None:
        """Lets systemd not forget how a unit ended as soon as it has; only root may ask for that, of the host's own.

        It holds as long as the connection does. Raises BusLost.
        """
        if unit in self._kept:
            return
        await self._open()
        self._kept.add(unit)
        try:
            await self.call("RefUnit", "s", unit)
        except BusError as error:
            log.debug("%s is not kept: %s", unit, error)

    def forget(self, path: str, subject: UnitSubject) -> None:
        """The subject wants to know no more."""
        if self._subjects.get(path) is subject:
            del self._subjects[path]
            if self._bus.is_open:
                self._own(self._let_go(path, subject.unit))

    async def _let_go(self, path: str, unit: str) -> None:
        try:
            await self._bus.unmatch(_changes_of(path))
            if unit in self._kept:
                self._kept.discard(unit)
                await self.call("UnrefUnit", "s", unit)
        except (BusError, BusLost) as error:
            log.debug("its signals go on: %s", error)

    def _on_signal(self, path: str, interface: str, name: str, body: tuple[Any, ...]) -> None:
        if interface == PROPERTIES and path in self._subjects:
            self._subjects[path].on_changed()
        elif name == "JobRemoved":
            _, job, unit, result = body
            self._on_job(job, unit, result)
        elif name == "Reloading" and body == (False,):  # units may have been added, changed, removed
            self._tell_all()

    def _on_job(self, job: str, unit: str, result: str) -> None:
        self._ended[job] = result
        if len(self._ended) > JOBS_KEPT:
            self._ended.popitem(last=False)
        if (waiting := self._jobs.get(job)) and not waiting.done():
            waiting.set_result(result)
        for subject in self._subjects.values():
            if subject.unit == unit:
                subject.on_job(job)

    def _on_lost(self) -> None:
        self._kept.clear()
        for waiting in self._jobs.values():
            if not waiting.done():
                waiting.set_result("")
        if self._subjects:
            self._tell_all()
            self._own(self._come_back())

    async def _come_back(self) -> None:
        while not self._bus.is_open and self._subjects:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                await self._open()
            except BusLost as error:
                log.debug("systemd is not back: %s", error)
        self._tell_all()

    def _tell_all(self) -> None:
        for subject in self._subjects.values():
            subject.on_changed()

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _changes_of(path: str) -> str:
    return f"type='signal',sender='{SYSTEMD}',path='{path}',interface='{PROPERTIES}',member='PropertiesChanged'"


def _no_bus(scope: str, path: str) -> str:
    if not Path("/run/systemd/system").is_dir():
        return "this host was not started by systemd, so it has no units"
    if scope == "user":
        return "this user has no systemd of his own here; `loginctl enable-linger` starts it with the host"
    return f"there is no message bus at {path}; systemctl start dbus.socket"
