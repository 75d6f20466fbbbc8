"""Random plans, failures, crashes and cancels: whatever happens, the promises hold."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bhtui.agent.journal import drive as drive_module
from bhtui.core.errors import Refused
from bhtui.core.operation import STEP_ENDED, Operation, OperationState, Plan, PlannedStep, StepState

from .world import ADA, World, plan, step

acts = st.lists(st.sampled_from(["retry", "wait", "wait-mine"]), max_size=3)
ends = st.sampled_from(["done", "done", "done", "done", "fail", "crash"])


@st.composite
def steps(draw: st.DrawFn, at: int) -> PlannedStep:
    after = draw(st.sets(st.integers(0, at - 1), max_size=3)) if at else set()
    return step(
        f"t{at}",
        *sorted(after),
        kind=draw(st.sampled_from(["play", "play", "tidy", "one-way"])),
        do=[*draw(acts), draw(ends)],
        undo=[*draw(acts), draw(st.sampled_from(["done", "done", "fail"]))],
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    many = [draw(steps(at)) for at in range(draw(st.integers(0, 7)))]
    claims = tuple(draw(st.sets(st.sampled_from(["service:a", "service:b", "service:c"]), max_size=2)))
    return plan(*many, claims=claims, undo_on_failure=draw(st.booleans()), preempts=draw(st.integers(0, 3)) == 0)


moves = st.one_of(
    st.tuples(st.just("begin"), plans()),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("turn"), st.integers(1, 30)),
    st.tuples(st.sampled_from(["crash", "restart"]), st.none()),
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(moves, min_size=1, max_size=14))
async def test_promises_hold(tmp_path_factory: Any, script: list[tuple[str, Any]]) -> None:
    drive_module.WAIT_SECONDS = 0.002
    try:
        await play(tmp_path_factory.mktemp("p") / "agent.db", script)
    finally:
        drive_module.WAIT_SECONDS = 1.0


async def play(path: Path, script: list[tuple[str, Any]]) -> None:
    world = World(path)
    begun: dict[str, Plan] = {}
    for move, what in script:
        if move == "begin":
            await begin(world, begun, what)
        elif move == "cancel" and begun:
            world.runner.cancel(list(begun)[what % len(begun)], ADA)
        elif move == "turn":
            for _ in range(what):
                await asyncio.sleep(0)
        elif move in ("crash", "restart"):
            await (world.crash() if move == "crash" else world.restart())
    ended = [await world.ended(identity) for identity in begun]
    note(f"calls {world.calls}")
    for operation in ended:
        check_end(operation, begun[operation.id])
        check_order(world, operation, begun[operation.id])
    await check_events(world, ended)
    assert not world.runner.list(open_only=True)
    assert not world.runner.conflicts({"service:a", "service:b", "service:c"}), "claims are free at the end"
    assert not world.events._bells, "nobody waits any more"
    await world.close()


async def begin(world: World, begun: dict[str, Plan], what: Plan) -> None:
    identity = f"op{len(begun)}"
    in_the_way = world.runner.conflicts(what.claims)
    try:
        await world.runner.begin(identity, what, ADA)
        assert what.preempts or not in_the_way
        begun[identity] = what
    except Refused:
        assert in_the_way and not what.preempts


def check_end(operation: Operation, what: Plan) -> None:
    """The states fit together."""
    now = {each.state for each in operation.steps}
    assert now <= STEP_ENDED
    if operation.state is OperationState.DONE:
        assert now <= {StepState.DONE} and not operation.error
    if operation.state is OperationState.FAILED:
        assert operation.error.startswith("cannot play")
    if operation.state is OperationState.CANCELLED:
        assert "cancelled by ada" in operation.note
    if what.undo_on_failure and operation.state is not OperationState.DONE:
        left = {each.kind for each in operation.steps if each.state is StepState.DONE}
        assert left <= {"one-way"}, "all that can be undone was"
    if not what.undo_on_failure:
        assert not now & {StepState.UNDONE, StepState.UNDO_FAILED}
    assert all((each.started_ns > 0) == (each.state is not StepState.SKIPPED) for each in operation.steps)


def check_order(world: World, operation: Operation, what: Plan) -> None:
    """Nothing ran before what it comes after, and nothing was undone before what came after it. By the events."""
    done: set[int] = set()
    open_after: dict[int, set[int]] = {
        at: {b for b, s in enumerate(what.steps) if at in s.after} for at in range(len(what.steps))
    }
    settled: set[int] = set()
    begun: set[int] = set()
    for event in read_all(world):
        if event.target != operation.id or event.kind != "operation.step":
            continue
        at, to = event.data["step"], event.data["to"]
        if to == "running":
            assert set(what.steps[at].after) <= done
            begun.add(at)
        elif to == "done":
            done.add(at)
        elif to == "undoing":
            undoable = {b for b in open_after[at] if b in begun and what.steps[b].kind != "one-way"}
            assert undoable <= settled
        elif to in ("undone", "undo-failed"):
            settled.add(at)


async def check_events(world: World, ended: list[Operation]) -> None:
    """No gap, a chain that holds, and exactly the changes of state."""
    events = read_all(world)
    assert [event.seq for event in events] == list(range(1, world.events.last_seq + 1))
    assert await world.events.verify_chain() is None
    at: dict[tuple[str, int], str] = defaultdict(lambda: "pending")
    whole: dict[str, str | None] = defaultdict(lambda: None)
    for event in events:
        if event.kind == "operation.state":
            assert event.data["from"] == whole[event.target] != event.data["to"]
            whole[event.target] = event.data["to"]
        else:
            key = (event.target, event.data["step"])
            assert event.data["from"] == at[key] != event.data["to"]
            at[key] = event.data["to"]
    for operation in ended:
        assert whole[operation.id] == operation.state
        assert [at[operation.id, each.index] for each in operation.steps] == [each.state for each in operation.steps]


def read_all(world: World) -> list[Any]:
    return world.events.read(limit=1_000_000)
