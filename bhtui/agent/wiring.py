"""Puts the agent together: the only file that knows all rooms. `run` is the whole life of one agent.

Things are made in the order in which they need each other, each with the reason for its place; an AsyncExitStack ends
them in reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio

import bhtui
from bhtui.agent import boot, identity, ownlog, servicers
from bhtui.agent.config import ConfigInForce
from bhtui.agent.ending import Ending
from bhtui.agent.endpoints import Endpoints
from bhtui.agent.events.log import EventLog
from bhtui.agent.foreign.managers import Managers
from bhtui.agent.frontdoor import FrontDoor
from bhtui.agent.journal.runner import Runner
from bhtui.agent.keeper import Exit, Keeper, Launch, Listener, Replaced
from bhtui.agent.keeper.watch import KeeperWatch
from bhtui.agent.losses import Losses
from bhtui.agent.rooms.backup.room import Backup
from bhtui.agent.rooms.endpoints import steps as endpoints_steps
from bhtui.agent.rooms.endpoints.room import EndpointsRoom
from bhtui.agent.rooms.health.room import HealthRoom
from bhtui.agent.rooms.limits import contract
from bhtui.agent.rooms.limits import steps as limits_steps
from bhtui.agent.rooms.limits.device import devices_of
from bhtui.agent.rooms.limits.overrides import OverrideBook
from bhtui.agent.rooms.limits.resources import Resources
from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.rooms.limits.watch import PressureWatch
from bhtui.agent.rooms.logs import levels
from bhtui.agent.rooms.logs.cleanup import Cleanup
from bhtui.agent.rooms.logs.outputs.room import Outputs
from bhtui.agent.rooms.logs.room import Logs
from bhtui.agent.rooms.maintenance import steps as maintenance_steps
from bhtui.agent.rooms.maintenance.room import Maintenance
from bhtui.agent.rooms.metrics.room import Metrics
from bhtui.agent.rooms.overview import steps as overview_steps
from bhtui.agent.rooms.overview.adoption import Adoption
from bhtui.agent.rooms.overview.room import OverviewRoom
from bhtui.agent.rooms.scaling import steps as scaling_steps
from bhtui.agent.rooms.scaling.book import ScaleBook
from bhtui.agent.rooms.scaling.room import Scaling
from bhtui.agent.rooms.scaling.watch import LoadWatch
from bhtui.agent.rooms.supervisor import held, steps
from bhtui.agent.rooms.supervisor.replicas import ReplicaBook
from bhtui.agent.rooms.supervisor.resuming import advice
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.agent.servicers.guard import Guard
from bhtui.agent.store import Store
from bhtui.agent.surroundings import Surroundings
from bhtui.agent.upkeep import upkeep
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.event import EventKind
from bhtui.core.operation import AGENT, Operation, Plan
from bhtui.core.paths import Paths
from bhtui.core.request import (
    AdoptRequest,
    AutoScaleRequest,
    BackupRequest,
    CleanupLogsRequest,
    PastRequest,
    Request,
    ResourceRequest,
    ScaleRequest,
    StopRequest,
    WindowRequest,
)
from bhtui.core.spec import Spec
from bhtui.rpc import options, stopped
from bhtui.rpc.blackhole.v1 import (
    agent_pb2,
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

log = logging.getLogger(__name__)

STOP_SECONDS = 120.0
"""How long the services may take to stop when the host or somebody ends the agent."""
GRPC_GRACE = 0.2
"""Seconds that calls under way have at the end; streams that follow use all of it."""


async def run(paths: Paths) -> None:
    """From the first file opened to the last one closed. Raises BlackholeError when it cannot begin."""
    begun = time.monotonic()
    ending = Ending()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ending.tell, signal.Signals(number).name)
    async with AsyncExitStack() as stack:
        agent = await _assemble(paths, ending, stack, begun)
        agent.events.append(EventKind.AGENT_STARTED, message=f"agent {bhtui.__version__} runs, process {os.getpid()}")
        log.info("the agent runs after %.0f ms", (time.monotonic() - begun) * 1000)
        await ending.wait()
        log.info("the agent ends: %s", ending.why)
        agent.events.append(EventKind.AGENT_STOPPED, message=f"the agent ends: {ending.why}")
        if ending.services:
            await agent.stop_services("the agent is being stopped")
            # The keeper ends this process too, but only after it has answered.
            stack.push_async_callback(agent.end_keeper)
        elif ending.alone:
            stack.push_async_callback(agent.stay_down)


@dataclass(frozen=True, slots=True)
class Assembled:
    """The parts that questions about the whole agent need."""

    paths: Paths
    ending: Ending
    events: EventLog
    config: ConfigInForce
    keeper: Keeper
    keeper_watch: KeeperWatch
    limits: Limits
    resources: Resources
    cleanup: Cleanup
    supervisor: Supervisor
    scaling: Scaling
    runner: Runner
    adoption: Adoption
    maintenance: Maintenance
    begun: float

    def info(self) -> agent_pb2.AgentInfo:
        """Who answers here."""
        return agent_pb2.AgentInfo(
            agent_pid=os.getpid(),
            keeper_pid=self.keeper.pid,
            version=bhtui.__version__,
            bundle=identity.bundle_of(self.paths),
            uptime_seconds=time.monotonic() - self.begun,
            hostname=socket.gethostname(),
            boot_id=self.keeper.boot_id,
            config_path=self.config.text.path,
            run_dir=str(self.paths.run),
            state_dir=str(self.paths.state),
            log_dir=str(self.paths.logs),
            last_seq=self.events.last_seq,
            limits=self.limits.held_by,
            config_error=self.config.error,
            boot=boot.noted(self.paths),
            keeper_trouble=self.keeper_watch.trouble,
        )

    def plan(self, request: Request) -> Plan:
        """Exactly what a request would do, by the room it is for. Raises NotFound, UsageError, Refused."""
        plan = self._plan(request)
        return held.with_lift(plan) if self.keeper.held else plan

    def _plan(self, request: Request) -> Plan:
        if isinstance(request, ResourceRequest):
            return self.resources.plan(request)
        if isinstance(request, WindowRequest):
            return self.maintenance.plan(request)
        if isinstance(request, CleanupLogsRequest):
            return self.cleanup.plan(request)
        if isinstance(request, AutoScaleRequest):
            return self.scaling.plan(request)
        assert not isinstance(request, AdoptRequest), "what is adopted is looked for first"
        if isinstance(request, BackupRequest):
            raise Refused("cannot do this: backups are not made by this agent yet; upgrade it")
        if isinstance(request, PastRequest):
            return self.supervisor.plan_past(request, *self.runner.recall(request.operation))
        plan = self.supervisor.plan(request)
        return self.scaling.with_number_by_hand(request, plan) if isinstance(request, ScaleRequest) else plan

    async def look_and_plan(self, request: Request) -> Plan:
        """As `plan`, also of requests for which the host must be looked at first."""
        return await self.adoption.plan(request) if isinstance(request, AdoptRequest) else self.plan(request)

    async def begin(self, request: Request, reason: str) -> Operation:
        """Begins what the agent itself wants. Raises BlackholeError."""
        plan = self.plan(request)
        if held.lifts(plan):
            raise Refused(f"cannot {plan.kind}: {held.STAYS}")
        return await self.runner.begin(uuid.uuid4().hex, plan, AGENT, reason)

    async def scale(self, service: str, replicas: int, reason: str, operation_id: str) -> Operation:
        """Begins what a load asks for: the number goes on following it. Raises BlackholeError."""
        plan = self.supervisor.plan(ScaleRequest((service,), replicas))
        return await self.runner.begin(operation_id, plan, AGENT, reason)

    async def stop_services(self, reason: str) -> None:
        """Stops what is ours in reverse order, and remembers what was up for the next agent. Waits STOP_SECONDS.

        Units and containers go on: whoever supervises them is not ended by this.
        """
        before = {name: i for name, i in self.supervisor.picture.items() if not i.spec.is_foreign}
        if not before:
            return
        ours = StopRequest(tuple(dict.fromkeys(i.service for i in before.values())))
        plan = replace(self.supervisor.plan(ours), preempts=True)
        if plan.steps or self.runner.conflicts(plan.claims):
            operation = await self.runner.begin(uuid.uuid4().hex, plan, AGENT, reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    async for seen in self.runner.watch(operation.id):
                        log.info("stopping the services: %s", seen.state)
        self.supervisor.remember_up(before)

    async def end_keeper(self) -> None:
        """Ends the keeper with whatever still runs, and with that this process."""
        try:
            await self.keeper.shutdown(force=True)
        except BlackholeError as error:
            log.warning("the keeper did not end: %s", error)

    async def shutdown(self, keep_services: bool, by: str) -> None:
        """Answers first, then ends. `by` asks for it: a mark in the state folder tells whoever finds no agent."""
        if not keep_services:
            await self.stop_services("asked to stop the agent")
        self._mark_stopped(by)
        self.ending.tell(f"{by} asked it to end", services=not keep_services, alone=True)

    async def stay_down(self) -> None:
        """The keeper is not to start another agent."""
        try:
            await self.keeper.agent("stop")
        except BlackholeError as error:
            log.warning("the keeper will start another agent: %s", error)

    def _mark_stopped(self, by: str) -> None:
        try:
            stopped.write(self.paths.state, by, time.time_ns())
        except OSError as error:
            log.warning("nobody will be told that %s stopped the agent: %s", by, error)

    async def upgrade(self, bundle_dir: str, python: str) -> str:
        """Lets keeper and agent go on as another version; services are not touched. Raises Refused, KeeperError."""
        new = identity.program(bundle_dir, python, self.paths)
        return await self.keeper.upgrade(new.keeper_argv, new.env, agent_argv=new.agent_argv, agent_env=new.env)


async def _assemble(paths: Paths, ending: Ending, stack: AsyncExitStack, begun: float) -> Assembled:
    # First, so that everything after it can remember and tell.
    store = Store(paths.database)
    stack.callback(store.close)
    events = EventLog(store)
    await stack.enter_async_context(_task(upkeep(store, events), "upkeep"))

    # Before the rooms, which are made of it.
    config = ConfigInForce(store, events, paths.config)
    ownlog.follow(config.load())
    config.adopted.append(ownlog.follow)

    # Rooms that need no other room.
    overrides = OverrideBook(store)
    limits = Limits(paths.run, effective=overrides.effective)
    stack.callback(limits.close)
    health = HealthRoom()
    stack.push_async_callback(health.close)
    replicas = ReplicaBook(store)
    logs = Logs(paths.logs, lambda: _names(replicas.effective(config.spec)))
    stack.callback(logs.close)
    outputs = Outputs(paths.logs, paths.state, socket.gethostname(), bhtui.__version__, events.append)
    outputs.follow(config.spec)
    config.adopted.append(outputs.follow)
    await stack.enter_async_context(_task(outputs.watch(), "the log outputs"))
    metrics = Metrics(
        paths.state,
        limits.groups,
        lambda instance, metric: _limit_of(config.spec, limits, instance, metric),
        kept=config.spec.metrics,
    )
    config.adopted.append(lambda spec: metrics.history.follow(spec.metrics))
    stack.push_async_callback(metrics.close)
    backup = Backup(lambda: replicas.effective(config.spec))
    stack.callback(backup.close)

    # The keeper tells of exits from the moment it is reached; what comes before the supervisor is there, it asks for.
    told = _Told(events, ending)
    keeper = await Keeper.connect(
        paths.run,
        launch=Launch(paths.logs, (sys.executable, "-P", "-m", "bhtui.agent")),
        listener=Listener(told.exited, told.replaced, told.terminate, told.emergency),
    )
    stack.push_async_callback(keeper.close)
    managers = Managers(devices_of, lambda line: bool(levels.detect(line)))
    stack.push_async_callback(managers.close)
    supervisor = Supervisor(
        config, keeper, health, limits, metrics, events, store, paths.logs, managers=managers, replicas=replicas
    )
    stack.push_async_callback(supervisor.close)
    told.supervisor = supervisor
    reached = EndpointsRoom(supervisor, events, store, paths.state / "endpoints")
    stack.push_async_callback(reached.close)
    supervisor.surroundings, supervisor.untold = reached.surroundings, reached.untold
    metrics.served = lambda: {
        name: i.spec.metrics for name, i in supervisor.picture.items() if i.spec.metrics and i.pid is not None
    }
    resources = Resources(limits, overrides, supervisor, metrics)
    supervisor.latest_override = resources.latest_override
    supervisor.reload_by_contract = contract.reload
    scaling = Scaling(ScaleBook(store), supervisor, limits, lambda name, n: _cannot_have(supervisor, name, n))
    supervisor.auto_scale = scaling.note

    # Before anything is taken over: what an open window holds is not started again.
    maintenance = Maintenance(store, supervisor, events)
    supervisor.holding = maintenance.held

    # What a dead keeper left and nobody has the pipes of any more would run a second time otherwise.
    swept = await keeper.sweep()
    if swept.killed:
        log.warning("killed %d processes that an earlier keeper left behind", swept.killed)
    # What runs is taken over before open operations go on: their steps ask what is.
    await supervisor.adopt()
    limits.sweep(set(supervisor.picture))
    cleanup = Cleanup(logs, lambda: supervisor.picture)
    around = Surroundings(config, supervisor, keeper, paths.run)
    overview = OverviewRoom(around.ours, around)
    stack.callback(overview.close)
    adoption = Adoption(config, around.ours, around)
    every_kind = (
        *steps.kinds(supervisor), *limits_steps.kinds(resources), *scaling_steps.kinds(scaling), *cleanup.kinds(),
        *overview_steps.kinds(), *endpoints_steps.kinds(reached), *maintenance_steps.kinds(maintenance),
    )  # fmt: skip
    kinds = {kind.name: kind for kind in every_kind}
    runner = Runner(store, kinds, events, time.time_ns, advice)
    stack.push_async_callback(runner.close)
    await runner.recover()
    metrics.start()
    await stack.enter_async_context(_task(reached.watch(), "the watch on endpoints"))
    await stack.enter_async_context(_task(backup.watch(), "the watch on backups"))
    keeper_watch = KeeperWatch(keeper, events, time.monotonic)
    await stack.enter_async_context(_task(keeper_watch.watch(), "the watch on the keeper"))
    agent = Assembled(
        paths, ending, events, config, keeper, keeper_watch, limits, resources, cleanup, supervisor, scaling, runner,
        adoption, maintenance, begun,
    )  # fmt: skip
    load = LoadWatch(scaling, supervisor, metrics, runner, store, events, agent.scale, maintenance.held)
    await stack.enter_async_context(_task(load.watch(), "the watch on loads"))
    pressure = PressureWatch(limits, supervisor, metrics, events, agent.begin, time.time_ns, maintenance.held)
    await stack.enter_async_context(_task(pressure.watch(), "the watch on memory"))
    await stack.enter_async_context(_task(maintenance.watch(), "the watch on maintenance windows"))
    losses = Losses(keeper.stats, events, (paths.state, paths.logs))
    await stack.enter_async_context(_task(losses.watch(), "the watch on lost lines and full disks"))

    # Last, so that whoever comes in finds everything settled.
    _settle_start(paths)
    await _serve(agent, logs, outputs, metrics, backup, overview, stack)
    return agent


def _settle_start(paths: Paths) -> None:
    """It runs: it is not stopped any more, and the next boot starts what runs now."""
    try:
        stopped.clear(paths.state)
        identity.write_launcher(paths)
    except (OSError, BlackholeError) as error:
        log.warning("the next boot may start another version: %s", error)


async def _serve(
    agent: Assembled,
    logs: Logs,
    outputs: Outputs,
    metrics: Metrics,
    backup: Backup,
    overview: OverviewRoom,
    stack: AsyncExitStack,
) -> None:
    endpoint = Endpoints(metrics, agent.supervisor.status, outputs.figures, agent.events)
    endpoint.follow(agent.config.spec)
    agent.config.adopted.append(endpoint.follow)
    stack.callback(endpoint.close)
    server = grpc.aio.server(interceptors=[Guard(endpoint.observe_request)], options=options.SERVER)
    status = servicers.Status(
        agent.supervisor,
        lambda now_ns: metrics.host_status(now_ns, backup.newest_ns),
        agent.events,
        lambda: [operation.id for operation in agent.runner.list(open_only=True)],
    )
    agent_pb2_grpc.add_AgentServicer_to_server(servicers.Agent(agent.info, agent.shutdown, agent.upgrade), server)
    backup_pb2_grpc.add_BackupServicer_to_server(servicers.Backup(backup), server)
    config_pb2_grpc.add_ConfigServicer_to_server(servicers.Config(agent.config), server)
    events_pb2_grpc.add_EventsServicer_to_server(servicers.Events(agent.events), server)
    logs_pb2_grpc.add_LogsServicer_to_server(servicers.Logs(logs, outputs), server)
    metrics_pb2_grpc.add_MetricsServicer_to_server(servicers.Metrics(metrics, endpoint.page), server)
    operations = servicers.Operations(agent.runner, agent.look_and_plan)
    windows = servicers.Maintenance(agent.maintenance.windows, time.time_ns)
    maintenance_pb2_grpc.add_MaintenanceServicer_to_server(windows, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(operations, server)
    overview_pb2_grpc.add_OverviewServicer_to_server(servicers.Overview(overview), server)
    resources = servicers.Resources(agent.resources.read, lambda: metrics.host_status(time.time_ns()))
    resources_pb2_grpc.add_ResourcesServicer_to_server(resources, server)
    status_pb2_grpc.add_StatusServicer_to_server(status, server)
    agent.paths.grpc_socket.unlink(missing_ok=True)
    server.add_insecure_port(f"unix:{agent.paths.grpc_socket}")
    await server.start()
    door = FrontDoor(agent.paths.agent_socket, agent.paths.grpc_socket, {"status": status.quick})
    await door.open()
    # The door closes last, so that the answer to the call that ends the agent still gets out.
    stack.push_async_callback(door.close)
    stack.push_async_callback(server.stop, GRPC_GRACE)


class _Told:
    """What the keeper tells, handed to whom it concerns."""

    def __init__(self, events: EventLog, ending: Ending) -> None:
        self._events, self._ending = events, ending
        self.supervisor: Supervisor | None = None

    def exited(self, ended: Exit) -> None:
        if self.supervisor:
            self.supervisor.on_exit(ended)

    def replaced(self, change: Replaced) -> None:
        message = f"the keeper died; process {change.new_pid} has taken over {len(change.adopted)} processes"
        data = {"old_pid": change.old_pid, "new_pid": change.new_pid, "lost": dict(change.lost)}
        self._events.append(EventKind.KEEPER_REPLACED, message=message, data=data)

    def terminate(self) -> None:
        self._ending.tell("this host is going down, or somebody ended the keeper", services=True)

    def emergency(self, uid: int, pid: int) -> None:
        if pid != os.getpid():  # what the agent itself was asked for is told as an operation
            message = f"everything was killed by user {uid}, process {pid}"
            self._events.append(EventKind.EMERGENCY_STOP, message=message)
        if self.supervisor:
            self.supervisor.on_emergency()


def _limit_of(spec: Spec, limits: Limits, instance: str, metric: str) -> float | None:
    """The limit of a metric that holds, in its unit."""
    service = spec.services.get(instance.rpartition("-")[0])
    if service is None:
        return None
    held = limits.effective(service).limits
    if metric == "cpu_percent":
        return held.cpu and held.cpu * 100
    return held.memory if metric == "memory_bytes" else None


def _cannot_have(supervisor: Supervisor, service: str, replicas: int) -> str:
    """Why a service cannot have that many instances; empty: it can."""
    try:
        supervisor.plan(ScaleRequest((service,), replicas))
    except BlackholeError as error:
        return str(error).partition(": ")[2] or str(error)
    return ""


def _names(spec: Spec) -> set[str]:
    """Declared services and instances."""
    return {name for each in spec.services.values() for name in (each.name, *each.instance_names())}


@contextlib.asynccontextmanager
async def _task(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """A task that runs as long as the agent; its failure is told in the log and does not end the agent."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s has failed and stays down until the agent is started again", task.get_name(), exc_info=error)
