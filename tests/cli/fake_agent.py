"""An agent with canned answers behind a real socket: real gRPC, and the quick road, split as the front door does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio

from bhtui.core.backup import Backups
from bhtui.core.diff import SpecDiff
from bhtui.core.errors import BlackholeError, ConfigError, NotFound, Problem
from bhtui.core.event import Event
from bhtui.core.logs import LogBatch, LogCount, LogCounts, LogLine
from bhtui.core.operation import Operation, OperationState, Plan, PlannedStep, Step, StepState
from bhtui.core.overview import Machine, Overview
from bhtui.core.resources import InstanceResources
from bhtui.core.states import Goal, Health, State
from bhtui.core.status import HostStatus, InstanceStatus
from bhtui.rpc import errors, options
from bhtui.rpc.blackhole.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    backup_pb2_grpc,
    config_pb2,
    config_pb2_grpc,
    events_pb2_grpc,
    logs_pb2_grpc,
    metrics_pb2,
    metrics_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    overview_pb2,
    overview_pb2_grpc,
    resources_pb2,
    resources_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
)
from bhtui.rpc.convert import backup, config, events, logs, operations, overview, resources, status

SECOND = 1_000_000_000
NOON = 1_772_366_400 * SECOND


def instance(service: str, index: int = 1, **fields: Any) -> InstanceStatus:
    given: dict[str, Any] = {
        "state": State.RUNNING,
        "goal": Goal.UP,
        "health": Health.HEALTHY,
        "pid": 4000 + index,
        "uptime_seconds": 61.25,
        "cpu_percent": 1.25,
        "memory_bytes": 32 << 20,
        "memory_limit_bytes": 64 << 20,
        "limits_held_by": "cgroup v2",
        "since_ns": NOON,
    } | fields
    return InstanceStatus(service=service, instance=f"{service}-{index}", **given)


class FakeAgent(
    agent_pb2_grpc.AgentServicer,
    backup_pb2_grpc.BackupServicer,
    config_pb2_grpc.ConfigServicer,
    events_pb2_grpc.EventsServicer,
    logs_pb2_grpc.LogsServicer,
    metrics_pb2_grpc.MetricsServicer,
    operations_pb2_grpc.OperationsServicer,
    overview_pb2_grpc.OverviewServicer,
    resources_pb2_grpc.ResourcesServicer,
    status_pb2_grpc.StatusServicer,
):
    """Change the attributes to change its answers; look at `begun` and `calls` for what it was asked."""

    def __init__(self) -> None:
        self.instances = [instance("identity"), instance("storage"), instance("api"), instance("api", 2)]
        self.resources: list[InstanceResources] = []
        self.overview = Overview(Machine("fake"))
        self.operations: dict[str, Operation] = {}
        self.begun: list[operations_pb2.OperationRequest] = []
        self.calls: list[str] = []
        self.events = [
            Event(n, NOON + n * SECOND, "instance.state", "api-1", f"fact {n}", {"n": n}) for n in range(1, 6)
        ]
        self.lines = [
            LogLine(NOON + n * SECOND, "api", "api-1", "stdout", "error" if n % 2 else "info", f"line {n}")
            for n in range(1, 6)
        ]
        self.problems: tuple[Problem, ...] = ()
        self.difference = SpecDiff((), (), (), ())
        self.texts: list[str] = []
        """Configurations that were sent to be compared or shown."""
        self.fail_step = ""
        """Title of the step that fails."""
        self.hold = asyncio.Event()
        """Operations go on past their first step only when it is set."""
        self.hold.set()
        self.drop_watch = 0
        """So many times a watch breaks off after its first message."""
        self.unheard_watch = 0
        """So many times it breaks off before that."""
        self.refuse: BlackholeError | None = None
        self.conflicts: list[Operation] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.changed = asyncio.Condition()

    # Agent

    async def Info(self, request: Any, context: Any) -> agent_pb2.AgentInfo:
        return agent_pb2.AgentInfo(
            agent_pid=11,
            keeper_pid=10,
            version="0.1.0",
            uptime_seconds=5.5,
            hostname="fake",
            limits="cgroup v2",
            last_seq=5,
        )

    async def Shutdown(self, request: Any, context: Any) -> agent_pb2.ShutdownResponse:
        self.calls.append(f"shutdown keep={request.keep_services}")
        return agent_pb2.ShutdownResponse()

    async def Upgrade(self, request: Any, context: Any) -> agent_pb2.UpgradeResponse:
        self.calls.append(f"upgrade {request.bundle_dir!r}")
        return agent_pb2.UpgradeResponse(version="0.1.0")

    # Status

    def selected(self, names: Any) -> list[InstanceStatus]:
        for name in names:
            if not any(name in (each.service, each.instance) for each in self.instances):
                known = ", ".join(sorted({each.service for each in self.instances}))
                raise NotFound(f"cannot find the service {name}: it is not declared here; declared are {known}")
        return [each for each in self.instances if not names or each.service in names or each.instance in names]

    def snapshot(self, names: Any) -> status_pb2.Snapshot:
        return status_pb2.Snapshot(
            host=status.host_to_message(HostStatus("fake", cpus=2, memory_total_bytes=8 << 30)),
            instances=[status.instance_to_message(each) for each in self.selected(names)],
            seq=5,
            full=True,
        )

    async def Get(self, request: Any, context: Any) -> Any:
        if isinstance(request, config_pb2.GetConfigRequest):
            return config_pb2.ConfigText(yaml="services: {}\n", path="/etc/blackhole/blackhole.yaml", digest="00")
        if isinstance(request, operations_pb2.GetOperationRequest):
            return operations.operation_to_message(await self.find(request.id, context))
        if isinstance(request, overview_pb2.OverviewRequest):
            return overview.to_message(self.overview)
        if isinstance(request, resources_pb2.ResourcesRequest):
            host = status.host_to_message(HostStatus("fake", cpus=2, memory_total_bytes=8 << 30))
            shown = [each for each in self.resources if not request.names or each.service in request.names]
            return resources_pb2.ResourcesResponse(host=host, instances=map(resources.to_message, shown))
        try:
            return self.snapshot(request.names)
        except BlackholeError as error:
            await errors.abort(context, error)

    async def CheckHealth(self, request: Any, context: Any) -> status_pb2.Snapshot:
        self.calls.append("check")
        return await self.Get(request, context)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if isinstance(request, operations_pb2.GetOperationRequest):
            async for each in self.watch_operation(request.id, context):
                yield each
            return
        for _ in range(3):
            yield self.snapshot(request.names)

    # Operations

    async def find(self, key: str, context: Any) -> Operation:
        for each in self.operations.values():
            if each.id.startswith(key):
                return each
        await errors.abort(context, NotFound(f"cannot find the operation {key}: none begins so"))
        raise AssertionError

    def make_plan(self, request: operations_pb2.OperationRequest) -> Plan:
        what = request.WhichOneof("request") or ""
        asked = getattr(request, what)
        if what == "adopt":
            step = PlannedStep("config.write", "nginx", "write nginx into blackhole.yaml")
            document = "services: {nginx: {kind: systemd}}\n"
            return Plan("adopt", ("nginx",), () if asked.document_only else (step,), document=document)
        named = [*getattr(asked, "services", ()), *filter(None, [getattr(asked, "service", "")])]
        names = named or sorted({each.service for each in self.instances})
        self.selected(names)
        kind = what.replace("_", "-")
        steps = tuple(
            PlannedStep(f"service.{kind}", f"{name}-1", f"{kind} {name}-1", after=(index - 1,) if index else ())
            for index, name in enumerate(names)
        )
        return Plan(kind, tuple(names), steps, effects=("api depends on storage and stays up",))

    async def Plan(self, request: Any, context: Any) -> operations_pb2.OperationPlan:
        try:
            return operations.plan_to_message(self.make_plan(request), self.conflicts, [1.5])
        except BlackholeError as error:
            await errors.abort(context, error)
            raise

    async def Begin(self, request: Any, context: Any) -> operations_pb2.Operation:
        if request.id in self.operations:
            return operations.operation_to_message(self.operations[request.id])
        if self.refuse:
            await errors.abort(context, self.refuse)
        if self.problems:
            await errors.abort(context, ConfigError(self.problems))
        try:
            plan = self.make_plan(request)
        except BlackholeError as error:
            await errors.abort(context, error)
            raise
        self.begun.append(request)
        steps = tuple(Step(i, each.kind, each.target, each.title) for i, each in enumerate(plan.steps))
        operation = Operation(
            request.id, plan.kind, plan.targets, operations.actor_from_message(request.actor), request.reason,
            OperationState.RUNNING, steps, plan.effects, created_ns=NOON, started_ns=NOON,
        )  # fmt: skip
        await self.put(operation)
        self.tasks.append(asyncio.create_task(self.run(operation)))
        return operations.operation_to_message(operation)

    async def put(self, operation: Operation) -> None:
        self.operations[operation.id] = operation
        async with self.changed:
            self.changed.notify_all()

    async def run(self, operation: Operation) -> None:
        steps = list(operation.steps)
        for index, step in enumerate(steps):
            failed = step.title == self.fail_step
            steps[index] = replace(
                step, state=StepState.FAILED if failed else StepState.DONE, started_ns=NOON, ended_ns=NOON + SECOND
            )
            operation = replace(operation, steps=tuple(steps))
            if failed:
                text = f"cannot {step.title}: it ended at once with exit code 3; its last lines:\nboom"
                await self.put(replace(operation, state=OperationState.FAILED, error=text, ended_ns=NOON + SECOND))
                return
            await self.put(operation)
            await self.hold.wait()
            if self.operations[operation.id].state is OperationState.CANCELLED:
                return
        await self.put(replace(operation, state=OperationState.DONE, ended_ns=NOON + SECOND))

    async def List(self, request: Any, context: Any) -> Any:
        if isinstance(request, operations_pb2.ListOperationsRequest):
            newest = list(self.operations.values())[::-1]
            shown = [each for each in newest if not (request.open_only and each.ended)]
            return operations_pb2.ListOperationsResponse(operations=map(operations.operation_to_message, shown))
        return backup.backups_to_message(Backups(hint="blackhole backup create"))

    async def watch_operation(self, key: str, context: Any) -> AsyncIterator[operations_pb2.Operation]:
        operation = await self.find(key, context)
        if self.unheard_watch:
            self.unheard_watch -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the link broke")
        yield operations.operation_to_message(operation)
        if self.drop_watch:
            self.drop_watch -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the link broke")
        while not operation.ended:
            async with self.changed:
                seen = operation
                await self.changed.wait_for(lambda: self.operations[seen.id] is not seen)  # noqa: B023
            operation = self.operations[operation.id]
            yield operations.operation_to_message(operation)

    async def Cancel(self, request: Any, context: Any) -> operations_pb2.Operation:
        operation = replace(await self.find(request.id, context), state=OperationState.CANCELLED, ended_ns=NOON)
        await self.put(operation)
        return operations.operation_to_message(operation)

    # Events, logs, metrics, config

    async def Read(self, request: Any, context: Any) -> Any:
        raise AssertionError("replaced for each service")

    async def read_events(self, request: Any, context: Any) -> AsyncIterator[Any]:
        some = [each for each in self.events if each.seq > request.after]
        yield events.batch_to_message(some[-request.tail :] if request.tail else some)
        if request.follow:
            await asyncio.Event().wait()

    async def Count(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield logs.counts_to_message(LogCounts(scanned=1))
        found = Counter((each.service, each.instance, each.level, each.time_ns // SECOND) for each in self.lines)
        counts = tuple(LogCount(*key[:3], key[3] * SECOND, lines, 6 * lines) for key, lines in found.items())
        yield logs.counts_to_message(LogCounts(counts, SECOND, 5, done=True))

    async def read_logs(self, request: Any, context: Any) -> AsyncIterator[Any]:
        some = [each for each in self.lines if not request.grep or re.search(request.grep, each.message)]
        some = [each for each in some if not request.since_ns or each.time_ns >= request.since_ns]
        some = some[-request.tail :] if request.tail else some
        yield logs.batch_to_message(LogBatch(tuple(some), len(self.lines), caught_up=True))
        if request.follow:
            await asyncio.Event().wait()

    async def read_metrics(self, request: Any, context: Any) -> Any:
        return metrics_pb2.SeriesResponse()

    async def Diff(self, request: Any, context: Any) -> config_pb2.DiffResponse:
        self.texts.append(request.yaml)
        if self.problems:
            return config_pb2.DiffResponse(problems=map(config.problem_to_message, self.problems))
        return config.diff_to_message(self.difference)

    async def Effective(self, request: Any, context: Any) -> config_pb2.EffectiveResponse:
        self.texts.append(request.yaml)
        if self.problems:
            return config_pb2.EffectiveResponse(problems=map(config.problem_to_message, self.problems))
        values = [
            config_pb2.EffectiveValue(path="services.api.replicas", json="2", origin="/etc/blackhole/blackhole.yaml:7"),
            config_pb2.EffectiveValue(path="services.api.user", json='""', origin="default"),
            config_pb2.EffectiveValue(
                path="services.api.environment.A", json='"x"', origin="/etc/b.yaml:3, hosts.fake"
            ),
        ]
        return config_pb2.EffectiveResponse(values=values)

    async def Validate(self, request: Any, context: Any) -> config_pb2.ValidateResponse:
        return config.validation_to_message(self.problems, ("identity", "storage"))

    # Serving

    @contextlib.asynccontextmanager
    async def serving(self, run: Path) -> AsyncIterator[Path]:
        """Answers at `run/agent.sock` while the block lasts."""
        run.mkdir(parents=True, exist_ok=True)
        server = grpc.aio.server(options=options.SERVER)
        for module, name in _SERVICES:
            adder = getattr(module, f"add_{name}Servicer_to_server")
            adder(_Part(self, name), server)
        server.add_insecure_port(f"unix:{run / 'grpc.sock'}")
        await server.start()
        door = await asyncio.start_unix_server(lambda r, w: self._accept(r, w, run / "grpc.sock"), run / "agent.sock")
        try:
            yield run / "agent.sock"
        finally:
            door.close()
            for task in self.tasks:
                task.cancel()
            await server.stop(None)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: Path) -> None:
        first = await reader.read(4096)
        if first.startswith(b"{"):
            self.calls.append("quick")
            writer.write(json.dumps(self._quick(json.loads(first))).encode() + b"\n")
            await writer.drain()
        elif first:
            inside, out = await asyncio.open_unix_connection(inner)
            out.write(first)
            await asyncio.gather(_pipe(reader, out), _pipe(inside, writer))
        writer.close()

    def _quick(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": [status.instance_to_json(each) for each in self.selected(request["names"])]}
        except BlackholeError as error:
            return {"error": str(error), "exit_code": error.exit_code}


_SERVICES = (
    (agent_pb2_grpc, "Agent"),
    (backup_pb2_grpc, "Backup"),
    (config_pb2_grpc, "Config"),
    (events_pb2_grpc, "Events"),
    (logs_pb2_grpc, "Logs"),
    (metrics_pb2_grpc, "Metrics"),
    (operations_pb2_grpc, "Operations"),
    (overview_pb2_grpc, "Overview"),
    (resources_pb2_grpc, "Resources"),
    (status_pb2_grpc, "Status"),
)


class _Part:
    """One service of the fake: three of them have a method `Read`."""

    def __init__(self, agent: FakeAgent, name: str) -> None:
        self._agent = agent
        self._read = f"read_{name.lower()}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, self._read if name == "Read" else name)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
