"""The whole agent: both roads to it, its rights, the order in which it ends, what the next one brings back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from bhtui.agent.servicers.access import ACCESS, ROLE_METADATA, Role
from bhtui.rpc import quick
from bhtui.rpc.client import AgentClient
from bhtui.rpc.convert.status import message_to_json
from tests.live.home import Home, home
from tests.waiting import until

MOVING = ("uptime_seconds", "cpu_percent", "memory_bytes", "threads", "fds")


def events(here: Home, *kinds: str) -> list[dict[str, Any]]:
    """What was observed, oldest first."""
    found = [json.loads(line) for line in here.cli("events", "--output", "json").stdout.splitlines()]
    return [each for each in found if not kinds or each["kind"] in kinds]


def states(here: Home) -> dict[str, str]:
    return {name: each["state"] for name, each in here.status().items()}


async def test_both_roads_give_the_same_objects() -> None:
    config = """
        services:
          web: {command: [sleep, '1000'], limits: {memory: 64M}, ports: [19123]}
          bad: {command: ['false'], restart: 'no'}
    """
    with home(config) as here:
        here.cli("start", "web")
        here.cli("start", "bad", code=1)
        fast = quick.status(str(here.paths.agent_socket))
        async with AgentClient(here.paths.agent_socket) as client:
            snapshot = await client.status()
        slow = [message_to_json(each, snapshot.host.hostname) for each in snapshot.instances]
        for row in (*fast, *slow):
            for name in MOVING:
                del row[name]
        assert fast == slow
        with pytest.raises(quick.QuickError, match="did you mean web"):
            quick.status(str(here.paths.agent_socket), ["wep"])


async def test_the_agent_itself_holds_a_reader_to_reading() -> None:
    with home("services: {web: {command: [sleep, '1000']}}") as here:
        here.cli("agent", "start")
        channel = grpc.aio.insecure_channel(f"unix:{here.paths.agent_socket}")
        try:
            for method, role in ACCESS.items():
                if role > Role.READ:
                    call: Any = channel.unary_unary(method)
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await call(b"", metadata=((ROLE_METADATA, "read"),), timeout=60)
                    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
                    assert "this connection is read-only" in (refused.value.details() or "")
        finally:
            await channel.close()
        assert states(here) == {"web-1": "stopped"}


def test_what_was_up_comes_back_with_the_agent_and_nothing_else(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    config = f"""
        services:
          once: {{command: [sh, -c, 'echo x >> {ran}'], restart: 'no'}}
          db: {{command: [sleep, '1000'], depends_on: {{once: {{condition: service_completed_successfully}}}}}}
          web: {{command: [sleep, '1000'], depends_on: [db]}}
          left: {{command: [sleep, '1000']}}
    """
    with home(config) as here:
        here.cli("start")
        here.cli("stop", "left")
        here.cli("agent", "stop")
        until(lambda: not here.processes(), 10, "everything has ended")
        here.cli("agent", "start")
        expected = {"once-1": "stopped", "db-1": "running", "web-1": "running", "left-1": "stopped"}
        until(lambda: states(here) == expected, 20, "what was up is up")
        assert ran.read_text() == "x\n", "what had completed was not run again"
        assert here.status()["once-1"]["result"] == "success"
        until(lambda: here.cli("start", "--dry-run", "web").stdout.count("nothing to do"))
        ended = [e for e in events(here, "instance.state") if e["data"]["to"] in ("stopping", "stopped")]
        order = [(e["target"], e["data"]["to"]) for e in ended]
        assert order.index(("web-1", "stopped")) < order.index(("db-1", "stopping")), "dependents end first"
        here.cli("agent", "stop", "--keep-services")
        before = {name: each["pid"] for name, each in here.status().items()}
        here.cli("agent", "start")
        assert states(here) == expected
        assert before == {}


def test_what_was_stopped_stays_stopped_after_the_agent_was_restarted() -> None:
    config = "services: {web: {command: [sleep, '1000'], restart: always}, db: {command: [sleep, '1000']}}"
    with home(config) as here:
        here.cli("start")
        here.cli("stop", "web")
        for keep in (["--keep-services"], []):
            here.cli("agent", "stop", *keep)
            here.cli("agent", "start")
            until(lambda: states(here) == {"web-1": "stopped", "db-1": "running"}, 20)


def test_an_agent_that_ends_with_its_services_ends_a_start_that_is_under_way() -> None:
    """Or the next agent would go on with an operation that somebody had just ended. What was up comes back."""
    config = """
        services:
          slow: {command: [sleep, '1000'], healthcheck: {log: never}}
          later: {command: [sleep, '1000'], depends_on: {slow: {condition: service_healthy}}}
    """
    with home(config) as here:
        here.cli("agent", "start")
        program = [sys.executable, "-m", "bhtui.cli.main", "start"]
        starting = subprocess.Popen(program, env=here.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            here.wait_state("slow-1", "starting")
            here.cli("agent", "stop")
        finally:
            starting.communicate(timeout=60)
        here.cli("agent", "start")
        (stop, start) = [json.loads(line) for line in here.cli("operations", "--output", "json").stdout.splitlines()]
        assert (stop["kind"], start["state"]) == ("stop", "cancelled")
        assert states(here) == {"slow-1": "starting", "later-1": "stopped"}


def test_a_first_start_that_fails_speaks_of_no_configuration_before_and_keeps_its_reason() -> None:
    with home("") as here:
        file = here.path / "first.yaml"
        file.write_text("services: {bad: {command: [sh, -c, 'echo boom; exit 3']}}\n")
        told = here.cli("start", "--config", str(file), code=1).stderr
        assert "there was no configuration before, so this one stays in force" in told
        assert "in force again" not in told
        shown = here.cli("status").stdout.splitlines()
        assert [line.strip().partition(" after")[0] for line in shown[2:4]] == ["exit 3", "boom"]
