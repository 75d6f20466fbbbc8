"""The supervisor: holds a driver for each instance, adopts what runs, answers questions, applies configurations."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bhtui.agent.foreign.model import Hold, Manager
from bhtui.agent.keeper import Exit as KeptExit
from bhtui.agent.memory import Events
from bhtui.core.errors import BlackholeError, NotFound, Refused, no_such_service
from bhtui.core.event import EventKind
from bhtui.core.override import Override, same
from bhtui.core.replica import all_instances, instance_spec, number_of
from bhtui.core.spec import ProbeKind, ServiceKind, ServiceSpec, Spec
from bhtui.core.states import ALIVE, Goal, Result, State
from bhtui.core.status import InstanceStatus, LogDropped, Scaling

from . import gates, held, holds, naming
from .bringup import BringUp
from .clearing import Clearing
from .driver import Driver
from .instance import Instance
from .logtail import tail
from .mirroring import Mirroring
from .model import Config, HealthProbes, Keeper, Limits, Records, Usage
from .planning import Planner
from .record import to_record
from .replicas import ReplicaBook
from .restart import SECOND
from .takeover import Takeover
from .tools import Tools
from .view import to_status

log = logging.getLogger(__name__)


class Supervisor:
    """Every instance of this host."""

    def __init__(
        self,
        config: Config[Any],
        keeper: Keeper,
        health: HealthProbes,
        limits: Limits,
        usage: Usage,
        events: Events,
        records: Records,
        log_dir: Path,
        clock: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
        environ: Mapping[str, str] = os.environ,
        replicas: ReplicaBook | None = None,
        managers: Mapping[ServiceKind, Manager] | None = None,
    ) -> None:
        self.config = config
        self.replicas = replicas or ReplicaBook(records)
        self.spec: Spec = self.replicas.effective(config.spec)
        """The configuration in force, with the numbers of replicas that were set at run time."""
        self._keeper, self._health, self._usage, self._events = keeper, health, usage, events
        self._records, self._log_dir, self._clock = records, log_dir, clock
        self._drivers: dict[str, Driver] = {}
        self.reload_by_contract: Callable[[str, str], Awaitable[str]] = _no_contract
        """Asks an instance at an address to read its configuration again, and says what came of it; the wiring gives
        it. Raises BlackholeError."""
        self.latest_override: Callable[[str], Override | None] = lambda _: None
        """What was last set at run time of a service's limits; the wiring gives it."""
        self.surroundings: Callable[[ServiceSpec], Mapping[str, str]] = lambda _: {}
        """What an instance is told of those that it depends on; the wiring gives it."""
        self.auto_scale: Callable[[str], str] = lambda _: ""
        """How the number of a service's instances follows their load, in words; the wiring gives it."""
        self.untold: Callable[[str], str] = lambda _: ""
        """Why others do not know which instances of a service are ready; the wiring gives it."""
        self.dropped: Callable[[Path], LogDropped | None] = lambda _: None
        """What was over the rate limit of a log; the wiring gives it."""
        self.holding: Callable[[str], str] = lambda _: ""
        """What holds automatic restarts of a service, a maintenance window; the wiring gives it."""
        self.emergency: Callable[[], str] = lambda: held.STAYS
        """Who holds everything down since an emergency stop, asked only while that is so; the wiring gives it."""
        self.plans = Planner(
            config, self.replicas, limits, usage, lambda: self.spec, lambda: self.picture,
            lambda service: self.auto_scale(service),
        )  # fmt: skip
        self._early: list[KeptExit] | None = []
        """Ends that were told before everything was adopted."""
        self._clearing = Clearing(keeper)
        self._killing = asyncio.Lock()
        self._bring_up: BringUp | None = None
        self._tools = Tools(
            keeper, self._clearing, health, limits, usage, tail, self._record, self._changed, self._waiting_for,
            lambda service: self.holding(service), self._pids, self._siblings_live, clock, chance, environ,
            managers or {}, lambda spec: self.surroundings(spec),
        )  # fmt: skip

    # ---- questions -----------------------------------------------------------------------------------------------

    @property
    def picture(self) -> dict[str, Instance]:
        """Every instance as it is now."""
        return {name: driver.instance for name, driver in self._drivers.items()}

    def driver(self, instance: str) -> Driver:
        """The driver of an instance. Raises NotFound."""
        if instance not in self._drivers:
            raise NotFound(f"cannot find {instance}: there is no such instance; `blackhole status` lists them")
        return self._drivers[instance]

    def log_path(self, service: str, instance: str) -> Path:
        """Where the output of an instance goes."""
        return self._log_dir / service / f"{instance}.log"

    def names(self, wanted: Sequence[str] = ()) -> list[str]:
        """The instances of these services or of these names, or all. Raises NotFound."""
        known = list(self._drivers)
        for name in wanted:
            if name not in self._drivers and not any(d.instance.service == name for d in self._drivers.values()):
                nobody = naming.without_instances([name], self.spec.services, self.picture)
                raise NotFound(nobody[0]) if nobody else no_such_service(name, self.spec.services)
        return [n for n in known if not wanted or n in wanted or self._drivers[n].instance.service in wanted]

    def status(self, names: Sequence[str] = ()) -> list[InstanceStatus]:
        """How the instances are. Raises NotFound."""
        now = self._clock()
        found = [self._drivers[name] for name in self.names(names)]
        return [self._status(driver.instance, now) for driver in found]

    def _status(self, i: Instance, now: int) -> InstanceStatus:
        override = self.latest_override(i.service)
        effective = replace(i, spec=self._tools.limits.effective(i.spec))
        status = to_status(effective, self._usage.of(i.name), now, override, self._scaling(i.service, now))
        if self._keeper.held and not i.spec.is_foreign:
            status = replace(status, held=self.emergency())
        return replace(
            status,
            auto_scale=self.auto_scale(i.service),
            untold=self.untold(i.service),
            restarts_note=holds.note(i, self.holding(i.service)) if i.spec.is_foreign else "",
            log_dropped=self.dropped(self.log_path(i.service, i.name)),
        )

    def _scaling(self, service: str, now: int) -> Scaling | None:
        """Who set the number of its instances at run time."""
        override, declared = self.replicas.of(service), self.config.spec.services.get(service)
        if override is None or declared is None:
            return None
        ago = max(0.0, (now - override.time_ns) / SECOND)
        return Scaling(int(override.value), declared.replicas, override.actor, ago)

    async def check(self, names: Sequence[str] = ()) -> list[InstanceStatus]:
        """Runs the probes now, then as `status`."""
        chosen = self.names(names)
        await asyncio.gather(*(self._check(self._drivers[name]) for name in chosen))
        return self.status(names)

    async def _check(self, driver: Driver) -> None:
        i = driver.instance
        if i.spec.probe.kind is ProbeKind.NONE or i.pid is None:
            return
        try:
            verdict = await self._health.check(i.name)
        except NotFound:
            return  # it ended meanwhile
        await driver.take_verdict(i.incarnation, verdict)

    # ---- life ----------------------------------------------------------------------------------------------------

    async def adopt(self, put_off: bool = False) -> None:
        """Takes over what an earlier agent left, and starts what should run and does not. Called once.

        `put_off`: starts it only after `bring_up`, or when a configuration is put in force, or when nobody comes.
        """
        takeover = Takeover(self._tools, self._records, self.spec, self._add, self.start)
        await takeover.take()
        for driver in self._own_drivers() if self._keeper.held else ():
            driver.kill()
        early, self._early = self._early or [], None
        for ended in early:
            self.on_exit(ended)
        self._bring_up = BringUp(takeover.bring_up)
        await self._bring_up.begin(put_off)
        self._drop_undeclared()

    def bring_up(self) -> None:
        """What was up is brought up now, if that was put off: no other configuration comes."""
        if self._bring_up is not None:
            self._bring_up.go()

    def _own_drivers(self) -> list[Driver]:
        return [driver for driver in self._drivers.values() if not driver.instance.spec.is_foreign]

    async def close(self) -> None:
        """Lets go of everything; the services run on."""
        if self._bring_up is not None:
            await self._bring_up.close()
        await asyncio.gather(*(driver.close() for driver in self._drivers.values()))
        await self._clearing.close()

    # ---- requests ------------------------------------------------------------------------------------------------

    async def start(self, name: str, by: str = "", environment: Mapping[str, str] | None = None) -> Instance:
        """Wants the instance up. Raises Refused, also while an emergency stop holds everything down."""
        self._must_not_be_held(name)
        return await self.driver(name).start(by, environment or {})

    async def restart(self, name: str, by: str) -> Instance:
        """Wants a unit or container to run anew, in one go. Raises Refused."""
        self._must_not_be_held(name)
        driver = self.driver(name)
        assert isinstance(driver, Mirroring), f"{name} is stopped and started"
        return await driver.restart(by)

    def _must_not_be_held(self, name: str) -> None:
        """Asked at each start, so that no operation of before an emergency stop goes on as if nothing had happened."""
        if self._keeper.held:
            raise Refused(f"cannot start {name}: {held.STAYS}")

    async def lift_hold(self) -> None:
        """Lets things start again after an emergency stop. Raises KeeperError."""
        await self._keeper.resume()

    async def kill_everything(self) -> None:
        """Has the keeper kill all at once, which tells `on_emergency`; several who ask are one. Raises KeeperError."""
        async with self._killing:
            if not self._keeper.held:
                await self._keeper.emergency()

    async def stop(self, name: str, grace: float | None = None) -> Instance:
        """Wants the instance down; grace 0: killed at once."""
        return await self.driver(name).stop(grace)

    async def signal(self, name: str, signal: str) -> None:
        """Sends the instance's main process a signal (`SIGHUP`). Raises BlackholeError when it has none."""
        await self.driver(name).signal(signal)

    def limits_held(self, instance: str, held_by: str, not_held: Mapping[str, str]) -> None:
        """Takes note of what holds the limits of a running instance, which were set anew."""
        self.driver(instance).limits_held(held_by, not_held)

    async def hold(self, instance: str) -> Hold | None:
        """Holds a unit or container to the limits in force, by its manager; None: it is a process of ours.

        Raises BlackholeError when the manager cannot be asked.
        """
        driver = self.driver(instance)
        return await driver.hold() if isinstance(driver, Mirroring) else None

    def held(self, instance: str) -> Hold | None:
        """How the limits of a unit or container are held; None: nothing was set by this agent."""
        driver = self.driver(instance)
        return driver.hold_now if isinstance(driver, Mirroring) else None

    async def apply(self, spec: Spec, later: Collection[str] = ()) -> None:
        """Another configuration: holds for each instance from its next start on; what runs is not touched.

        Probes go by it at once, but for those instances that are to be restarted `later`.
        """
        self.spec = self.replicas.effective(spec)
        declared = all_instances(self.spec.services)
        asks: list[Awaitable[Any]] = []
        for name, driver in self._drivers.items():
            known = self.spec.services.get(driver.instance.service)
            own = instance_spec(known, number_of(name)) if known else driver.instance.spec
            if driver.instance.spec.identity == own.identity:
                waits = name in later or own == driver.instance.coming  # what is said again makes nobody's turn come
                asks.append(driver.take_spec(own, name in declared, waits))
        await asyncio.gather(*asks)
        for name, service in declared.items():
            self._renew(name, service)
        for name, service in declared.items():
            if name not in self._drivers:
                added = self._add(Instance(name, service, since_ns=self._clock()))
                if isinstance(added, Mirroring):
                    added.begin(None)
        # Those of one service beside each other, whenever they were added.
        order = [*(name for name in declared if name in self._drivers), *self._drivers]
        self._drivers = {name: self._drivers[name] for name in dict.fromkeys(order)}
        self._drop_undeclared()
        for driver in self._drivers.values():
            driver.dependencies_changed()
        self.bring_up()

    async def scale(self, service: str, wanted: Override | None) -> None:
        """Another number of its instances, or the declared one (None). What runs is not touched."""
        if not same(self.replicas.of(service), wanted):
            self.replicas.change(service, wanted)
            number = wanted.value if wanted else "as declared"
            message = f"{service}: replicas {number}" + (f", set by {wanted.actor}" if wanted else "")
            self._record(service, EventKind.REPLICAS_CHANGED, message, {"replicas": wanted.value if wanted else None})
        await self.apply(self.config.spec)

    def look_at_holds(self) -> None:
        """The maintenance windows have changed: what is held no more is started, what is held longer says so."""
        for driver in self._drivers.values():
            driver.holds_changed()

    async def give_back(self) -> None:
        """The agent ends for good: what windows hold of the restarts of units and containers is put back."""
        mirrored = [driver for driver in self._drivers.values() if isinstance(driver, Mirroring)]
        await asyncio.gather(*(driver.give_back() for driver in mirrored))

    def on_clock_set(self, step_ns: int) -> None:
        """The host's clock was put forward by so much (back: less than 0)."""
        for driver in self._drivers.values():
            driver.clock_set(step_ns)

    def on_emergency(self) -> None:
        """Everything was killed past the agent (the keeper's emergency stop): nothing is to be started again."""
        for driver in self._drivers.values():
            driver.kill()

    def remember_up(self, before: Mapping[str, Instance]) -> None:
        """What was up in that picture is started by the next agent, as after a reboot. For the end of the agent."""
        for name, i in before.items():
            if i.goal is Goal.UP and i.completed:
                self._records.save_instance(name, to_record(i, self._keeper.boot_id))
            elif i.goal is Goal.UP and name in self._drivers:
                again = replace(self._drivers[name].instance, goal=Goal.UP, result=Result.NONE)
                self._records.save_instance(name, to_record(again, boot_id=""))

    def _add(self, instance: Instance) -> Driver:
        path = self.log_path(instance.service, instance.name)
        made = Mirroring if instance.spec.is_foreign else Driver
        self._drivers[instance.name] = driver = made(instance, path, self._tools)
        return driver

    def _renew(self, name: str, service: ServiceSpec) -> None:
        """What was a process is a unit now, another unit, or the other way round. A process goes on until it ends."""
        driver = self._drivers.get(name)
        if driver is None or driver.instance.spec.identity == service.identity:
            return
        if driver.instance.spec.is_foreign or driver.instance.state not in ALIVE:
            driver.retire()
            self._records.delete_instance(name)
            renewed = self._add(Instance(name, service, since_ns=self._clock()))
            if isinstance(renewed, Mirroring):
                renewed.begin(None)

    def _drop_undeclared(self) -> None:
        """Forgets instances that are neither declared nor alive."""
        for name, driver in list(self._drivers.items()):
            rests = driver.instance.state in (State.STOPPED, State.FAILED)
            if not driver.instance.declared and (rests or driver.instance.spec.is_foreign):
                del self._drivers[name]
                self._records.delete_instance(name)
                driver.retire()

    # ---- what the drivers tell -----------------------------------------------------------------------------------

    def on_exit(self, ended: KeptExit) -> None:
        """The keeper tells of every end of a process."""
        if self._early is not None:
            self._early.append(ended)
            return
        name, _, incarnation = ended.key.rpartition("#")
        if driver := self._drivers.get(name):
            driver.on_exit(int(incarnation), ended)

    def _record(self, instance: str, kind: EventKind, message: str, data: Mapping[str, Any]) -> None:
        self._events.append(kind, instance, message, data)

    def _changed(self, before: Instance, after: Instance) -> None:
        record = to_record(after, self._keeper.boot_id)
        if record != to_record(before, self._keeper.boot_id):
            self._records.save_instance(after.name, record)
        if (before.state, before.pid, before.health) != (after.state, after.pid, after.health):
            self._wake_dependents(after.service)
        if not after.declared and after.state in (State.STOPPED, State.FAILED) and before.state != after.state:
            asyncio.get_running_loop().call_soon(self._drop_undeclared)

    def _wake_dependents(self, service: str) -> None:
        for driver in self._drivers.values():
            i = driver.instance
            if service in i.spec.depends_on and (i.state is State.WAITING or i.waiting_for or i.again):
                driver.dependencies_changed()

    def _waiting_for(self, i: Instance, restart: bool) -> str:
        test = gates.missing_for_restart if restart else gates.missing_for_start
        return test(i.next_spec, self.spec.services, self.picture)

    def _pids(self) -> set[int]:
        return {driver.instance.pid for driver in self._drivers.values() if driver.instance.pid is not None}

    def _siblings_live(self, i: Instance) -> bool:
        if i.spec.ports and i.spec.port_step:
            return False  # each has its own ports, which must be free whoever else lives
        names: Iterable[str] = i.spec.instance_names()
        return any(n != i.name and n in self._drivers and self._drivers[n].instance.state in ALIVE for n in names)

    def now(self) -> int:
        """Unix nanoseconds."""
        return self._clock()

    def settled(self, i: Instance) -> float:
        """Seconds for which nothing has spoken against it: of what a manager says, since it was seen to run.

        A unit counts as started before its program is executed; that this failed is told a moment later.
        """
        return (self._clock() - i.since_ns) / SECOND if i.spec.is_foreign else self.uptime(i)

    def uptime(self, i: Instance) -> float:
        """Seconds since its process was started."""
        return (self._clock() - i.started_ns) / SECOND


async def _no_contract(instance: str, address: str) -> str:
    raise BlackholeError(f"cannot reload {instance}: nobody here speaks its contract at {address}")
