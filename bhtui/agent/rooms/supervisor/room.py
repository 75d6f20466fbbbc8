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
from bhtui.agent.keeper import KeeperError
from bhtui.agent.keeper import KeptProcess as Kept
from bhtui.core.errors import BlackholeError, NotFound, Refused
from bhtui.core.event import EventKind
from bhtui.core.operation import Operation, Plan
from bhtui.core.override import Override, same
from bhtui.core.replica import all_instances, instance_spec, number_of
from bhtui.core.request import LifeRequest, PastRequest, ReloadConfigRequest, ResumeRequest, ScaleRequest, StartRequest
from bhtui.core.spec import LimitsSpec, ProbeKind, Restart, RestartSpec, ServiceKind, ServiceSpec, Spec
from bhtui.core.states import ALIVE, Goal, Result, State
from bhtui.core.status import InstanceStatus, LogDropped, Scaling

from . import adoption, gates, held, machine, naming, requests, resuming
from .adoption import Fate
from .clearing import Clearing
from .driver import Driver, Tools
from .exits import Exit
from .instance import Instance, limits_text
from .livelimits import cannot_hold
from .logtail import tail
from .mirroring import Mirroring
from .model import Config, Events, HealthProbes, Keeper, Limits, Records, Usage
from .record import from_record, to_record, was_ready
from .reloading import Change
from .replicas import ReplicaBook
from .restart import SECOND
from .scaling import kept_numbers, plan_scale, refuse_clashes
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
        self._early: list[KeptExit] | None = []
        """Ends that were told before everything was adopted."""
        self._clearing = Clearing(keeper)
        self._killing = asyncio.Lock()
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
                raise NotFound(nobody[0] if nobody else naming.unknown_service(name, self.spec.services))
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
        return replace(
            status,
            auto_scale=self.auto_scale(i.service),
            untold=self.untold(i.service),
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

    def plan(self, request: LifeRequest | ScaleRequest) -> Plan:
        """Exactly what the request would do. Raises NotFound, UsageError, ConfigError, Refused."""
        if isinstance(request, ScaleRequest):
            return plan_scale(self.config.spec, self.spec, self.picture, request, self.replicas.of)
        found, told = None, ""
        if isinstance(request, ReloadConfigRequest) or (isinstance(request, StartRequest) and request.brings_config):
            found = self.config.candidate(request.config_yaml, request.config_path)
        elif isinstance(request, StartRequest):
            found, told = self._from_disk()
        old = self.config.text
        if found is None:
            plan = requests.plan(self.spec, self.picture, request)
            return replace(plan, effects=(told, *plan.effects)) if told else plan
        new = self.replicas.effective(found[0])
        refuse_clashes(found[0], new, f"cannot apply {found[1].path}")
        change = Change(new, found[1].yaml, found[1].path, old.yaml, old.path)
        plan = requests.plan(self.spec, self.picture, request, change, self._cannot_hold)
        kept = kept_numbers(new.services, found[0], self._set_by_hand)
        return replace(plan, effects=(*plan.effects, *kept))

    def _set_by_hand(self, service: str) -> Override | None:
        """The number that was set of a service, unless it follows the load: then it is no surprise."""
        return None if self.auto_scale(service) else self.replicas.of(service)

    def plan_past(self, request: PastRequest, operation: Operation, plan: Plan) -> Plan:
        """How to go on with, or take back, an operation that has ended. Raises Refused, ConfigError."""
        past = resuming.Past(operation, plan)
        make = resuming.resume if isinstance(request, ResumeRequest) else resuming.roll_back
        texts = resuming.Texts(self.config.text.yaml, self._read, self._on_disk)
        return make(self.spec, self.picture, texts, past, self._cannot_hold)

    def _on_disk(self, path: str) -> str:
        """The digest of what a file declares now; empty: it cannot be read, or is not right."""
        try:
            return self.config.candidate("", path)[0].digest
        except BlackholeError:
            return ""

    def _cannot_hold(self, i: Instance, limits: LimitsSpec) -> str:
        """Why it cannot be held to other declared limits while it runs; empty: it can."""
        effective, sample = self._tools.limits.effective, self._usage.of(i.name)
        before, after = (effective(each).limits for each in (i.spec, replace(i.spec, limits=limits)))
        return cannot_hold(before, after, sample.memory_bytes if sample else None, self._tools.limits.holder)

    async def hold_to(self, name: str, limits: LimitsSpec, priorities: bool) -> str:
        """Holds an instance that runs to these declared limits; what is not held, in words. Raises BlackholeError.

        `priorities`: to its priorities too; else those that it gave itself stay.
        """
        driver = self.driver(name)
        i = driver.instance
        if i.pid is None:
            return "it does not run"
        own = replace(i.spec, limits=limits)
        effective = self._tools.limits.effective(own)
        prepared = self._tools.limits.prepare(name, effective.limits, effective.disk_paths)
        for refused in prepared.refused:
            raise BlackholeError(f"cannot hold {name} to its limit of {refused}: {prepared.not_held[refused]}")
        problems = self._tools.limits.prioritise(name, i.pid, effective.limits) if priorities else {}
        for what, why in problems.items():
            raise BlackholeError(f"cannot set the {what} of {name}: {why}")
        await driver.take_limits(i.incarnation, own, prepared.held_by, prepared.not_held)
        return limits_text(prepared.not_held) or "held"

    def _read(self, yaml: str, path: str) -> Spec:
        """Another configuration, with the numbers of replicas that hold. Raises ConfigError, NotFound."""
        return self.replicas.effective(self.config.candidate(yaml, path)[0])

    def _from_disk(self) -> tuple[tuple[Spec, Any] | None, str]:
        """The configuration file when it has changed, and what is to be said when it is gone."""
        try:
            return self.config.changed_on_disk(), ""
        except NotFound:
            if not self.spec.digest:  # nothing was ever put in force
                raise
            return None, f"{self.config.text.path} is gone; the configuration in force stays"

    # ---- life ----------------------------------------------------------------------------------------------------

    async def adopt(self) -> None:
        """Takes over what an earlier agent left, and starts what should run and does not. Called once."""
        records = self._recorded()
        table = adoption.by_instance(await self._keeper.list())
        mirrored: list[Awaitable[None]] = []
        for name, service in self._everyone(records, table).items():
            declared = service.name in self.spec.services and name in service.instance_names()
            i = Instance(name, service, declared=declared, since_ns=self._clock())
            if service.is_foreign:
                mirrored.append(self._mirror(i, records.get(name)))
            else:
                self._add(from_record(i, records[name]) if name in records else i)
        fates = {
            name: adoption.judge(d.instance.spec, records.get(name), table.get(name, []), self._keeper.boot_id)
            for name, d in self._drivers.items()
        }
        await asyncio.gather(*mirrored)
        await asyncio.gather(*(self._take(name, fate, records.get(name)) for name, fate in fates.items()))
        for driver in self._own_drivers() if self._keeper.held else ():
            driver.kill()
        early, self._early = self._early or [], None
        for ended in early:
            self.on_exit(ended)
        # Only now, so that nobody waits for an instance that has not been adopted yet.
        await asyncio.gather(
            *(self._bring_up(name, verdict, bool(records.get(name, {}).get("held"))) for name, verdict in fates.items())
        )
        self._drop_undeclared()

    def _recorded(self) -> dict[str, Mapping[str, Any]]:
        """What an earlier agent wrote down; all is to be down after an emergency stop that it did not hear of."""
        records = dict(self._records.load_instances())
        for name, record in records.items() if self._keeper.held else ():
            if record.get("kind", "process") != "process":
                continue  # what another manager runs may have been started since
            records[name] = {**record, "goal": str(Goal.DOWN)}
            self._records.save_instance(name, records[name])
        return records

    def _everyone(
        self, records: Mapping[str, Mapping[str, Any]], table: Mapping[str, Sequence[Kept]]
    ) -> dict[str, ServiceSpec]:
        """Declared instances, and those that only the keeper or a record knows: shown until stopped."""
        found = all_instances(self.spec.services)
        for name in (*records, *table):
            if name not in found and records.get(name, {}).get("kind", "process") != "process" and name not in table:
                self._records.delete_instance(name)  # a unit or container that is declared no more
            elif name not in found:
                service = table[name][-1].tag["service"] if name in table else records[name]["service"]
                known = self.spec.services.get(service)
                found[name] = instance_spec(known, number_of(name)) if known else _undeclared(service)
        return found

    def _own_drivers(self) -> list[Driver]:
        return [driver for driver in self._drivers.values() if not driver.instance.spec.is_foreign]

    async def _mirror(self, i: Instance, record: Mapping[str, Any] | None) -> None:
        """Asks its manager how a unit or container is; whoever does not answer in time is waited for no longer."""
        driver = self._add(i)
        assert isinstance(driver, Mirroring)
        driver.begin(record if record and record.get("kind") == i.spec.kind else None)
        await driver.first_seen()

    async def _take(self, name: str, verdict: adoption.Verdict, record: Mapping[str, Any] | None) -> None:
        await asyncio.gather(*(self._clear(kept) for kept in verdict.surplus))
        kept, driver = verdict.kept, self._drivers[name]
        if kept is None:
            return
        incarnation = adoption.incarnation_of(kept)
        # A process that the record does not know yet was started just before the agent ended. Without any record (the
        # database was lost) nobody is known to have asked for its end, and its time to become ready is not known.
        ready = record is None or (was_ready(record) and driver.instance.incarnation == incarnation)
        if record is None and kept.exit is None:
            driver.instance = replace(driver.instance, goal=Goal.UP)
        driver.instance = replace(driver.instance, incarnation=incarnation, started_ns=kept.spawned_ns)
        if kept.exit is not None:
            await self._clear(kept)
            return
        if not driver.instance.declared:
            log.warning("%s runs and is not declared any more; stop it with `blackhole stop %s`", name, name)
        await driver.ask(lambda i: machine.on_adopted(i, kept.pid, ready, self._clock()))
        await driver.bound_log()

    async def _bring_up(self, name: str, verdict: adoption.Verdict, was_held: bool) -> None:
        """What was to be up before a reboot comes up also in a maintenance window; what one held is held on."""
        driver = self._drivers[name]
        still_held = self.holding(driver.instance.service) if was_held else ""
        incarnation = driver.instance.incarnation
        if verdict.fate is Fate.START and still_held:
            await driver.ask(lambda i: machine.on_still_held(i, still_held, self._clock()))
        elif verdict.fate is Fate.START:
            await self.start(name)
        elif verdict.fate is Fate.ENDED and verdict.kept and verdict.kept.exit:
            await self._settle(driver, await driver.explain(incarnation, verdict.kept.exit))
        elif verdict.fate is Fate.LOST:
            await self._settle(driver, Exit(incarnation))

    async def _settle(self, driver: Driver, exit_: Exit) -> None:
        await driver.ask(lambda i: machine.on_ended_unseen(
            i, exit_, self._waiting_for(i, False), self._clock(), self._tools.chance(), self.holding(i.service)
        ))  # fmt: skip

    async def _clear(self, kept: Kept) -> None:
        """Ends the tree of an entry and takes it out of the keeper's table."""
        try:
            await self._clearing.clear(kept.key)
        except KeeperError as error:
            log.warning("cannot clear %s, trying again: %s", kept.key, error)
            self._clearing.doubt(kept.key)

    async def close(self) -> None:
        """Lets go of everything; the services run on."""
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
            if is_same_thing(driver.instance.spec, own):
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
        for driver in self._own_drivers():
            driver.holds_changed()

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
        if driver is None or is_same_thing(driver.instance.spec, service):
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


def _undeclared(service: str) -> ServiceSpec:
    """Enough of a spec to show and stop what is not declared any more."""
    return ServiceSpec(service, ("?",), restart=RestartSpec(policy=Restart.NO))


def is_same_thing(one: ServiceSpec, other: ServiceSpec) -> bool:
    """Whether both mean the same unit or container, or each a process of ours."""
    return (one.kind, one.ref, one.scope, one.engine) == (other.kind, other.ref, other.scope, other.engine)


async def _no_contract(instance: str, address: str) -> str:
    raise BlackholeError(f"cannot reload {instance}: nobody here speaks its contract at {address}")
