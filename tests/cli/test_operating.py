"""The verbs that change something: plans, questions, progress, ends."""

from __future__ import annotations

import asyncio
import json
import signal

from bhtui.cli.carry import plan_text
from bhtui.core.errors import Refused
from bhtui.core.operation import Actor, Operation, OperationState
from bhtui.rpc.blackhole.v1.operations_pb2 import OperationPlan
from tests.waiting import eventually

from .conftest import Home
from .fake_agent import FakeAgent


async def test_start_shows_each_step_and_ends_with_0(home: Home, agent: FakeAgent) -> None:
    ran = await home.blackhole("start", "identity", "api", "--reason", "night shift")
    assert ran.code == 0
    assert ran.out == "start identity api done in 1.0 s\n"
    assert ran.err.splitlines() == [
        "api depends on storage and stays up",
        "✓ [1/2] start identity-1: done (1.0 s)",
        "✓ [2/2] start api-1: done (1.0 s)",
    ]
    request = agent.begun[0]
    assert len(request.id) == 32
    assert request.reason == "night shift"
    assert request.actor.name
    assert list(request.start.services) == ["identity", "api"]


async def test_a_dry_run_prints_the_plan_and_begins_nothing(home: Home, agent: FakeAgent) -> None:
    holder = Operation("9" * 32, "stop", ("api",), Actor("ada", "desk"), "", OperationState.RUNNING, ())
    agent.conflicts = [holder]
    ran = await home.blackhole("stop", "api", "--dry-run")
    assert ran.out.splitlines() == [
        "stop",
        "  1. stop api-1",
        "  effect: api depends on storage and stays up",
        "  in the way: stop api by ada@desk (99999999), running",
        "  took lately: 1.5 s",
    ]
    plan = json.loads((await home.blackhole("restart", "--rolling", "--dry-run", "--output", "json")).out)
    assert plan["kind"] == "restart"
    assert len(plan["steps"]) == 3
    assert agent.begun == []


async def test_no_grace_is_asked_for_as_that(home: Home, agent: FakeAgent) -> None:
    await home.blackhole("stop", "api", "--timeout", "0s")
    await home.blackhole("stop", "api")
    assert [(each.stop.HasField("timeout"), each.stop.timeout) for each in agent.begun] == [(True, 0.0), (False, 0.0)]


async def test_requests_say_what_was_asked(home: Home, agent: FakeAgent) -> None:
    file = home.path / "other.yaml"
    file.write_text("services: {}\n")
    await home.blackhole("start", "--config", str(file), "--debug", "--enable-pprof")
    await home.blackhole("stop", "--force", "--timeout", "1m30s")
    await home.blackhole("restart", "api", "--rolling")
    await home.blackhole("restart", "--reload-config")
    await home.blackhole("stop", "--emergency")
    start, stop, restart, reload, emergency = agent.begun
    assert (start.start.config_yaml, start.start.config_path) == ("services: {}\n", str(file))
    assert start.start.debug
    assert start.start.enable_pprof
    assert (stop.stop.force, stop.stop.timeout) == (True, 90.0)
    assert restart.restart.rolling
    assert reload.WhichOneof("request") == "reload_config"
    assert emergency.stop.emergency


async def test_combinations_that_mean_nothing_are_2(home: Home, agent: FakeAgent) -> None:
    for words in (
        ["restart", "api", "--reload-config"],
        ["restart", "--config", "/x"],
        ["stop", "api", "--emergency"],
        ["stop", "--timeout", "soon"],
        ["start", "--config", str(home.path / "none.yaml")],
    ):
        ran = await home.blackhole(*words)
        assert ran.code == 2, words
        assert ran.err.startswith("cannot "), ran.err
    assert agent.begun == []


async def test_a_failure_is_1_with_its_reason_and_last_lines(home: Home, agent: FakeAgent) -> None:
    agent.fail_step = "start api-1"
    ran = await home.blackhole("start", "api")
    assert ran.code == 1
    assert ran.out == ""
    assert "cannot start api-1: it ended at once with exit code 3; its last lines:\nboom\n" in ran.err


async def test_a_refusal_is_5(home: Home, agent: FakeAgent) -> None:
    agent.refuse = Refused("cannot stop api: operation 99999999 (start api) holds it; wait for it, or stop --force")
    ran = await home.blackhole("stop", "api")
    assert (ran.code, ran.err) == (5, f"{agent.refuse}\n")


async def test_read_only_changes_nothing(home: Home, agent: FakeAgent) -> None:
    for words in (["start"], ["stop"], ["restart"], ["agent", "stop"], ["operations", "cancel", "1"]):
        assert (await home.blackhole("--read-only", *words)).code == 5, words
    assert (await home.blackhole("status", "--read-only")).code == 0
    assert agent.begun == []
    assert not [call for call in agent.calls if call.startswith("shutdown")]


async def test_a_lost_connection_is_taken_up_again(home: Home, agent: FakeAgent) -> None:
    agent.hold.clear()
    agent.drop_watch = 2
    running = asyncio.create_task(home.blackhole("start", "api", "storage"))
    await eventually(lambda: agent.drop_watch == 0)
    agent.hold.set()
    ran = await running
    assert ran.code == 0
    assert ran.err.count("connecting again") == 2
    assert len(agent.begun) == 1


async def test_a_connection_that_does_not_come_back_at_once_is_told_once(home: Home, agent: FakeAgent) -> None:
    agent.hold.clear()
    agent.unheard_watch = 3
    running = asyncio.create_task(home.blackhole("start", "api"))
    await eventually(lambda: agent.unheard_watch == 0)
    agent.hold.set()
    ran = await running
    assert (ran.code, ran.err.count("connecting again")) == (0, 1)


async def test_ctrl_c_leaves_the_operation_alone_and_says_how_to_return(home: Home, agent: FakeAgent) -> None:
    agent.hold.clear()
    process = await home.start("restart", "api", "storage")
    assert process.stderr is not None
    await asyncio.wait_for(process.stderr.readline(), 60)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    operation_id = agent.begun[0].id[:8]
    assert process.returncode == 130
    assert f"blackhole operations {operation_id} --watch" in err.decode()
    assert f"blackhole operations cancel {operation_id}" in err.decode()
    assert b"Traceback" not in err
    watching = asyncio.create_task(home.blackhole("operations", operation_id, "--watch"))
    agent.hold.set()
    assert (await watching).code == 0


async def test_operations_are_listed_shown_and_cancelled(home: Home, agent: FakeAgent) -> None:
    assert (await home.blackhole("operations")).out == "no operations\n"
    agent.hold.clear()
    process = await home.start("stop", "api", "storage", "--reason", "a new disk")
    await eventually(lambda: agent.begun)
    operation_id = agent.begun[0].id
    listed = await home.blackhole("operations", "--open")
    assert operation_id[:8] in listed.out
    assert "a new disk" in listed.out
    found = json.loads((await home.blackhole("operations", operation_id[:6], "--output", "json")).out)
    assert {"id", "kind", "target", "actor", "state", "steps"} <= set(found)
    assert "stop api-1" in (await home.blackhole("operations", operation_id)).out
    ran = await home.blackhole("operations", "cancel", operation_id[:8])
    assert (ran.code, ran.out) == (0, "stop api storage was cancelled\n")
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    agent.hold.set()
    assert (await home.blackhole("operations", "ffff")).code == 3


async def test_the_result_as_json_is_one_line(home: Home, agent: FakeAgent) -> None:
    ran = await home.blackhole("start", "api", "--output", "json")
    assert json.loads(ran.out)["state"] == "done"
    assert len(ran.out.splitlines()) == 1


async def test_stopping_where_nothing_runs_starts_nothing(home: Home) -> None:
    ran = await home.blackhole("stop")
    assert (ran.code, ran.out) == (0, "nothing runs here: there is no agent and no keeper\n")
    ran = await home.blackhole("agent", "stop")
    assert (ran.code, ran.out) == (0, "no agent runs here\n")
    assert not home.run_dir.exists()


async def test_a_service_the_agent_runs_is_not_run_twice(home: Home, agent: FakeAgent) -> None:
    ran = await home.blackhole("service", "--name", "storage")
    assert ran.code == 5
    assert "storage-1" in ran.err


async def test_profiles_go_with_the_configuration(home: Home, agent: FakeAgent) -> None:
    await home.blackhole("start", "--profile", "dev,eu", "--profile", "big")
    await home.blackhole("restart", "--reload-config", "--yes", "--profile", "")
    start, reload = agent.begun
    assert (start.start.config_yaml, start.start.config_path) == ("--- # blackhole profiles: dev, eu, big\n", "")
    assert reload.reload_config.config_yaml == "--- # blackhole profiles:\n"
    assert (await home.blackhole("restart", "--profile", "dev")).code == 2


def test_a_plan_without_steps_speaks_of_no_failing_step() -> None:
    assert plan_text(OperationPlan(kind="reload-config", undo_on_failure=True)) == "reload-config\n  nothing to do\n"
