"""The rooms that need no other room."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass

import bhtui
from bhtui.agent import layers
from bhtui.agent.rooms.backup.child import Engine
from bhtui.agent.rooms.backup.room import Backup
from bhtui.agent.rooms.health.room import HealthRoom
from bhtui.agent.rooms.limits.overrides import OverrideBook
from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.rooms.logs.outputs.room import Outputs
from bhtui.agent.rooms.logs.room import Logs
from bhtui.agent.rooms.maintenance.zones import zone_of
from bhtui.agent.rooms.metrics.room import Metrics
from bhtui.agent.rooms.supervisor.replicas import ReplicaBook
from bhtui.core.paths import Paths
from bhtui.core.spec import Spec

from .memory import Memory
from .task import task


@dataclass(frozen=True, slots=True)
class Alone:
    """Each made of memory and files alone."""

    overrides: OverrideBook
    limits: Limits
    health: HealthRoom
    replicas: ReplicaBook
    logs: Logs
    outputs: Outputs
    metrics: Metrics
    backup: Backup


async def open_rooms(memory: Memory, paths: Paths, stack: AsyncExitStack) -> Alone:
    """Makes them; they end in reverse."""
    config = memory.config
    overrides, replicas = OverrideBook(memory.store), ReplicaBook(memory.store)
    limits = Limits(paths.run, effective=overrides.effective)
    stack.callback(limits.close)
    health = HealthRoom()
    stack.push_async_callback(health.close)
    logs = Logs(
        paths.logs,
        lambda: _names(replicas.effective(config.spec)),
        ripgrep=lambda: layers.program(paths.state, "search"),
    )
    stack.callback(logs.close)
    outputs = Outputs(paths.logs, paths.state, socket.gethostname(), bhtui.__version__, memory.events.append)
    outputs.follow(config.spec)
    config.adopted.append(outputs.follow)
    await stack.enter_async_context(task(outputs.watch(), "the log outputs"))
    metrics = Metrics(
        paths.state,
        limits.groups,
        lambda instance, metric: _limit_of(config.spec, limits, instance, metric),
        kept=config.spec.metrics,
    )
    config.adopted.append(lambda spec: metrics.history.follow(spec.metrics))
    stack.push_async_callback(metrics.close)
    engine = Engine(paths.state / "backup-cache", lambda: layers.folder(paths.state, "backup"))
    backup = Backup(
        lambda: replicas.effective(config.spec),
        memory.store,
        memory.events,
        engine,
        socket.gethostname(),
        lambda: zone_of(""),
    )
    backup.scratch = paths.state / "drill"
    backup.config = str(paths.config)
    stack.callback(backup.close)
    return Alone(overrides, limits, health, replicas, logs, outputs, metrics, backup)


def _limit_of(spec: Spec, limits: Limits, instance: str, metric: str) -> float | None:
    """The limit of a metric that holds, in its unit."""
    service = spec.services.get(instance.rpartition("-")[0])
    if service is None:
        return None
    held = limits.effective(service).limits
    if metric == "cpu_percent":
        return held.cpu and held.cpu * 100
    return held.memory if metric == "memory_bytes" else None


def _names(spec: Spec) -> set[str]:
    """Declared services and instances."""
    return {name for each in spec.services.values() for name in (each.name, *each.instance_names())}
