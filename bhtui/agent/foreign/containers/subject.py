"""One container that is declared as a service: what the supervisor asks of it, in the words of its engine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bhtui.agent.foreign.capture import Captures
from bhtui.agent.foreign.managers import Devices
from bhtui.agent.foreign.model import NOTHING, Hold, Observation
from bhtui.core.errors import BlackholeError, NoConnection, NotFound
from bhtui.core.spec import LimitsSpec, RateSpec, RotateSpec, ServiceSpec

from . import groups, limits, policy, seen
from .container import Container
from .engine import Engine
from .finding import Engines, find
from .follower import Follower
from .sockets import PODMAN

FRESH_TRIES, FRESH_SECONDS = 3, 0.15


class ContainerSubject:
    """Asks whichever engine has a container of that name, each time anew: it may have been made anew elsewhere."""

    def __init__(
        self,
        spec: ServiceSpec,
        engines: Engines,
        changed: Callable[[], None],
        devices: Devices,
        captures: Captures,
    ) -> None:
        self._spec, self._engines, self._changed, self._devices = spec, engines, changed, devices
        self._captures = captures
        self._follower: Follower | None = None
        self._asked: tuple[str, bool] = ("", False)
        """The latest run that has ended, and whether somebody asked for that."""

    # ---- observing -----------------------------------------------------------------------------------------------

    async def observe(self, restarts: Mapping[str, Any] = NOTHING) -> Observation:
        """How it is now. Does not raise."""
        try:
            engine, found = await self._find()
            asked = await self._was_asked(engine, found)
        except NotFound:
            return seen.absent(self._spec.container, self._names())
        except BlackholeError as error:
            return Observation(None, text=str(error))
        group = groups.of_process(found.pid, found.id) if found.pid else ""
        said = seen.observation(found, engine.name, asked, group, sees_pid=bool(group))
        at_rest = seen.has_ended(found) and policy.would_restart(restarts, found, asked)
        return replace(said, would_restart=at_rest)

    async def _find(self) -> tuple[Engine, Container]:
        pairs = self._engines.of(self._spec.engine)
        for _, watch in pairs:
            watch.add(self._spec.container, self._notice)
        return await find(self._spec, [engine for engine, _ in pairs])

    def _notice(self) -> None:
        self._changed()
        if self._follower:
            self._follower.changed()

    def _names(self) -> list[str]:
        return [engine.name for engine, _ in self._engines.of(self._spec.engine)]

    async def _was_asked(self, engine: Engine, found: Container) -> bool:
        """Whether somebody asked for its end; an engine that does not tell is no reason not to say how it is.

        Podman notes that it was asked only after the end, so a fresh end is asked about again.
        """
        run = seen.run_of(found)
        if not seen.has_ended(found):
            return False
        if self._asked[0] == run:
            return self._asked[1]
        asked, tries = False, FRESH_TRIES if found.exit_code in seen.AFTER_ASKING else 1
        for _ in range(tries):
            try:
                said = await engine.says_stopped(found)
                asked = said or seen.was_asked(found, engine.name, await engine.happened(found))
            except BlackholeError:
                return seen.was_asked(found, engine.name, ())
            is_fresh = time.time_ns() - found.finished_ns < seen.SLACK_NS
            if asked or not is_fresh:
                self._asked = run, asked
                break
            if tries > 1:
                await asyncio.sleep(FRESH_SECONDS)
        return asked

    async def tail(self, count: int) -> tuple[str, ...]:
        """The last lines of its latest run; () when they cannot be had."""
        try:
            engine, found = await self._find()
            async with engine.logs(found, found.started_ns // 1_000_000_000, count) as batches:
                pieces = [piece async for batch in batches for piece in batch]
        except BlackholeError:
            return ()
        return tuple(piece.text.decode(errors="replace") for piece in pieces[-count:])

    # ---- asking --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when it was started. Raises BlackholeError in the engine's words."""
        engine, found = await self._find()
        await engine.start(found.name)

    async def stop(self, grace: float | None) -> None:
        """Returns when it has ended. None: the time that it was created with."""
        try:
            engine, found = await self._find()
        except NotFound:
            return  # what was removed runs no more
        before, self._asked = self._asked, (seen.run_of(found), True)
        try:
            await engine.stop(found.name, grace)
        except BlackholeError:
            self._asked = before
            raise

    async def restart(self) -> None:
        """Stops and starts it in one go."""
        engine, found = await self._find()
        await engine.restart(found.name)

    async def signal(self, number: int) -> None:
        """Sends its first process a signal."""
        engine, found = await self._find()
        await engine.kill(found.name, str(number))

    # ---- its restarts --------------------------------------------------------------------------------------------

    async def restarts(self) -> Mapping[str, Any]:
        """When its engine starts it again; one that does not exist is not started."""
        try:
            _, found = await self._find()
        except NotFound:
            return NOTHING
        return policy.of(found)

    async def hold_restarts(self) -> None:
        """The policy is `no` from now on."""
        engine, found = await self._find()
        await engine.set_policy(found, "no")

    async def let_restarts(self, restarts: Mapping[str, Any]) -> None:
        """The policy is what it was. One that was made anew meanwhile has its own."""
        if not restarts:
            return
        try:
            engine, found = await self._find()
        except NotFound:
            return
        if found.id == restarts["id"] and not policy.of(found):
            await engine.set_policy(found, restarts["policy"])

    # ---- limits --------------------------------------------------------------------------------------------------

    async def hold(self, wanted: LimitsSpec, paths: Sequence[str], before: Mapping[str, Any]) -> Hold:
        """Holds it to these limits. What the container was created with comes back where nothing is wanted any more."""
        engine, found = await self._find()
        name = (await engine.version()).engine
        own = before if before.get("id") == found.id else limits.own(found)
        given = [each for each in limits.HELD + limits.ON_DISKS if getattr(wanted, each) is not None]
        not_held = limits.not_held(name, wanted)
        if not given and own is not before:
            return Hold()
        if why := limits.too_little(name, wanted):
            return Hold("", {**not_held, "memory": why}, ("memory",), own)
        if name == PODMAN and found.status not in limits.CHANGEABLE:
            return Hold(name, not_held, (), own)  # each run is held to them when it begins
        devices, lost = self._devices(paths) if wanted.iops or wanted.bandwidth else ((), ())
        if lost:
            not_held = dict.fromkeys(set(given) & set(limits.ON_DISKS), limits.no_disk(lost)) | not_held
        refused = await self._update(engine, found, limits.target(wanted, own), devices)
        not_held |= {each: why for each, why in refused.items() if each in given}
        held_by = name if set(given) - set(not_held) else ""
        return Hold(held_by, not_held, tuple(each for each in given if each in refused), own)

    async def _update(
        self, engine: Engine, found: Container, target: LimitsSpec, devices: Collection[str]
    ) -> dict[str, str]:
        """Sets all at once; when that is refused, one by one, to know which it was. Raises BlackholeError."""
        cpus = os.cpu_count() or 1
        try:
            await engine.update(found, target, cpus, devices)
        except NoConnection:
            raise
        except BlackholeError as error:
            refused = {}
            for name in limits.HELD:
                alone = replace(found.limits, **{name: getattr(target, name)})
                try:
                    await engine.update(found, alone, cpus)
                except BlackholeError as why:
                    refused[name] = str(why)
            return refused or dict.fromkeys(limits.ON_DISKS, str(error))
        return {}

    # ---- its output ----------------------------------------------------------------------------------------------

    def capture(self, path: Path, rotate: RotateSpec, rate: RateSpec) -> None:
        """Follows its output from now on; called again, with other limits."""
        if self._follower:
            self._follower.limit(rotate, rate)
            return
        self._follower = Follower(self._spec.container, self._captures.add(path, rotate, rate), self._find)
        self._follower.begin()

    async def close(self) -> None:
        """Lets go of it; it runs on."""
        for _, watch in self._engines.of(self._spec.engine):
            watch.remove(self._notice)
        if self._follower:
            await self._follower.close()
