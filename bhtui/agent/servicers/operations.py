"""Every change: planned, begun, watched, cancelled."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from bhtui.agent.journal.runner import Runner
from bhtui.core.errors import NotFound, UsageError
from bhtui.core.operation import Actor, Plan
from bhtui.core.request import Request
from bhtui.rpc.blackhole.v1 import operations_pb2 as pb
from bhtui.rpc.blackhole.v1.operations_pb2_grpc import OperationsServicer
from bhtui.rpc.convert.operations import (
    actor_from_message,
    operation_to_message,
    plan_to_message,
    request_from_message,
)

from .guard import Context

ID = re.compile(r"[0-9a-f]{32}")
DEFAULT_LIMIT = 50


class Operations(OperationsServicer):
    """`plan` asks the room that a request is for."""

    def __init__(self, runner: Runner, plan: Callable[[Request], Awaitable[Plan]]) -> None:
        self._runner = runner
        self._plan = plan

    async def Plan(self, request: pb.OperationRequest, context: Context) -> pb.OperationPlan:
        plan = await self._plan(request_from_message(request))
        conflicts = [] if plan.preempts else self._runner.conflicts(plan.claims)
        return plan_to_message(plan, conflicts, self._runner.recent_seconds(plan.kind, plan.targets))

    async def Begin(self, request: pb.OperationRequest, context: Context) -> pb.Operation:
        if not ID.fullmatch(request.id):
            raise UsageError("cannot begin the operation: its id is not 32 hexadecimal digits")
        # Before planning: what was begun under this id may have made the same request impossible by now.
        with contextlib.suppress(NotFound):
            return operation_to_message(self._runner.get(request.id))
        plan = await self._plan(request_from_message(request))
        actor = actor_from_message(request.actor) if request.actor.name else Actor("unknown")
        return operation_to_message(await self._runner.begin(request.id, plan, actor, request.reason))

    async def Get(self, request: pb.GetOperationRequest, context: Context) -> pb.Operation:
        return operation_to_message(self._runner.get(request.id))

    async def List(
        self,
        request: pb.ListOperationsRequest,
        context: Context,
    ) -> pb.ListOperationsResponse:
        found = self._runner.list(request.limit or DEFAULT_LIMIT, request.open_only)
        return pb.ListOperationsResponse(operations=map(operation_to_message, found))

    async def Watch(
        self,
        request: pb.GetOperationRequest,
        context: Context,
    ) -> AsyncIterator[pb.Operation]:
        async for operation in self._runner.watch(request.id):
            yield operation_to_message(operation)

    async def Cancel(self, request: pb.CancelOperationRequest, context: Context) -> pb.Operation:
        return operation_to_message(self._runner.cancel(request.id, actor_from_message(request.actor)))
