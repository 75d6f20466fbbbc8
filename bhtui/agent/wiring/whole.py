"""The agent as a whole: questions and orders that concern more than one room."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from dataclasses import dataclass, replace

import bhtui
from bhtui.agent import identity, layers
from bhtui.agent.boot import ways
from bhtui.agent.ending import Ending
from bhtui.agent.journal.runner import Runner
from bhtui.agent.keeper.watch import KeeperWatch
from bhtui.agent.rooms.backup.planning import Planner
from bhtui.agent.rooms.backup.rescue import Rescue
from bhtui.agent.rooms.logs.cleanup import Cleanup
from bhtui.agent.rooms.overview.adoption import Adoption
from bhtui.agent.rooms.overview.room import OverviewRoom
from bhtui.agent.rooms.supervisor import held
from bhtui.agent.rooms.supervisor.builder import CONFIG_STEPS
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.operation import AGENT, Actor, Operation, Plan
from bhtui.core.paths import Paths
from bhtui.core.request import (
    AdoptRequest,
    AutoScaleRequest,
    BackupRequest,
    CleanupLogsRequest,
    PastRequest,
    Request,
    RescueRequest,
    ResourceRequest,
    ScaleRequest,
    StopRequest,
    WindowRequest,
)
from bhtui.rpc import stopped
from bhtui.rpc.blackhole.v1 import agent_pb2

from .alone import Alone
from .memory import Memory
from .supervised import Supervised

log = logging.getLogger(__name__)

STOP_SECONDS = 120.0
"""How long the services may take to stop when the host or somebody ends the agent."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Every part, and what is asked of all of them together."""

    paths: Paths
    ending: Ending
    begun: float
    memory: Memory
    alone: Alone
    ours: Supervised
    runner: Runner
    cleanup: Cleanup
    overview: OverviewRoom
    adoption: Adoption
    backups: Planner
    rescue: Rescue
    keeper_watch: KeeperWatch

    def info(self) -> agent_pb2.AgentInfo:
        """Who answers here."""
        lacks = layers.lacking(self.paths.state)
        return agent_pb2.AgentInfo(
            agent_pid=os.getpid(),
            keeper_pid=self.ours.keeper.pid,
            version=bhtui.__version__,
            bundle=identity.bundle_of(self.paths),
            uptime_seconds=time.monotonic() - self.begun,
            hostname=socket.gethostname(),
            boot_id=self.ours.keeper.boot_id,
            config_path=self.memory.config.text.path,
            run_dir=str(self.paths.run),
            state_dir=str(self.paths.state),
            log_dir=str(self.paths.logs),
            last_seq=self.memory.events.last_seq,
            limits=self.alone.limits.held_by,
            config_error=self.memory.config.error,
            boot=ways.noted(self.paths),
            keeper_trouble=self.keeper_watch.trouble,
            lacks_layers=lacks,
            wants_layers=[name for name in lacks if self._wants(name)],
        )

    def _wants(self, layer: str) -> bool:
        """Whether it would be used here: backups by the configuration, an engine for searches by one that lacked it."""
        if layer == "search":
            return self.alone.logs.engines.is_missed
        return bool(self.memory.config.spec.backup.storage)

    def plan(self, request: Request) -> Plan:
        """Exactly what a request would do, by the room it is for. Raises NotFound, UsageError, Refused."""
        plan = self._plan(request)
        return held.with_lift(plan) if self.ours.keeper.held else plan

    def _plan(self, request: Request) -> Plan:
        if isinstance(request, ResourceRequest):
            return self.ours.resources.plan(request)
        if isinstance(request, WindowRequest):
            return self.ours.maintenance.plan(request)
        if isinstance(request, CleanupLogsRequest):
            return self.cleanup.plan(request)
        if isinstance(request, AutoScaleRequest):
            return self.ours.scaling.plan(request)
        assert not isinstance(request, AdoptRequest | BackupRequest | RescueRequest), "these are looked for first"
        if isinstance(request, PastRequest):
            return self.ours.supervisor.plans.of_past(request, *self.runner.recall(request.operation))
        plan = self.ours.supervisor.plans.of(request)
        return self.ours.scaling.with_number_by_hand(request, plan) if isinstance(request, ScaleRequest) else plan

    async def look_and_plan(self, request: Request) -> Plan:
        """As `plan`, also of requests for which the host must be looked at first."""
        applies = False
        try:
            plan = await self._look_and_plan(request)
            applies = any(step.kind in CONFIG_STEPS for step in plan.steps)
            return plan
        finally:
            if not applies:  # what was up has not to wait for another configuration, or not any more
                self.ours.supervisor.bring_up()

    async def _look_and_plan(self, request: Request) -> Plan:
        if isinstance(request, AdoptRequest):
            return await self.adoption.plan(request)
        if isinstance(request, BackupRequest):
            plan = await self.backups.plan(request)
            return held.with_lift(plan) if self.ours.keeper.held else plan
        if isinstance(request, RescueRequest):
            plan = self.rescue.plan(request)
            return held.with_lift(plan) if self.ours.keeper.held else plan
        return self.plan(request)

    async def begin_as(self, request: Request, actor: str, reason: str) -> Operation:
        """Begins what something other than a person asks for (`schedule:backup`). Raises BlackholeError."""
        plan = await self.look_and_plan(request)
        if held.lifts(plan):
            raise Refused(f"cannot {plan.kind}: {held.STAYS}")
        return await self.runner.begin(uuid.uuid4().hex, plan, Actor(actor), reason)

    async def begin(self, request: Request, reason: str) -> Operation:
        """Begins what the agent itself wants. Raises BlackholeError."""
        plan = self.plan(request)
        if held.lifts(plan):
            raise Refused(f"cannot {plan.kind}: {held.STAYS}")
        return await self.runner.begin(uuid.uuid4().hex, plan, AGENT, reason)

    async def scale(self, service: str, replicas: int, reason: str, operation_id: str) -> Operation:
        """Begins what a load asks for: the number goes on following it. Raises BlackholeError."""
        plan = self.ours.supervisor.plans.of(ScaleRequest((service,), replicas))
        return await self.runner.begin(operation_id, plan, AGENT, reason)

    async def stop_services(self, reason: str) -> None:
        """Stops what is ours in reverse order, and remembers what was up for the next agent. Waits STOP_SECONDS.

        Units and containers go on: whoever supervises them is not ended by this.
        """
        before = {name: i for name, i in self.ours.supervisor.picture.items() if not i.spec.is_foreign}
        if not before:
            return
        ours = StopRequest(tuple(dict.fromkeys(i.service for i in before.values())))
        plan = replace(self.ours.supervisor.plans.of(ours), preempts=True)
        if plan.steps or self.runner.conflicts(plan.claims):
            operation = await self.runner.begin(uuid.uuid4().hex, plan, AGENT, reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    async for seen in self.runner.watch(operation.id):
                        log.info("stopping the services: %s", seen.state)
        self.ours.supervisor.remember_up(before)

    async def end_keeper(self) -> None:
        """Ends the keeper with whatever still runs, and with that this process."""
        try:
            await self.ours.keeper.shutdown(force=True)
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
            await self.ours.keeper.agent("stop")
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
        return await self.ours.keeper.upgrade(new.keeper_argv, new.env, agent_argv=new.agent_argv, agent_env=new.env)
