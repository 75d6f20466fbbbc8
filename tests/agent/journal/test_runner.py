"""What the runner promises, promise by promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bhtui.agent.journal import drive as drive_module
from bhtui.agent.journal import lane as lane_module
from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.agent.store import StoreUnavailable
from bhtui.agent.upkeep import Retention, prune
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.core.operation import Actor, Operation, OperationState, PlannedStep, StepState
from tests.waiting import eventually

from .world import ADA, World, plan, step


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "agent.db")
    yield world
    await world.close()


def states(operation: Operation) -> list[str]:
    return [str(each.state) for each in operation.steps]


async def reaches(world: World, identity: str, index: int, state: StepState) -> Operation:
    await eventually(lambda: world.runner.get(identity).steps[index].state is state)
    return world.runner.get(identity)


# Forward


async def test_runs_and_ends(world: World) -> None:
    operation = await world.run("a1", plan(step("db"), step("api", 0), claims=("service:db",)))
    assert operation.state is OperationState.DONE
    assert states(operation) == ["done", "done"]
    assert world.calls == [("a1", "do", "db"), ("a1", "do", "api")]
    assert 0 < operation.created_ns <= operation.started_ns <= operation.ended_ns
    assert (operation.actor, operation.reason, operation.error) == (ADA, "because", "")
    assert world.runner.list(open_only=True) == []
    assert world.runner.conflicts({"service:db"}) == []
    assert world.runner.get("a1") == operation, "as written is as remembered"


async def test_begin_answers_at_once_with_the_whole_plan_written(world: World) -> None:
    begun = await world.runner.begin("a1", plan(step("db"), step("api", 0)), ADA)
    assert begun.state is OperationState.PENDING
    assert not world.calls
    assert world.store.rows("SELECT target, state FROM steps ORDER BY position") == [
        ("db", "pending"),
        ("api", "pending"),
    ]
    await world.ended("a1")


async def test_begin_is_idempotent(world: World) -> None:
    what = plan(step("db"), claims=("service:db",))
    first, second = await asyncio.gather(world.runner.begin("a1", what, ADA), world.runner.begin("a1", what, ADA))
    assert first.id == second.id
    ended = await world.ended("a1")
    assert await world.runner.begin("a1", what, ADA) == ended
    assert world.done("do") == ["db"]


async def test_an_empty_plan_is_done(world: World) -> None:
    assert (await world.run("a1", plan())).state is OperationState.DONE


async def test_independent_steps_run_at_the_same_time(world: World) -> None:
    await world.runner.begin("a1", plan(step("a", do=["hang"]), step("b", do=["hang"]), step("c", 0, 1)), ADA)
    await eventually(lambda: sorted(world.done("do")) == ["a", "b"])
    world.runner.cancel("a1", ADA)
    assert states(await world.ended("a1")) == ["failed", "failed", "skipped"]


async def test_a_status_is_written_before_its_step_runs(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", do=["hang"])), ADA)
    await eventually(lambda: world.calls)
    assert world.store.rows("SELECT state FROM steps") == [("running",)]
    world.runner.cancel("a1", ADA)
    await world.ended("a1")


async def test_learned_is_for_the_steps_after_it(world: World) -> None:
    await world.run("a1", plan(step("db"), step("cache"), step("api", 1, 0)))
    assert [learned["by"] for learned in world.seen[-1].before] == ["cache", "db"]


async def test_retry_and_wait_are_called_again(world: World) -> None:
    operation = await world.run("a1", plan(step("db", do=["retry", "retry", "wait", "done"])))
    assert operation.state is OperationState.DONE
    assert [call.learned.get("do-turn", 0) for call in world.seen] == [0, 1, 2, 3]
    elapsed = [call.elapsed for call in world.seen]
    assert elapsed == sorted(elapsed)


async def test_a_wait_is_woken_by_an_event(world: World, monkeypatch) -> None:
    monkeypatch.setattr(drive_module, "WAIT_SECONDS", 1000)
    await world.runner.begin("a1", plan(step("db", do=["wait-mine", "wait-mine", "done"])), ADA)
    waiting = await reaches(world, "a1", 0, StepState.WAITING)
    assert waiting.steps[0].detail == "waiting for my own"
    await eventually(lambda: len(world.calls) == 2)  # the bell rang for its own change of state
    world.events.append("instance.state", "other")
    await asyncio.sleep(0.02)
    assert len(world.calls) == 2
    world.events.append("instance.state", "db")
    assert (await world.ended("a1")).state is OperationState.DONE


async def test_a_thousand_steps(world: World) -> None:
    steps = [step(f"s{number}", *((number - 10,) if number >= 10 else ())) for number in range(1000)]
    operation = await world.run("a1", plan(*steps))
    assert operation.state is OperationState.DONE
    assert len(world.calls) == 1000


async def test_a_hundred_operations_at_once(world: World) -> None:
    for number in range(100):
        what = plan(step("a", do=["retry", "done"]), step("b", 0), claims=(f"service:{number}",))
        await world.runner.begin(f"op{number}", what, ADA)
    ended = await asyncio.gather(*(world.ended(f"op{number}") for number in range(100)))
    assert {each.state for each in ended} == {OperationState.DONE}


# Failure


async def test_failure_without_undo_lets_the_running_finish(world: World) -> None:
    what = plan(step("db", do=["fail"]), step("cache", do=["retry"] * 5 + ["done"]), step("api", 0), step("web", 1))
    operation = await world.run("a1", what)
    assert operation.state is OperationState.FAILED
    assert states(operation) == ["failed", "done", "skipped", "skipped"]
    assert operation.error == "cannot play db: the port is in use"
    assert operation.steps[0].detail == "the port is in use"
    assert world.done("undo") == []
    assert operation.code == 1


async def test_an_operation_has_the_exit_code_of_what_failed_first(world: World) -> None:
    what = plan(step("db", do=["refuse"], undo=["fail"]), step("api", 0), undo_on_failure=True)
    operation = await world.run("a1", what)
    assert operation.code == Refused.exit_code
    await world.restart()
    assert world.runner.get("a1").code == Refused.exit_code
    assert (await world.run("a2", plan(step("db", do=["crash"])))).code == 1
    assert (await world.run("a3", plan(step("db")))).code == 0


async def test_failure_with_undo_undoes_last_first(world: World) -> None:
    what = plan(step("db"), step("api", 0), step("web", 1, do=["fail"]), step("x", 2), undo_on_failure=True)
    operation = await world.run("a1", what)
    assert operation.state is OperationState.FAILED
    assert states(operation) == ["undone", "undone", "undone", "skipped"]
    assert world.done("undo") == ["web", "api", "db"]
    assert operation.error == "cannot play web: the port is in use"
    assert operation.steps[2].detail == "the port is in use", "why it was undone stays to be seen"


async def test_failure_with_undo_cuts_the_running_short(world: World) -> None:
    what = plan(step("db", do=["retry", "fail"]), step("cache", do=["hang"]), undo_on_failure=True)
    operation = await world.run("a1", what)
    assert states(operation) == ["undone", "undone"]
    assert sorted(world.done("undo")) == ["cache", "db"]


async def test_what_ends_well_although_cancelled_has_learned(world: World) -> None:
    what = plan(step("db", do=["retry", "fail"]), step("cache", do=["finish-anyway"]), undo_on_failure=True)
    await world.run("a1", what)
    [undo] = [call for call in world.seen if call.target == "cache" and "do-turn" in call.learned]
    assert undo.learned["by"] == "cache"


async def test_an_undo_that_fails_is_named_and_the_others_go_on(world: World) -> None:
    what = plan(step("db"), step("api", 0, undo=["fail"]), step("web", 1, do=["fail"]), undo_on_failure=True)
    operation = await world.run("a1", what)
    assert states(operation) == ["undone", "undo-failed", "undone"]
    assert operation.error == "cannot play web: the port is in use; cannot undo play api: the port is in use"


async def test_what_the_others_are_undone_in_is_undone_first(world: World) -> None:
    world.kinds["first"] = replace(world.kinds["play"], name="first", undo_first=True)
    steps = step("config", kind="first"), step("db", 0), step("web", 1, do=["fail"])
    assert states(await world.run("a1", plan(*steps, undo_on_failure=True))) == ["undone", "undone", "undone"]
    assert world.done("undo") == ["config", "web", "db"]


async def test_when_that_fails_nothing_else_is_undone(world: World) -> None:
    world.kinds["first"] = replace(world.kinds["play"], name="first", undo_first=True)
    steps = step("config", kind="first", undo=["fail"]), step("db", 0), step("web", 1, do=["fail"])
    operation = await world.run("a1", plan(*steps, undo_on_failure=True))
    assert states(operation) == ["undo-failed", "done", "failed"]
    assert world.done("undo") == ["config"]
    assert "cannot undo play config: the port is in use" in operation.error


async def test_what_people_can_do_is_part_of_the_note(world: World) -> None:
    world.runner._tools.advise = lambda one: f"ask for {one.id}: {one.state}, {' '.join(s.state for s in one.steps)}"
    operation = await world.run("a1", plan(step("db"), step("web", 0, do=["fail"])))
    assert operation.note == "ask for a1: failed, done failed"


async def test_what_has_ended_is_recalled_with_its_plan(world: World) -> None:
    what = plan(step("db", do=["hang"]))
    await world.runner.begin("a1", what, ADA)
    with pytest.raises(Refused, match=r"it is .*; cancel it first"):
        world.runner.recall("a1")
    world.runner.cancel("a1", ADA)
    await world.ended("a1")
    assert world.runner.recall("a1")[1] == what
    with pytest.raises(NotFound):
        world.runner.recall("b")


async def test_undo_may_wait_and_its_time_is_bounded(world: World) -> None:
    what = plan(
        step("db", undo=["retry", "wait", "done"]),
        step("api", 0, undo=["retry"], timeout=0.05),
        step("web", 1, do=["fail"]),
        undo_on_failure=True,
    )
    operation = await world.run("a1", what)
    assert states(operation) == ["undone", "undo-failed", "undone"]
    assert "cannot undo play api: it took longer than 0.05 s: trying again" in operation.error


async def test_steps_without_undo_keep_their_state_and_the_order_goes_through_them(world: World) -> None:
    what = plan(
        step("db"),
        step("mid", 0, kind="one-way"),
        step("api", 1),
        step("web", 2, do=["fail"], kind="one-way"),
        undo_on_failure=True,
    )
    operation = await world.run("a1", what)
    assert states(operation) == ["undone", "done", "undone", "failed"]
    assert world.done("undo") == ["api", "db"]


async def test_a_bug_in_a_handler_is_a_failure_with_type_and_text(world: World, caplog) -> None:
    operation = await world.run("a1", plan(step("db", do=["crash"])))
    assert operation.error == "cannot play db: ZeroDivisionError: division by zero"
    assert "Traceback" in caplog.text, "in the agent's log, not on the user's screen"


async def test_a_handler_that_learns_what_is_not_json_fails(world: World) -> None:
    world.kinds["bad"] = StepKind("bad", learns_a_set, NoUndo("does nothing"))
    operation = await world.run("a1", plan(step("db", kind="bad")))
    assert operation.state is OperationState.FAILED and "TypeError" in operation.error


async def learns_a_set(call: Call) -> Outcome:
    return Done({"names": {"a"}})


async def test_timeout_says_what_was_waited_for(world: World) -> None:
    operation = await world.run("a1", plan(step("db", kind="tidy", do=["wait"], timeout=0.05)))
    assert operation.error == "cannot play db: not ready in time: waiting for something"


async def test_a_handler_that_hangs_is_ended(world: World) -> None:
    operation = await world.run("a1", plan(step("db", do=["hang"], timeout=0.05)))
    assert operation.error == "cannot play db: there was no answer within 0.05 s"


async def test_a_handler_that_cannot_be_cancelled_is_left_behind(world: World) -> None:
    operation = await world.run("a1", plan(step("db", do=["stubborn"], timeout=0.05)))
    assert operation.state is OperationState.FAILED


@pytest.mark.parametrize("script", [["done"], ["fail"]])
async def test_cleanup_runs_however_it_ends(world: World, script: list[str]) -> None:
    what = plan(step("db", kind="tidy"), step("api", 0, kind="tidy", do=script), step("web", 1, kind="tidy"))
    await world.run("a1", what)
    assert sorted(world.done("cleanup")) == (["api", "db", "web"] if script == ["done"] else ["api", "db"])


async def test_a_cleanup_that_fails_is_noted_and_changes_no_result(world: World) -> None:
    operation = await world.run("a1", plan(step("db", kind="tidy", cleanup=["fail"])))
    assert operation.state is OperationState.DONE
    assert operation.note == "cannot clean up after play db: the port is in use"


# Cancelling


async def test_cancel_with_undo(world: World) -> None:
    await world.runner.begin("a1", plan(step("db"), step("api", 0, do=["hang"]), undo_on_failure=True), ADA)
    await eventually(lambda: world.done("do") == ["db", "api"])
    assert world.runner.cancel("a1", Actor("bob", "desk")).state is OperationState.CANCELLING
    operation = await world.ended("a1")
    assert operation.state is OperationState.CANCELLED
    assert states(operation) == ["undone", "undone"]
    assert operation.note == "cancelled by bob from desk"
    assert operation.error.endswith(" was cancelled by bob from desk")
    assert world.runner.cancel("a1", ADA) == operation, "what has ended stays as it is"


async def test_a_cancelled_operation_says_what_it_leaves_half_done(world: World) -> None:
    """`play db` is the title of both steps of db."""
    await world.runner.begin("a1", plan(step("db"), step("db", 0, do=["hang"]), step("web", 1)), ADA)
    await eventually(lambda: len(world.done("do")) == 2)
    world.runner.cancel("a1", ADA)
    error = (await world.ended("a1")).error
    assert error.endswith("was cancelled by ada from desk; play db was done, play db was begun")


async def test_cancel_before_anything_ran(world: World) -> None:
    await world.runner.begin("a1", plan(step("db"), undo_on_failure=True), ADA)
    world.runner.cancel("a1", ADA)
    operation = await world.ended("a1")
    assert operation.state is OperationState.CANCELLED and states(operation) == ["skipped"]
    assert not world.calls


async def test_cancel_wakes_what_waits(world: World, monkeypatch) -> None:
    monkeypatch.setattr(drive_module, "WAIT_SECONDS", 1000)
    await world.runner.begin("a1", plan(step("db", do=["wait-mine"])), ADA)
    await reaches(world, "a1", 0, StepState.WAITING)
    world.runner.cancel("a1", ADA)
    assert states(await world.ended("a1")) == ["failed"]


async def test_cancel_while_cleaning_up_is_too_late(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", kind="tidy", cleanup=["hang"]), undo_on_failure=True), ADA)
    await eventually(lambda: world.done("cleanup"))
    assert world.runner.cancel("a1", ADA).state is OperationState.RUNNING
    await world.close()
    world.open()
    world.kinds["tidy"] = world.kinds["play"]
    await world.runner.recover()
    assert (await world.ended("a1")).state is OperationState.DONE


# Conflicts


async def test_a_conflict_names_the_operation_in_the_way(world: World) -> None:
    await world.runner.begin("abcdef0123456789", plan(step("db", do=["hang"]), claims=("service:db",)), ADA)
    with pytest.raises(Refused) as refused:
        await world.runner.begin("b1", plan(step("db"), claims=("service:db", "service:x")), ADA)
    assert str(refused.value) == (
        "cannot start db: operation abcdef01 (start db, begun by ada) is under way; wait for it or cancel it"
    )
    assert [each.id for each in world.runner.conflicts({"service:db"})] == ["abcdef0123456789"]
    await world.run("c1", plan(step("x"), claims=("service:x",)))
    world.runner.cancel("abcdef", ADA)
    await world.ended("abcdef0123456789")
    assert (await world.run("b1", plan(step("db"), claims=("service:db",)))).state is OperationState.DONE


async def test_preempting_cancels_and_waits_for_the_holder(world: World) -> None:
    held = plan(step("db"), step("api", 0, do=["hang"]), claims=("service:db",), undo_on_failure=True)
    await world.runner.begin("a1", held, ADA)
    await eventually(lambda: world.done("do") == ["db", "api"])
    operation = await world.run("b1", plan(step("db"), claims=("service:db",), preempts=True))
    assert operation.state is OperationState.DONE and operation.note == ""
    assert [sort for _, sort, _ in world.calls] == ["do", "do", "undo", "undo", "do"]
    holder = world.runner.get("a1")
    assert holder.state is OperationState.CANCELLED
    assert holder.note == "cancelled by ada, who begins start db"


async def test_preempting_goes_on_without_the_holder_and_says_so(world: World, monkeypatch) -> None:
    monkeypatch.setattr(lane_module, "PREEMPT_SECONDS", 0.05)
    held = plan(step("db", undo=["hang"], do=["hang"]), claims=("service:db",), undo_on_failure=True)
    await world.runner.begin("a1", held, ADA)
    await eventually(lambda: world.calls)
    operation = await world.run("b1", plan(step("x"), claims=("service:db",), preempts=True))
    assert operation.state is OperationState.DONE
    assert operation.note == "went on although a1 (start db) had not let go after 0.05 s"


async def test_plans_that_cannot_be_run_are_refused(world: World) -> None:
    for bad, text in (
        (plan(step("db", kind="nowhere")), "no step of kind nowhere"),
        (plan(step("db", 1), step("api", 0)), "circle"),
        (plan(step("db", 7)), "does not exist"),
    ):
        with pytest.raises(UsageError, match=text):
            await world.runner.begin("a1", bad, ADA)
    with pytest.raises(UsageError, match="id must be"):
        await world.runner.begin("../x", plan(), ADA)
    assert world.runner.list() == []


# Restart


async def test_resumed_after_a_crash(world: World) -> None:
    await world.runner.begin("a1", plan(step("db"), step("api", 0, do=["retry", "hang", "done"])), ADA)
    await eventually(lambda: world.done("do") == ["db", "api", "api"])
    await world.crash()
    await eventually(lambda: len(world.calls) == 4)
    assert world.seen[-1].learned == {"do-turn": 1}, "what was committed, and no more"
    assert world.seen[-1].elapsed >= world.seen[-2].elapsed, "time goes on while the agent is away"
    assert world.runner.get("a1").note == lane_module.RESUMED
    world.runner.cancel("a1", ADA)
    assert (await world.ended("a1")).note == f"{lane_module.RESUMED}; cancelled by ada from desk"


async def test_an_orderly_end_is_not_a_failure(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", do=["hang"])), ADA)
    await eventually(lambda: world.calls)
    watching = [operation async for operation in _until_closed(world, "a1")]
    assert not watching[-1].ended
    assert world.store.rows("SELECT state, ended_ns FROM operations") == [("running", 0)]
    with pytest.raises(Refused, match="the agent is ending"):
        await world.runner.begin("b1", plan(), ADA)


async def _until_closed(world: World, identity: str) -> AsyncIterator[Operation]:
    first = True
    async for operation in world.runner.watch(identity):
        yield operation
        if first:
            first = False
            await world.runner.close()


async def test_an_error_while_the_agent_ends_is_a_retry(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", do=["retry", "fail"])), ADA)
    async for operation in world.runner.watch("a1"):
        world.runner._tools.closing |= operation.steps[0].state is StepState.WAITING
    assert world.store.rows("SELECT state, error FROM operations") == [("running", "")]
    await world.restart()
    operation = await world.ended("a1")
    assert operation.error == "cannot play db: the port is in use", "only the next life may fail it"
    assert len(world.done("do")) == 3


async def test_nothing_is_skipped_because_the_agent_ends(world: World) -> None:
    await world.runner.begin("a1", plan(step("db"), step("api", 0)), ADA)
    world.runner._tools.closing = True
    await eventually(lambda: not world.runner.list(open_only=True))
    await world.restart()
    assert states(await world.ended("a1")) == ["done", "done"]


async def test_a_rollback_is_gone_on_with(world: World) -> None:
    what = plan(step("db"), step("api", 0, undo=["hang"]), step("web", 1, do=["fail"]), undo_on_failure=True)
    await world.runner.begin("a1", what, ADA)
    await eventually(lambda: world.done("undo") == ["web", "api"])
    await world.crash()
    await eventually(lambda: world.done("undo") == ["web", "api", "api"])
    assert world.runner.get("a1").state is OperationState.ROLLING_BACK
    await world.close()
    world.kinds["play"] = StepKind("play", world.player("do"), world.player("plain undo"))
    world.open()
    await world.runner.recover()
    operation = await world.ended("a1")
    assert operation.state is OperationState.FAILED
    assert operation.error == "cannot play web: the port is in use"
    assert states(operation) == ["undone", "undone", "undone"]


async def test_steps_that_are_no_longer_known_fail_the_operation(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", kind="tidy", do=["hang"]), step("x", 0)), ADA)
    await eventually(lambda: world.calls)
    await world.close()
    del world.kinds["tidy"]
    world.open()
    await world.runner.recover()
    operation = await world.ended("a1")
    assert operation.state is OperationState.FAILED
    assert operation.error == (
        "cannot go on with start db x: this version of the agent does not know its steps tidy; begin it again"
    )
    assert states(operation) == ["failed", "skipped"]


async def test_taking_over_is_remembered_across_a_crash(world: World) -> None:
    held = plan(step("db", do=["hang"], undo=["retry", "done"]), claims=("service:db",), undo_on_failure=True)
    await world.runner.begin("a1", held, ADA)
    await eventually(lambda: world.calls)
    await world.runner.begin("b1", plan(step("db"), claims=("service:db",), preempts=True), ADA)
    await world.crash()
    assert (await world.ended("b1")).state is OperationState.DONE
    assert world.runner.get("a1").state is OperationState.CANCELLED
    assert world.calls[-1] == ("b1", "do", "db")


async def test_a_full_disk_holds_an_operation_up_and_breaks_nothing(world: World, monkeypatch) -> None:
    monkeypatch.setattr("bhtui.agent.journal.book.RETRY_SECONDS", 0.01)
    await world.runner.begin("a1", plan(step("db", do=["wait-mine", "wait-mine", "done"]), step("api", 0)), ADA)
    await eventually(lambda: len(world.calls) == 2)
    await asyncio.sleep(0)
    real, refused = world.store.transaction, []

    def full():
        refused.append(1)
        raise StoreUnavailable("cannot write: the disk is full; free some space")

    monkeypatch.setattr(world.store, "transaction", full)
    with pytest.raises(StoreUnavailable, match="free some space"):
        await world.runner.begin("b1", plan(step("x")), ADA)
    await eventually(lambda: len(refused) > 3)
    assert world.runner.get("a1").steps[0].state is StepState.WAITING
    monkeypatch.setattr(world.store, "transaction", real)
    assert states(await world.ended("a1")) == ["done", "done"]


async def test_an_error_of_ours_ends_the_operation_and_not_the_agent(world: World, monkeypatch) -> None:
    async def broken(*_):
        raise KeyError("oh")

    monkeypatch.setattr(lane_module, "drive", broken)
    operation = await world.run("a1", plan(step("db")))
    assert operation.state is OperationState.FAILED
    assert operation.error == "cannot go on with start db: 'oh'"
    assert world.runner.get("a1") == operation


# Asking


async def test_get_by_prefix(world: World) -> None:
    for identity in ("abc1", "abd2"):
        await world.run(identity, plan())
    assert world.runner.get("abc").id == "abc1"
    assert world.runner.get("abd2").id == "abd2"
    with pytest.raises(UsageError, match="several begin so"):
        world.runner.get("ab")
    for nothing in ("x", "", "%", "abc11"):
        with pytest.raises(NotFound, match="cannot find operation"):
            world.runner.get(nothing)


async def test_list_is_newest_first_with_live_progress(world: World) -> None:
    await world.run("a1", plan())
    await world.runner.begin("b1", plan(step("db", do=["wait-mine"])), ADA)
    await reaches(world, "b1", 0, StepState.WAITING)
    await world.run("c1", plan())
    world.seen[-1].progress("40 of 100")
    listed = world.runner.list()
    assert [each.id for each in listed] == ["c1", "b1", "a1"]
    assert listed[1].steps[0].detail == "40 of 100"
    assert [each.id for each in world.runner.list(2)] == ["c1", "b1"]
    assert [each.id for each in world.runner.list(open_only=True)] == ["b1"]


async def test_recent_seconds(world: World) -> None:
    what = plan(step("db"))
    for number in range(12):
        await world.run(f"a{number}", what)
    await world.run("f1", plan(step("db", do=["fail"])))
    recent = world.runner.recent_seconds("start", ("db",))
    assert len(recent) == 10 and all(seconds > 0 for seconds in recent)
    assert world.runner.recent_seconds("start", ("api",)) == []


async def test_watch_shows_progress_and_ends(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", do=["wait-mine", "wait-mine", "done"])), ADA)
    details: list[str] = []
    async for operation in world.runner.watch("a1"):
        details.append(operation.steps[0].detail)
        if operation.steps[0].state is StepState.WAITING and len(world.calls) == 2:
            if details[-1] == "half":
                world.events.append("x", "db")
            else:
                world.seen[-1].progress("half")
    assert "half" in details
    assert operation.ended
    world.seen[-1].progress("too late")
    assert world.runner.get("a1").steps[0].detail == ""
    assert [each.state async for each in world.runner.watch("a1")] == [OperationState.DONE]
    with pytest.raises(NotFound):
        _ = [each async for each in world.runner.watch("nowhere")]


async def test_a_slow_watcher_gets_the_newest_only(world: World) -> None:
    await world.runner.begin("a1", plan(*(step(f"s{n}", *((n - 1,) if n else ())) for n in range(50))), ADA)
    seen = 0
    async for operation in world.runner.watch("a1"):
        seen += 1
        if not operation.ended:
            await eventually(lambda: not world.runner.list(open_only=True))
    assert seen == 2


async def test_progress_makes_no_event(world: World) -> None:
    await world.runner.begin("a1", plan(step("db", do=["wait-mine"])), ADA)
    await reaches(world, "a1", 0, StepState.WAITING)
    await eventually(lambda: len(world.calls) == 2)
    before = world.events.last_seq
    for number in range(100):
        world.seen[-1].progress(f"{number} of 100")
    assert world.events.last_seq == before
    assert world.runner.get("a1").steps[0].detail == "99 of 100"


# Events


async def test_every_change_of_state_is_an_event(world: World) -> None:
    what = plan(step("db"), step("api", 0, do=["retry", "fail"]), undo_on_failure=True)
    await world.run("a1", what)
    events = world.events.read()
    assert [(e.kind, e.target) for e in events] == [
        (e.kind, "a1") for e in events if e.kind in ("operation.state", "operation.step")
    ]
    assert [e.data["to"] for e in events if e.kind == "operation.state"] == [
        "pending", "running", "rolling-back", "failed",
    ]  # fmt: skip
    assert [(e.data["step"], e.data["from"], e.data["to"]) for e in events if e.kind == "operation.step"] == [
        (0, "pending", "running"), (0, "running", "done"), (1, "pending", "running"), (1, "running", "waiting"),
        (1, "waiting", "failed"), (1, "failed", "undoing"), (1, "undoing", "undone"),
        (0, "done", "undoing"), (0, "undoing", "undone"),
    ]  # fmt: skip
    last = events[-1]
    assert last.message == "start api db: failed: cannot play api: the port is in use"
    assert last.actor == ADA
    assert last.data["reason"] == "because" and last.data["targets"] == ["api", "db"]
    [failed] = [e for e in events if e.data["to"] == "failed" and e.kind == "operation.step"]
    assert failed.message == "play api: failed: the port is in use"
    assert await world.events.verify_chain() is None


async def test_planned_step_titles_without_a_colon(world: World) -> None:
    operation = await world.run("a1", plan(PlannedStep("play", "db", "play db", {"do": ["fail"]})))
    assert operation.error == "cannot play db: the port is in use"


async def test_old_operations_are_pruned_and_open_ones_kept(world: World) -> None:
    await world.runner.begin("open", plan(step("db", do=["wait-mine"])), ADA)
    for number in range(150):
        await world.run(f"a{number}", plan(step("x")))
    await prune(world.store, Retention(operations=20))
    assert [each.id for each in world.runner.list(1000)] == [f"a{number}" for number in range(149, 129, -1)] + ["open"]
    assert world.store.rows("SELECT count(*) FROM steps") == [(21,)]
    with pytest.raises(NotFound):
        world.runner.get("a0")
