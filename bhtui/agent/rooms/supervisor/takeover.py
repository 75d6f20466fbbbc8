"""What an agent does first: takes over what an earlier one left, then starts what should run and does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bhtui.agent.keeper import KeeperError
from bhtui.agent.keeper import KeptProcess as Kept
from bhtui.core.replica import all_instances, instance_spec, number_of
from bhtui.core.spec import Restart, RestartSpec, ServiceSpec, Spec
from bhtui.core.states import Goal

from . import adoption, machine
from .adoption import Fate
from .driver import Driver
from .exits import Exit
from .instance import Instance
from .mirroring import Mirroring
from .model import Records
from .record import from_record, was_ready
from .tools import Tools

log = logging.getLogger(__name__)


class Takeover:
    """Used once: `take`, then `bring_up`."""

    def __init__(
        self,
        tools: Tools,
        records: Records,
        spec: Spec,
        add: Callable[[Instance], Driver],
        start: Callable[[str], Awaitable[Instance]],
    ) -> None:
        """`add` makes the driver of an instance, `start` wants it up."""
        self._tools, self._records, self._spec, self._add, self._start = tools, records, spec, add, start
        self._known: Mapping[str, Mapping[str, Any]] = {}
        self._drivers: dict[str, Driver] = {}
        """Of processes of ours."""
        self._verdicts: dict[str, adoption.Verdict] = {}

    async def take(self) -> None:
        """A driver for every instance, and those that run taken over."""
        self._known = self._recorded()
        table = adoption.by_instance(await self._tools.keeper.list())
        mirrored: list[Awaitable[None]] = []
        for name, service in self._everyone(table).items():
            declared = service.name in self._spec.services and name in service.instance_names()
            i = Instance(name, service, declared=declared, since_ns=self._tools.clock())
            record = self._known.get(name)
            if service.is_foreign:
                mirrored.append(self._mirror(i, record))
            else:
                self._drivers[name] = self._add(i if record is None else from_record(i, record))
        self._verdicts = {
            name: adoption.judge(
                d.instance.spec, self._known.get(name), table.get(name, []), self._tools.keeper.boot_id
            )
            for name, d in self._drivers.items()
        }
        await asyncio.gather(*mirrored)
        await asyncio.gather(*(self._take(name, verdict) for name, verdict in self._verdicts.items()))

    async def bring_up(self) -> None:
        """What should run and does not; only now, so that nobody waits for one that has not been taken over yet."""
        await asyncio.gather(*(self._bring_up(name, verdict) for name, verdict in self._verdicts.items()))

    def _recorded(self) -> dict[str, Mapping[str, Any]]:
        """What an earlier agent wrote down; all is to be down after an emergency stop that it did not hear of."""
        records = dict(self._records.load_instances())
        for name, record in records.items() if self._tools.keeper.held else ():
            if record.get("kind", "process") != "process":
                continue  # what another manager runs may have been started since
            records[name] = {**record, "goal": str(Goal.DOWN)}
            self._records.save_instance(name, records[name])
        return records

    def _everyone(self, table: Mapping[str, Sequence[Kept]]) -> dict[str, ServiceSpec]:
        """Declared instances, and those that only the keeper or a record knows: shown until stopped."""
        found = all_instances(self._spec.services)
        for name in (*self._known, *table):
            if name in found:
                continue
            record = self._known.get(name, {})
            if record.get("kind", "process") != "process" and name not in table:
                self._records.delete_instance(name)  # a unit or container that is declared no more
                continue
            service = table[name][-1].tag["service"] if name in table else record["service"]
            known = self._spec.services.get(service)
            found[name] = instance_spec(known, number_of(name)) if known else _undeclared(service)
        return found

    async def _mirror(self, i: Instance, record: Mapping[str, Any] | None) -> None:
        """Asks its manager how a unit or container is; whoever does not answer in time is waited for no longer."""
        driver = self._add(i)
        assert isinstance(driver, Mirroring)
        driver.begin(record if record and record.get("kind") == i.spec.kind else None)
        await driver.first_seen()

    async def _take(self, name: str, verdict: adoption.Verdict) -> None:
        await asyncio.gather(*(self._clear(kept) for kept in verdict.surplus))
        kept, driver, record = verdict.kept, self._drivers[name], self._known.get(name)
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
        await driver.ask(lambda i: machine.on_adopted(i, kept.pid, ready, self._tools.clock()))
        await driver.bound_log()

    async def _bring_up(self, name: str, verdict: adoption.Verdict) -> None:
        """What was to be up before a reboot comes up also in a maintenance window; what one held is held on."""
        driver = self._drivers[name]
        if driver.is_retired:  # meanwhile it is another thing, or declared no more
            return
        was_held = bool(self._known.get(name, {}).get("held"))
        still_held = self._tools.held(driver.instance.service) if was_held else ""
        incarnation = driver.instance.incarnation
        if verdict.fate is Fate.START and still_held:
            await driver.ask(lambda i: machine.on_still_held(i, still_held, self._tools.clock()))
        elif verdict.fate is Fate.START:
            await self._start(name)
        elif verdict.fate is Fate.ENDED and verdict.kept and verdict.kept.exit:
            await self._settle(driver, await driver.explain(incarnation, verdict.kept.exit))
        elif verdict.fate is Fate.LOST:
            await self._settle(driver, Exit(incarnation))

    async def _settle(self, driver: Driver, exit_: Exit) -> None:
        tools = self._tools
        await driver.ask(lambda i: machine.on_ended_unseen(
            i, exit_, tools.waiting_for(i, False), tools.clock(), tools.chance(), tools.held(i.service)
        ))  # fmt: skip

    async def _clear(self, kept: Kept) -> None:
        """Ends the tree of an entry and takes it out of the keeper's table."""
        try:
            await self._tools.clearing.clear(kept.key)
        except KeeperError as error:
            log.warning("cannot clear %s, trying again: %s", kept.key, error)
            self._tools.clearing.doubt(kept.key)


def _undeclared(service: str) -> ServiceSpec:
    """Enough of a spec to show and stop what is not declared any more."""
    return ServiceSpec(service, ("?",), restart=RestartSpec(policy=Restart.NO))
