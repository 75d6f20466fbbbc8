"""Operations over the API: planned, begun once under the client's id, refused when another is in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.servicers import Operations
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.core.operation import Actor, Plan
from bhtui.core.request import Request, StartRequest, StopRequest
from bhtui.core.spec import ProbeKind, ProbeSpec, ServiceSpec
from bhtui.rpc.blackhole.v1 import operations_pb2 as pb
from bhtui.rpc.convert.operations import request_to_message
from tests.agent.rooms.supervisor.rig import Rig, fake_rig, spec_of
from tests.waiting import eventually

CONTEXT: Any = None
NEVER = ProbeSpec(ProbeKind.LOG, "never")
API, SLOW = ServiceSpec("api", ("true",)), ServiceSpec("slow", ("true",), probe=NEVER)
ADA = Actor("ada", "desk")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with fake_rig(tmp_path, spec_of(API, SLOW)) as made:
        yield made


def servicer(rig: Rig) -> Operations:
    async def plan(request: Request) -> Plan:
        return rig.room.plans.of(request)

    return Operations(rig.runner, plan)


def asked(request: Request, number: int = 1, actor: Actor | None = ADA) -> pb.OperationRequest:
    return request_to_message(request, f"{number:032x}", actor, "why not")


async def test_a_plan_changes_nothing_and_names_what_is_in_the_way(rig: Rig) -> None:
    operations = servicer(rig)
    before = rig.events.last_seq
    plan = await operations.Plan(asked(StartRequest()), CONTEXT)
    assert [step.target for step in plan.steps] == ["api-1", "slow-1"]
    assert (rig.events.last_seq, list(plan.conflicts)) == (before, [])
    begun = await operations.Begin(asked(StartRequest(("slow",))), CONTEXT)
    plan = await operations.Plan(asked(StopRequest(("slow",))), CONTEXT)
    assert list(plan.conflicts) == [f"start slow by ada@desk ({begun.id[:8]}), pending"]
    assert not (await operations.Plan(asked(StopRequest(("slow",), force=True)), CONTEXT)).conflicts


async def test_the_same_id_is_the_same_operation(rig: Rig) -> None:
    operations = servicer(rig)
    first = await operations.Begin(asked(StartRequest(("api",))), CONTEXT)
    await eventually(lambda: rig.runner.get(first.id).ended)
    again = await operations.Begin(asked(StartRequest(("nothing",))), CONTEXT)
    assert (again.id, again.state, again.reason, again.actor.name) == (first.id, "done", "why not", "ada")
    found = await operations.List(pb.ListOperationsRequest(), CONTEXT)
    assert [each.id for each in found.operations] == [first.id]
    assert (await operations.Get(pb.GetOperationRequest(id=first.id[:31]), CONTEXT)).id == first.id


async def test_what_cannot_be_begun(rig: Rig) -> None:
    operations = servicer(rig)
    wrong = asked(StartRequest())
    for wrong.id in ("", "1", "g" * 32, "a" * 33):
        with pytest.raises(UsageError, match="32 hexadecimal digits"):
            await operations.Begin(wrong, CONTEXT)
    with pytest.raises(UsageError, match="does not know what is asked for"):
        await operations.Begin(pb.OperationRequest(id="a" * 32), CONTEXT)
    with pytest.raises(NotFound, match="did you mean api"):
        await operations.Begin(asked(StartRequest(("apj",))), CONTEXT)
    begun = await operations.Begin(asked(StartRequest(("slow",))), CONTEXT)
    with pytest.raises(Refused, match=f"operation {begun.id[:8]}"):
        await operations.Begin(asked(StopRequest(("slow",)), 2), CONTEXT)


async def test_a_watch_ends_with_the_operation_and_a_cancel_is_by_somebody(rig: Rig) -> None:
    operations = servicer(rig)
    begun = await operations.Begin(asked(StartRequest(("slow",)), actor=None), CONTEXT)
    assert begun.actor.name == "unknown"
    stream = operations.Watch(pb.GetOperationRequest(id=begun.id), CONTEXT)
    await anext(stream)
    await operations.Cancel(pb.CancelOperationRequest(id=begun.id, actor=pb.Actor(name="ada")), CONTEXT)
    seen = [each.state async for each in stream]
    assert seen[-1] == "cancelled"
    assert "cancelled by ada" in rig.runner.get(begun.id).note
