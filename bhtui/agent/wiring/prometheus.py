"""What leaves for Prometheus: the figures, the endpoint where they are fetched, and remote write which sends them."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass

import bhtui
from bhtui.agent.endpoints import Endpoints
from bhtui.agent.rooms.metrics.figures import Figures
from bhtui.agent.rooms.metrics.remote.writers import RemoteWriters

from .task import task
from .whole import Agent


@dataclass(frozen=True, slots=True)
class Outgoing:
    """All of it."""

    figures: Figures
    endpoint: Endpoints
    writers: RemoteWriters


async def outgoing(agent: Agent, stack: AsyncExitStack) -> Outgoing:
    """As the configuration in force wants it, from now on."""
    config, events, outputs = agent.memory.config, agent.memory.events, agent.alone.outputs
    losses = agent.ours.losses
    writers = RemoteWriters(agent.paths.state / "remote-write", socket.gethostname(), bhtui.__version__, events.append)
    figures = Figures(
        agent.alone.metrics, agent.ours.supervisor.status, bhtui.__version__,
        lambda: {**outputs.figures(), **writers.figures(), **losses.figures()},
    )  # fmt: skip
    writers.rows = figures.rows
    endpoint = Endpoints(figures, events)
    for follow in (writers.follow, endpoint.follow):
        follow(config.spec)
        config.adopted.append(follow)
    stack.callback(endpoint.close)
    await stack.enter_async_context(task(writers.watch(), "remote write"))
    return Outgoing(figures, endpoint, writers)
