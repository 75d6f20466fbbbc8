"""What looks by itself for as long as the agent runs."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from bhtui.agent.clockwatch import ClockWatch
from bhtui.agent.rooms.backup.watch import BackupWatch
from bhtui.agent.rooms.limits.watch import PressureWatch
from bhtui.agent.rooms.scaling.watch import LoadWatch

from .task import task
from .whole import Agent


async def watch(agent: Agent, stack: AsyncExitStack) -> None:
    """Begins all of it, once open operations go on."""
    memory, alone, ours = agent.memory, agent.alone, agent.ours
    alone.metrics.start()
    load = LoadWatch(
        ours.scaling, ours.supervisor, alone.metrics, agent.runner, memory.store, memory.events, agent.scale,
        ours.maintenance.held,
    )  # fmt: skip
    pressure = PressureWatch(
        alone.limits,
        ours.supervisor,
        alone.metrics,
        memory.events,
        agent.begin,
        time.monotonic_ns,
        ours.maintenance.held,
    )
    clock = ClockWatch(memory.events, (ours.supervisor.on_clock_set, ours.maintenance.on_clock_set))
    backups = BackupWatch(alone.backup, memory.store, agent.runner, agent.begin_as)
    memory.config.adopted.append(backups.follow)
    for work, name in (
        (ours.reached.watch(), "the watch on endpoints"),
        (backups.watch(), "the watch on backups"),
        (agent.keeper_watch.watch(), "the watch on the keeper"),
        (load.watch(), "the watch on loads"),
        (pressure.watch(), "the watch on memory"),
        (ours.maintenance.watch(), "the watch on maintenance windows"),
        (clock.watch(), "the watch on the clock"),
        (alone.limits.sweep_leftovers(), "removing what dead installations left"),
        (ours.losses.watch(), "the watch on lost lines and full disks"),
    ):
        await stack.enter_async_context(task(work, name))
