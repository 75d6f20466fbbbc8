"""The API: the rooms, each behind its servicer, on the agent's sockets."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import grpc
import grpc.aio

from bhtui.agent import servicers
from bhtui.agent.frontdoor import FrontDoor
from bhtui.agent.servicers.guard import Guard
from bhtui.rpc import options
from bhtui.rpc.blackhole.v1 import (
    agent_pb2_grpc,
    backup_pb2_grpc,
    config_pb2_grpc,
    events_pb2_grpc,
    logs_pb2_grpc,
    maintenance_pb2_grpc,
    metrics_pb2_grpc,
    operations_pb2_grpc,
    overview_pb2_grpc,
    resources_pb2_grpc,
    status_pb2_grpc,
)

from .prometheus import Outgoing, outgoing
from .whole import Agent

GRPC_GRACE = 0.2
"""Seconds that calls under way have at the end; streams that follow use all of it."""


async def serve(agent: Agent, stack: AsyncExitStack) -> None:
    """Opens the sockets. Raises OSError."""
    out = await outgoing(agent, stack)
    server = grpc.aio.server(interceptors=[Guard(out.figures.durations.observe)], options=options.SERVER)
    status = _add_servicers(server, agent, out)
    agent.paths.grpc_socket.unlink(missing_ok=True)
    server.add_insecure_port(f"unix:{agent.paths.grpc_socket}")
    await server.start()
    door = FrontDoor(agent.paths.agent_socket, agent.paths.grpc_socket, {"status": status.quick})
    await door.open()
    # The door closes last, so that the answer to the call that ends the agent still gets out.
    stack.push_async_callback(door.close)
    stack.push_async_callback(server.stop, GRPC_GRACE)


def _add_servicers(server: grpc.aio.Server, agent: Agent, out: Outgoing) -> servicers.Status:
    """All of them; the one for the status is also asked by the quick road."""
    memory, alone, ours = agent.memory, agent.alone, agent.ours
    status = servicers.Status(
        ours.supervisor,
        lambda now_ns: alone.metrics.host_status(now_ns, alone.backup.newest_ns),
        memory.events,
        lambda: [operation.id for operation in agent.runner.list(open_only=True)],
        lambda: [*filter(None, [agent.keeper_watch.trouble]), *alone.outputs.notes, *alone.backup.notes],
    )
    agent_pb2_grpc.add_AgentServicer_to_server(servicers.Agent(agent.info, agent.shutdown, agent.upgrade), server)
    backup_pb2_grpc.add_BackupServicer_to_server(servicers.Backup(alone.backup), server)
    config_pb2_grpc.add_ConfigServicer_to_server(servicers.Config(memory.config), server)
    events_pb2_grpc.add_EventsServicer_to_server(servicers.Events(memory.events), server)
    logs_pb2_grpc.add_LogsServicer_to_server(servicers.Logs(alone.logs, alone.outputs), server)
    metrics = servicers.Metrics(alone.metrics, out.endpoint.page, lambda: out.writers.statuses)
    metrics_pb2_grpc.add_MetricsServicer_to_server(metrics, server)
    operations = servicers.Operations(agent.runner, agent.look_and_plan)
    windows = servicers.Maintenance(ours.maintenance.windows, time.time_ns)
    maintenance_pb2_grpc.add_MaintenanceServicer_to_server(windows, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(operations, server)
    overview_pb2_grpc.add_OverviewServicer_to_server(servicers.Overview(agent.overview), server)
    resources = servicers.Resources(ours.resources.read, lambda: alone.metrics.host_status(time.time_ns()))
    resources_pb2_grpc.add_ResourcesServicer_to_server(resources, server)
    status_pb2_grpc.add_StatusServicer_to_server(status, server)
    return status
