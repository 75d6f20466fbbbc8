"""The keeper, the supervisor, and the rooms that act on what it supervises."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bhtui.agent.command import Here, Setting
from bhtui.agent.ending import Ending
from bhtui.agent.foreign.managers import Managers
from bhtui.agent.keeper import Keeper, Launch, Listener
from bhtui.agent.losses import Losses
from bhtui.agent.rooms.backup.preparing import choosing as preparing
from bhtui.agent.rooms.endpoints.room import EndpointsRoom
from bhtui.agent.rooms.limits import contract
from bhtui.agent.rooms.limits.device import devices_of
from bhtui.agent.rooms.limits.resources import Resources
from bhtui.agent.rooms.logs import levels
from bhtui.agent.rooms.maintenance.room import Maintenance
from bhtui.agent.rooms.scaling.book import ScaleBook
from bhtui.agent.rooms.scaling.room import Scaling
from bhtui.agent.rooms.supervisor import spawning
from bhtui.agent.rooms.supervisor.instance import Instance
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths
from bhtui.core.replica import instance_spec
from bhtui.core.request import ScaleRequest
from bhtui.core.spec import ServiceSpec
from bhtui.rpc import coming

from .alone import Alone
from .memory import Memory
from .told import Told

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Supervised:
    """What runs here, and who decides over it."""

    keeper: Keeper
    supervisor: Supervisor
    reached: EndpointsRoom
    resources: Resources
    scaling: Scaling
    maintenance: Maintenance
    losses: Losses


async def supervise(memory: Memory, alone: Alone, paths: Paths, ending: Ending, stack: AsyncExitStack) -> Supervised:
    """Reaches the keeper and takes over what runs. Raises KeeperError."""
    # The keeper tells of exits from the moment it is reached; what comes before the supervisor is there, it asks for.
    told = Told(memory.events, ending)
    keeper = await Keeper.connect(
        paths.run,
        launch=Launch(paths.logs, (sys.executable, "-P", "-m", "bhtui.agent")),
        listener=Listener(told.exited, told.replaced, told.terminate, told.emergency),
    )
    stack.push_async_callback(keeper.close)
    managers = Managers(devices_of, lambda line: bool(levels.detect(line)))
    stack.push_async_callback(managers.close)
    supervisor = Supervisor(
        memory.config, keeper, alone.health, alone.limits, alone.metrics, memory.events, memory.store, paths.logs,
        managers=managers, replicas=alone.replicas,
    )  # fmt: skip
    stack.push_async_callback(supervisor.close)
    told.supervisor = supervisor
    found = _surround(memory, alone, keeper, supervisor, managers, paths)
    stack.push_async_callback(found.reached.close)
    await _take_over(keeper, supervisor, alone, put_off=_request_comes(paths))
    return found


def _surround(
    memory: Memory, alone: Alone, keeper: Keeper, supervisor: Supervisor, managers: Managers, paths: Paths
) -> Supervised:
    """Makes the rooms around the supervisor, and hands it what it needs of them.

    Before anything is taken over: what an open maintenance window holds is not started again.
    """
    reached = EndpointsRoom(supervisor, memory.events, memory.store, paths.state / "endpoints")
    supervisor.surroundings, supervisor.untold = reached.surroundings, reached.untold
    alone.metrics.served = lambda: {
        name: i.spec.metrics for name, i in supervisor.picture.items() if i.spec.metrics and i.pid is not None
    }
    resources = Resources(alone.limits, alone.overrides, supervisor, alone.metrics)
    supervisor.latest_override = resources.latest_override
    supervisor.reload_by_contract = contract.reload
    numbers = ScaleBook(memory.store)
    scaling = Scaling(numbers, supervisor, alone.limits, lambda name, n: _cannot_have(supervisor, name, n))
    supervisor.auto_scale = scaling.note
    maintenance = Maintenance(memory.store, supervisor, memory.events)
    supervisor.holding = maintenance.held
    alone.backup.preparations = lambda service: preparing.choose(service, _here)
    losses = Losses(keeper.stats, memory.events, (paths.state, paths.logs), managers.captures.limited)
    supervisor.dropped = losses.limits.of
    return Supervised(keeper, supervisor, reached, resources, scaling, maintenance, losses)


def _request_comes(paths: Paths) -> bool:
    """Whether this agent was started for a request that may bring another configuration."""
    comes = coming.is_left(paths.state)
    try:
        coming.clear(paths.state)
    except OSError as error:
        log.warning("the next agent will wait for a request too: %s", error)
    return comes


async def _take_over(keeper: Keeper, supervisor: Supervisor, alone: Alone, *, put_off: bool) -> None:
    """What runs becomes ours before open operations go on: their steps ask what is."""
    # What a dead keeper left and nobody has the pipes of any more would run a second time otherwise.
    swept = await keeper.sweep()
    if swept.killed:
        log.warning("killed %d processes that an earlier keeper left behind", swept.killed)
    await supervisor.adopt(put_off)
    alone.limits.sweep(set(supervisor.picture))


def _here(service: ServiceSpec) -> Here:
    """How the commands of a service run, whether it runs or not."""
    name = service.instance_names()[0]

    async def here() -> Setting:
        return await asyncio.to_thread(spawning.setting, Instance(name, instance_spec(service, 1)), os.environ)

    return here


def _cannot_have(supervisor: Supervisor, service: str, replicas: int) -> str:
    """Why a service cannot have that many instances; empty: it can."""
    try:
        supervisor.plans.of(ScaleRequest((service,), replicas))
    except BlackholeError as error:
        return str(error).partition(": ")[2] or str(error)
    return ""
