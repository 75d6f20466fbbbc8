"""The order in which the agent is put together."""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack

from bhtui.agent import identity
from bhtui.agent.emergency import EmergencyHold
from bhtui.agent.ending import Ending
from bhtui.agent.journal.model import StepKind
from bhtui.agent.journal.runner import Runner
from bhtui.agent.keeper.watch import KeeperWatch
from bhtui.agent.rooms.backup import drilling, loading
from bhtui.agent.rooms.backup import restoresteps as restore_steps
from bhtui.agent.rooms.backup import steps as backup_steps
from bhtui.agent.rooms.backup.planning import Planner
from bhtui.agent.rooms.backup.rescue import Around, Rescue
from bhtui.agent.rooms.endpoints import steps as endpoints_steps
from bhtui.agent.rooms.limits import contract
from bhtui.agent.rooms.limits import steps as limits_steps
from bhtui.agent.rooms.logs.cleanup import Cleanup
from bhtui.agent.rooms.maintenance import steps as maintenance_steps
from bhtui.agent.rooms.overview import steps as overview_steps
from bhtui.agent.rooms.overview.adoption import Adoption
from bhtui.agent.rooms.overview.room import OverviewRoom
from bhtui.agent.rooms.scaling import steps as scaling_steps
from bhtui.agent.rooms.supervisor import steps
from bhtui.agent.rooms.supervisor.resuming import advice
from bhtui.agent.surroundings import Surroundings
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths
from bhtui.rpc import stopped

from . import trials
from .alone import Alone, open_rooms
from .memory import remember
from .serve import serve
from .supervised import Supervised, supervise
from .watches import watch
from .whole import Agent

log = logging.getLogger(__name__)


async def assemble(paths: Paths, ending: Ending, stack: AsyncExitStack, begun: float) -> Agent:
    """Everything, each upon what was made before it. Raises BlackholeError."""
    memory = await remember(paths, stack)
    alone = await open_rooms(memory, paths, stack)
    ours = await supervise(memory, alone, paths, ending, stack)
    cleanup = Cleanup(alone.logs, lambda: ours.supervisor.picture)
    around = Surroundings(memory.config, ours.supervisor, ours.keeper, paths.run)
    overview = OverviewRoom(around.ours, around)
    stack.callback(overview.close)
    adoption = Adoption(memory.config, around.ours, around)
    backups = Planner(alone.backup, ours.supervisor.plans)
    rescue = Rescue(alone.backup, ours.supervisor.plans, _around(alone, ours))
    runner = Runner(memory.store, _kinds(alone, ours, cleanup, rescue), memory.events, time.time_ns, advice)
    stack.push_async_callback(runner.close)
    ours.supervisor.emergency = EmergencyHold(memory.events, runner, paths.run / "hold").text
    await runner.recover()
    keeper_watch = KeeperWatch(ours.keeper, memory.events, time.monotonic)
    agent = Agent(
        paths, ending, begun, memory, alone, ours, runner, cleanup, overview, adoption, backups, rescue, keeper_watch
    )
    await watch(agent, stack)
    # Last, so that whoever comes in finds everything settled.
    _settle_start(paths)
    await serve(agent, stack)
    return agent


def _kinds(alone: Alone, ours: Supervised, cleanup: Cleanup, rescue: Rescue) -> dict[str, StepKind]:
    """What operations can be made of, by name."""
    every_kind = (
        *steps.kinds(ours.supervisor), *limits_steps.kinds(ours.resources), *scaling_steps.kinds(ours.scaling),
        *cleanup.kinds(), *overview_steps.kinds(), *endpoints_steps.kinds(ours.reached),
        *maintenance_steps.kinds(ours.maintenance), *backup_steps.kinds(alone.backup),
        *restore_steps.kinds(alone.backup), *loading.kinds(alone.backup), *rescue.kinds(),
        *drilling.kinds(alone.backup, trials.start),
    )  # fmt: skip
    return {kind.name: kind for kind in every_kind}


def _around(alone: Alone, ours: Supervised) -> Around:
    """What whoever looks after data is told of what runs."""
    return Around(
        lambda: {name: i.spec.contract for name, i in ours.supervisor.picture.items() if i.pid is not None},
        alone.limits.members,
        contract.verify,
        contract.repair,
    )


def _settle_start(paths: Paths) -> None:
    """It runs: it is not stopped any more, and the next boot starts what runs now."""
    try:
        stopped.clear(paths.state)
        identity.write_launcher(paths)
    except (OSError, BlackholeError) as error:
        log.warning("the next boot may start another version: %s", error)
