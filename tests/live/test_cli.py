"""The command line with a real keeper, a real agent and real processes."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bhtui.core.errors import Refused
from bhtui.core.request import StartRequest
from bhtui.rpc import quick
from bhtui.rpc.client import AgentClient
from bhtui.rpc.convert.operations import request_to_message
from bhtui.rpc.local import START_TIMEOUT
from tests.live.home import Home, home
from tests.waiting import until

PAIR = """
    services:
      db:
        command: [sh, -c, 'echo db begins; exec sleep 1000']
      web:
        command: [sh, -c, 'echo debug=$BLACKHOLE_DEBUG; n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done']
        depends_on: [db]
        limits: {memory: 64M}
"""
FIELDS = (
    "host service instance state health pid uptime_seconds restarts "
    "cpu_percent memory_bytes memory_limit_bytes last_error"
)


def pids(here: Home) -> dict[str, int | None]:
    return {name: each["pid"] for name, each in here.status().items()}


def test_a_day_with_two_services() -> None:
    with home(PAIR) as here:
        plan = here.cli("start", "--dry-run").stdout
        assert plan.index("start db-1") < plan.index("start web-1")
        assert set(pids(here).values()) == {None}
        here.cli("start")
        rows = json.loads(here.cli("status", "--output", "json").stdout)
        assert [(each["instance"], each["state"]) for each in rows] == [("db-1", "running"), ("web-1", "running")]
        assert set(FIELDS.split()) <= set(rows[0])
        before = pids(here)
        here.cli("restart", "web")
        assert pids(here)["db-1"] == before["db-1"]
        assert pids(here)["web-1"] != before["web-1"]
        here.cli("stop", "web", "--reason", "maintenance")
        assert here.status()["web-1"]["state"] == "stopped"
        done = [json.loads(line) for line in here.cli("operations", "--output", "json").stdout.splitlines()]
        assert [(each["kind"], each["state"]) for each in done] == [
            ("stop", "done"),
            ("restart", "done"),
            ("start", "done"),
        ]
        assert done[0]["reason"] == "maintenance"
        shown = here.cli("operations", done[0]["id"][:8]).stdout
        assert "why: maintenance" in shown
        events = [json.loads(line) for line in here.cli("events", "--output", "json").stdout.splitlines()]
        assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
        last = events[-1]["seq"]
        assert here.cli("events", "--after", str(last), "--output", "json").stdout == ""


def test_both_roads_of_status_say_the_same() -> None:
    with home(PAIR) as here:
        here.cli("start")
        quick_rows = json.loads(here.cli("status", "--output", "json").stdout)
        slow_rows = json.loads(here.cli("status", "--output", "json", "--reason", "the long road").stdout)
        moving = ("uptime_seconds", "cpu_percent", "memory_bytes", "threads", "fds")
        for rows in (quick_rows, slow_rows):
            for row in rows:
                for name in moving:
                    del row[name]
        assert quick_rows == slow_rows


def test_a_service_that_dies_at_once_fails_the_start_with_its_last_words() -> None:
    config = """
        services:
          db: {command: [sleep, '1000']}
          web:
            command: [sh, -c, 'echo no such table >&2; exit 7']
            depends_on: [db]
            restart: "no"
    """
    with home(config) as here:
        done = here.cli("start", code=1)
        assert "no such table" in done.stderr
        assert "Traceback" not in done.stderr
        assert here.status()["db-1"]["state"] == "stopped"
        shown = here.cli("status", code=None)
        assert shown.returncode in (0, 1)


def test_logs_are_all_there_once_and_follow_goes_on() -> None:
    with home(PAIR) as here:
        here.cli("start", "--debug")
        until(lambda: len(here.cli("logs", "web", "--output", "json").stdout.splitlines()) > 20)
        lines = [json.loads(line) for line in here.cli("logs", "web", "--output", "json").stdout.splitlines()]
        assert lines[0]["message"] == "debug=1"
        numbers = [int(each["message"].split()[1]) for each in lines[1:]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert here.cli("logs", "db", "--grep", "begins").stdout.count("db begins") == 1
        program = [sys.executable, "-m", "bhtui.cli.main", "logs", "web", "-f", "--tail", "1", "--output", "json"]
        follower = subprocess.Popen(program, env=here.environ, stdout=subprocess.PIPE, text=True)
        try:
            assert follower.stdout is not None
            seen = [int(json.loads(follower.stdout.readline())["message"].split()[1]) for _ in range(20)]
        finally:
            follower.send_signal(signal.SIGINT)
            follower.communicate(timeout=60)
        assert seen == list(range(seen[0], seen[0] + 20))
        assert follower.returncode == 130


def test_an_emergency_stop_needs_no_agent() -> None:
    with home(PAIR) as here:
        here.cli("start")
        running = pids(here)
        agent = here.agent()["agent_pid"]
        os.kill(agent, signal.SIGSTOP)
        try:
            done = here.cli("stop", "--emergency")
        finally:
            os.kill(agent, signal.SIGCONT)
        assert "the keeper did it without" in done.stderr
        assert "killed" in done.stdout
        for pid in running.values():
            assert not Path(f"/proc/{pid}").exists()
        until(lambda: {each["state"] for each in here.status().values()} == {"stopped"}, what="the agent has heard")
        told = [line for line in here.cli("status").stdout.splitlines() if "held" in line]
        by = f"everything is held down: emergency stop by {getpass.getuser()}, "
        assert len(told) == 1 and re.fullmatch(by + r"\S+ \d\d:\d\d; `blackhole start` lifts that", told[0]), told
        here.cli("start")
        assert {each["state"] for each in here.status().values()} == {"running"}
        here.cli("stop", "--emergency")
        assert f"emergency stop by {getpass.getuser()}, " in here.cli("status").stdout
        here.cli("agent", "stop", "--keep-services")
        here.cli("agent", "start")
        assert f"emergency stop by {getpass.getuser()}, " in here.cli("status").stdout
        here.cli("start")
        assert "held" not in here.cli("status").stdout


def test_the_agent_alone_stops_and_comes_back_to_the_same_processes() -> None:
    with home(PAIR) as here:
        here.cli("start")
        before = pids(here)
        here.cli("agent", "stop", "--keep-services")
        for pid in before.values():
            assert Path(f"/proc/{pid}").exists()
        readers = [["status"], ["logs"], ["events"], ["operations"], ["health", "check", "--all"], ["config", "show"]]
        for words in [*readers, ["agent", "status"], ["start", "--dry-run"], ["stop"]]:
            done = here.cli(*words, code=4)
            assert re.fullmatch(
                r"the agent of this machine was stopped by \S+ \d+ s ago; start it with `blackhole agent start`\n",
                done.stderr,
            )
        assert not here.paths.agent_socket.exists()
        assert here.cli("agent", "start").stdout == "the agent was started\n"
        assert pids(here) == before
        assert not (here.paths.state / "stopped").exists()


def test_starting_verbs_start_a_stopped_agent() -> None:
    with home(PAIR) as here:
        here.cli("start")
        here.cli("agent", "stop")
        here.cli("status", code=4)
        here.cli("start", "db")
        here.wait_state("web-1", "running")  # what was up comes back with its agent
        operations = len(here.cli("operations", "--output", "json").stdout.splitlines())
        assert here.cli("start").stdout == "everything runs already\n"
        assert len(here.cli("operations", "--output", "json").stdout.splitlines()) == operations
        here.cli("agent", "stop")
        here.cli("restart", "db")


def test_an_agent_that_cannot_start_says_why_soon() -> None:
    with home(PAIR) as here:
        here.paths.state.parent.mkdir(exist_ok=True)
        here.paths.state.write_text("in the way")
        begun = time.monotonic()
        done = here.cli("start", code=4)
        log = here.paths.logs / "agent.log"
        assert done.stderr == (
            f"cannot start the agent, it ends at once: cannot use {here.paths.state}: File exists; "
            f"make it writable for this user; read more in {log}\n"
        )
        assert time.monotonic() - begun < START_TIMEOUT


def test_the_agents_own_log_is_as_configured_also_after_a_reload() -> None:
    with home(PAIR) as here:
        here.cli("start")
        text = here.paths.config.read_text()
        here.write_config(text + "logging: {format: json, level: debug}\n")
        here.cli("restart", "--reload-config")
        here.cli("restart", "db")
        own = here.cli("logs", "agent", "--output", "json").stdout.splitlines()
        lines = [json.loads(line)["message"] for line in own]
        assert any(line.startswith("INFO bhtui.agent.wiring.life: ") for line in lines)
        found = [json.loads(line) for line in lines if line.startswith("{")]
        assert found
        assert {"level", "logger", "message"} <= set(found[0])


def test_an_upgrade_in_place_touches_no_service() -> None:
    with home(PAIR) as here:
        here.cli("start")
        before, agent = pids(here), here.agent()
        here.cli("agent", "upgrade")
        until(
            lambda: (
                here.cli("agent", "status", code=None).returncode == 0
                and here.agent()["agent_pid"] != agent["agent_pid"]
            )
        )
        assert here.agent()["keeper_pid"] == agent["keeper_pid"]
        assert pids(here) == before


async def test_a_read_only_client_is_held_to_it_by_the_agent() -> None:
    with home(PAIR) as here:
        here.cli("agent", "start")
        async with AgentClient(here.paths.agent_socket, read_only=True) as client:
            assert len((await client.status()).instances) == 2
            with pytest.raises(Refused, match="read-only"):
                await client.begin(request_to_message(StartRequest(), "ab" * 16))


def test_agent_stop_leaves_nothing() -> None:
    with home(PAIR) as here:
        here.cli("start")
        here.cli("agent", "stop")
        until(lambda: not here.processes(), 10, "all processes ended")


def test_a_service_in_the_foreground_is_this_process() -> None:
    config = """
        services:
          job:
            command: [sh, -c, 'echo $BLACKHOLE_SERVICE $COLOUR $LOG_LEVEL; pwd; exit 7']
            environment: {COLOUR: green}
            working_dir: /usr
            umask: "0027"
            limits: {memory: 512M, nice: 3}
          wait:
            command: [sh, -c, 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.05; done']
    """
    with home(config) as here:
        done = here.cli("service", "--name", "job", "--debug", code=7)
        assert done.stdout.splitlines() == ["job green debug", "/usr"]
        assert done.stderr.startswith("job: not held in the foreground: memory (no cgroup is made in the foreground; ")
        assert "stopped by an rlimit at 1.2 G)" in done.stderr
        assert here.cli("service", "--name", "jib", code=3).stderr.startswith("cannot run jib: ")
        program = [sys.executable, "-m", "bhtui.cli.main", "service", "--name", "wait"]
        waiting = subprocess.Popen(program, env=here.environ, stdout=subprocess.PIPE, text=True)
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate(timeout=60)[0] == "caught\n"
        assert waiting.returncode == 9
        assert not here.paths.agent_socket.exists()
        here.cli("start", "wait")
        assert "already runs wait-1" in here.cli("service", "--name", "wait", code=5).stderr


def test_nothing_changes_on_a_refused_configuration() -> None:
    with home(PAIR) as here:
        here.cli("start")
        before = pids(here)
        here.write_config("services: {db: {comand: [sleep]}}")
        last = "nothing was changed: what was in force stays so; correct that, and give the command again"
        for words in (["start"], ["start", "db"], ["restart", "--reload-config"]):
            told = here.cli(*words, code=2).stderr.splitlines()
            assert "comand" in told[1] and told[2:] == [last]
        assert "comand" in here.cli("config", "validate", code=2).stderr
        assert pids(here) == before


def test_the_demonstration_comes_up_healthy_and_leaves_nothing() -> None:
    with home() as here:
        said = here.cli("demo", "up", "--ssh").stdout.splitlines()
        assert said[-1] == f"end with: BLACKHOLE_HOME={here.path} blackhole demo down"
        rows = quick.status(str(here.paths.agent_socket))
        assert {each["service"] for each in rows} == {"identity", "storage", "ledger", "node", "indexer"}
        assert {each["health"] for each in rows} == {"healthy"}
        before = pids(here)
        here.cli("demo", "up", "--ssh")
        assert pids(here) == before
        over_ssh = json.loads(here.cli("status", "--host", "demo", "--output", "json").stdout)
        assert {each["pid"] for each in over_ssh} == set(before.values())
        loaded = here.cli("demo", "load", "--rate", "20", "--duration", "1")
        assert "0 failed" in loaded.stdout
        here.cli("demo", "down")
        until(lambda: not here.processes(), 10, "all processes ended")
