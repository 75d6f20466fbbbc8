"""Endpoints: looks which instances are ready after every event, writes it down, and has others told.

The supervisor does not know this room; it is read, and its events are heard. An instance that is about to go is taken
out by the step `endpoints.drain` before it is stopped; that outlives the agent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bhtui.agent import command
from bhtui.agent.memory import Settings
from bhtui.core.endpoint import Endpoint, ready_addresses, to_json, variable_of
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.spec import EndpointsSpec, ServiceSpec

from . import ready
from .files import Files
from .model import Events, Instances, Running
from .teller import Run, Teller, Told

log = logging.getLogger(__name__)

LEAVING, TOLD = "endpoints.leaving", "endpoints.told"
GATHER = 0.05
"""Seconds between two looks at the least: many events at once are one."""
ATTEMPTS = 3
"""Failed attempts to tell others that an instance goes, after which it is not taken away."""
RETRY = 5.0
"""Seconds after which a file that could not be written is tried again."""


class EndpointsRoom:
    """One for the host. `look` is the whole of it; everything else asks for what it saw."""

    def __init__(
        self,
        instances: Instances,
        events: Events,
        settings: Settings,
        folder: Path,
        run: Run | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.clock = clock
        self._instances, self._events, self._settings = instances, events, settings
        self._run = run or self._run_command
        self._files = Files(folder)
        self._leaving: dict[str, int] = dict(settings.setting(LEAVING) or {})
        told = settings.setting(TOLD) or {}
        self._told = {name: Told(each["command"], tuple(each["ready"])) for name, each in told.items()}
        self._tellers: dict[str, Teller] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._table: ready.Table = {}
        self._services: frozenset[str] | None = None
        self._ready = self._files.ready()
        """The addresses that were ready when it was last looked, by this agent or the one before."""
        self._trouble = ""

    async def watch(self) -> None:
        """Looks after every event; runs for as long as the agent does."""
        with self._events.bell() as rung:
            while True:
                rung.clear()
                self.look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY if self._trouble else None):
                        await rung.wait()
                await asyncio.sleep(GATHER)

    async def close(self) -> None:
        """Tells nobody any more."""
        await asyncio.gather(*(teller.close() for teller in self._tellers.values()), *self._closing)

    # ---- looking ---------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Takes in what is now. Cheap when nothing has changed."""
        spec, picture = self._instances.spec, self._instances.picture
        self._forget_leaving(picture)
        self._table = self._seen()
        self._ready = frozenset(each.address for many in self._table.values() for each in many if each.ready)
        self._write()
        for name, endpoints in self._table.items():
            self._tell(name, spec.services[name].endpoints, endpoints)
        for name in {*self._tellers, *self._told} - self._table.keys():
            self._drop(name)

    def _seen(self) -> ready.Table:
        return ready.table(self._instances.spec, self._instances.picture.values(), self._leaving, self._ready)

    def _write(self) -> None:
        trouble = ""
        try:
            if self._services is None or set(self._services) != set(self._table):
                self._files.keep_only(self._table)
                self._services = frozenset(self._table)
            for name, endpoints in self._table.items():
                self._files.write(name, endpoints)
        except OSError as error:
            trouble = f"cannot write the endpoints into {self._files.folder}: {(error.strerror or str(error)).lower()}"
        if trouble and trouble != self._trouble:
            self._events.append(EventKind.ENDPOINTS_FAILED, "", trouble, {"reason": trouble})
        self._trouble = trouble

    def _tell(self, name: str, spec: EndpointsSpec, endpoints: tuple[Endpoint, ...]) -> None:
        if not spec.on_change:
            self._drop(name)
            return
        if name not in self._tellers:
            self._tellers[name] = Teller(name, self._run, self._events, self._keep_told, self._told.get(name))
        self._tellers[name].want(spec, endpoints)

    def _drop(self, name: str) -> None:
        """Tells nobody of it any more. What others know of it will be out of date when they are told again."""
        if name in self._told:
            self._keep_told(name, None)
        if teller := self._tellers.pop(name, None):
            task = asyncio.create_task(teller.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _keep_told(self, service: str, told: Told | None) -> None:
        """None: what others know is not known."""
        self._told.pop(service, None)
        if told is not None:
            self._told[service] = told
        self._keep(TOLD, {name: {"command": each.command, "ready": each.ready} for name, each in self._told.items()})

    def _keep(self, key: str, value: object) -> None:
        try:
            self._settings.set_setting(key, value)
        except BlackholeError as error:  # an agent started later tells again, which does no harm
            log.warning("cannot keep %s: %s", key, error)

    # ---- going -----------------------------------------------------------------------------------------------------

    def instance(self, name: str) -> Running | None:
        """An instance that can be reached now."""
        i = self._instances.picture.get(name)
        return i if i is not None and i.spec.ports and i.pid is not None else None

    def leave(self, i: Running) -> None:
        """Takes an instance out of the endpoints, for as long as its present process lives."""
        if self._leaving.get(i.name) != i.incarnation:
            self._leaving[i.name] = i.incarnation
            self._keep(LEAVING, self._leaving)
        self.look()

    def stay(self, name: str) -> None:
        """It does not go after all."""
        if self._leaving.pop(name, None) is not None:
            self._keep(LEAVING, self._leaving)
            self.look()

    def _forget_leaving(self, picture: Mapping[str, Running]) -> None:
        gone = [n for n, at in self._leaving.items() if n not in picture or picture[n].incarnation != at]
        for name in gone:
            del self._leaving[name]
        if gone:
            self._keep(LEAVING, self._leaving)

    def waits_for(self, service: str) -> str:
        """Why others do not know what of it is ready now; empty: they were told."""
        if self._trouble:
            return self._trouble
        teller = self._tellers.get(service)
        if teller is None or not teller.is_behind:
            return ""
        # What it said stands in the status and, once it is given up, at the end of what waits for it.
        return f"on_change of {service}, which failed and is tried again" if teller.trouble else "others to be told"

    def given_up(self, service: str) -> str:
        """Why that is waited for no longer: others could not be told several times; or empty."""
        teller = self._tellers.get(service)
        if teller is None or not teller.is_behind or teller.failures < ATTEMPTS:
            return ""
        return f"on_change of {service} failed {teller.failures} times: {teller.trouble}"

    # ---- questions -------------------------------------------------------------------------------------------------

    def untold(self, service: str) -> str:
        """Why others still know another set of ready instances; empty: nothing has failed."""
        teller = self._tellers.get(service)
        return f"on_change fails, and is tried again: {teller.trouble}" if teller and teller.trouble else ""

    def surroundings(self, spec: ServiceSpec) -> dict[str, str]:
        """What a service is told of those that it depends on, in its environment: `API_ENDPOINTS`, and their file.

        Not the file when it runs as another user, who may not enter the agent's folder.
        """
        needs = [name for name in spec.depends_on if name in self._instances.spec.services]
        if not any(self._instances.spec.services[name].ports for name in needs):
            return {}
        # Without `look`: while an agent takes over what runs, what it has not come to yet is not to be called down.
        seen, told = self._seen(), dict[str, str]()
        for name in needs:
            if name in seen:
                told[variable_of(name)] = ",".join(ready_addresses(seen[name]))
                if not spec.user:
                    told[variable_of(name) + "_FILE"] = str(self._files.path(name))
        return told

    async def _run_command(self, service: str, spec: EndpointsSpec, endpoints: tuple[Endpoint, ...]) -> command.Said:
        own = {
            "BLACKHOLE_SERVICE": service,
            "BLACKHOLE_ENDPOINTS": ",".join(ready_addresses(endpoints)),
            "BLACKHOLE_ENDPOINTS_FILE": str(self._files.path(service)),
        }
        base = {"PATH": command.DEFAULT_PATH, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
        setting = command.Setting({**base, **own})
        text = json.dumps(to_json(service, endpoints)) + "\n"
        return await command.run(spec.on_change, setting, timeout=spec.timeout, stdin=text.encode())
