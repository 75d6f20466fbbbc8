"""Containers of a real Docker and a real Podman as services: shown, asked, read and limited by the same commands."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.engines import Lab, lab
from tests.live.home import Home, home
from tests.waiting import until

POLITE = "trap 'exit 0' TERM; "
TICK = POLITE + "while true; do echo tick; sleep 0.2; done"
COUNT = (
    POLITE + "for i in $(seq {}); do echo $i; [ $((i % 50)) = 0 ] && sleep 0.02; done; while true; do sleep 0.1; done"
)


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with lab(request.param) as made:
        yield made


@pytest.fixture
def agent(engine: Lab) -> Iterator[Home]:
    """An agent that knows a container `web`, which does not exist yet."""
    config = f"services: {{web: {{kind: container, container: web, engine: {engine.socket}}}}}\n"
    with home(config) as made:
        made.cli("agent", "start")
        made.wait_state("web-1", "failed")
        try:
            yield made
        finally:
            engine.clear()


def _events(made: Home, kind: str) -> list[dict[str, Any]]:
    text = made.cli("events", "--kind", kind, "--output", "json").stdout
    return [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith("{")]


def _numbers(made: Home) -> list[int]:
    text = b"".join(path.read_bytes() for path in sorted((made.paths.logs / "web").glob("*.log")))
    return [int(found) for found in re.findall(rb" stdout F (\d+)\n", text)]


def test_its_life(engine: Lab, agent: Home) -> None:
    """From no container to a new one under the same name."""
    assert "has no container web" in agent.status()["web-1"]["last_error"]
    engine.container("web", TICK)
    first = agent.wait_state("web-1", "running")
    assert (first["health"], first["kind"], first["ref"]) == ("healthy", "container", "web")
    until(lambda: agent.status()["web-1"]["memory_bytes"], 20, "it is measured")
    assert agent.cli("stop", "web").returncode == 0
    assert agent.wait_state("web-1", "stopped")["goal"] == "down"
    agent.cli("start", "web")
    assert agent.wait_state("web-1", "running")["pid"] != first["pid"]
    agent.cli("restart", "web")
    agent.wait_state("web-1", "running")

    engine.run("kill", "-s", "KILL", "web")
    assert agent.wait_state("web-1", "stopped")["goal"] == "down"
    engine.run("start", "web")
    assert agent.wait_state("web-1", "running")["goal"] == "up"
    assert [event["data"]["what"] for event in _events(agent, "instance.outside")][-2:] == ["stopped", "started"]

    engine.run("rm", "-f", "web")
    agent.wait_state("web-1", "failed")
    engine.container("web", "sleep 0.3; exit 3", "--restart", "no")
    failed = until(lambda: "exit 3" in (now := agent.status()["web-1"])["last_error"] and now, 20, "it ended")
    assert failed["state"] == "failed"
    assert "does not restart it" in failed["last_error"]
    assert failed["result"] == "exit-code"


def test_every_line_is_logged_once_whatever_is_killed(engine: Lab, agent: Home) -> None:
    wanted = list(range(1, 6001))
    engine.container("web", COUNT.format(len(wanted)))
    for part in (1000, 3000):
        until(lambda: len(_numbers(agent)) > part, 30, f"{part} lines are there")  # noqa: B023 - used at once
        pid = agent.agent_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: agent.agent_pid() != pid and agent.status(), 20, "another agent")  # noqa: B023
    until(lambda: len(_numbers(agent)) >= len(wanted), 40, "all lines are there")
    assert _numbers(agent) == wanted
    engine.run("restart", "-t", "1", "web")
    until(lambda: len(_numbers(agent)) >= 2 * len(wanted), 40, "all lines of the next run are there")
    assert _numbers(agent) == 2 * wanted


def test_limits_hold_in_each_run_and_are_given_back(engine: Lab, agent: Home) -> None:
    engine.container("web", TICK, "--memory", "64m")
    agent.wait_state("web-1", "running")
    agent.cli("resources", "set-limit", "web", "--memory", "32M", "--pids", "40")
    assert _memory_limit(agent) == 32 << 20
    [seen] = json.loads(agent.cli("resources", "memory", "--output", "json").stdout)
    assert seen["limits"]["memory"]["held_by"] == engine.engine
    agent.cli("restart", "web")
    until(lambda: _memory_limit(agent) == 32 << 20, 20, "the next run is held to it")
    agent.cli("resources", "reset-limit", "web")
    assert _memory_limit(agent) == 64 << 20


def test_a_maintenance_window_holds_its_restarts(engine: Lab, agent: Home) -> None:
    """Docker's, also when the agent is killed in the middle; Podman before 5.1 cannot, and the status says so."""
    engine.container("web", TICK, "--restart", "always")
    agent.wait_state("web-1", "running")
    planned = agent.cli("maintenance", "windows", "open", "web", "--for", "1h", "--dry-run").stdout
    assert "the restart policy of web is no meanwhile" in planned
    agent.cli("maintenance", "windows", "open", "web", "--for", "1h")
    noted = until(lambda: agent.status()["web-1"]["restarts_note"], 20, "the status says how")
    if engine.engine == "podman":
        assert "cannot change the restart policy" in noted
        return
    assert noted.startswith('its engine does not restart it: maintenance window "')
    assert _policy(engine) == "no"
    before = agent.agent_pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: agent.agent_pid() != before and agent.status(), 20, "another agent")
    _crash(agent)
    agent.wait_state("web-1", "backoff")
    assert "maintenance window" in agent.status()["web-1"]["held"]
    assert engine.run("inspect", "-f", "{{.State.Running}}", "web") == "false"
    agent.cli("maintenance", "windows", "close")
    agent.wait_state("web-1", "running")
    assert _policy(engine) == "always" and agent.status()["web-1"]["restarts_note"] == ""


def _policy(engine: Lab) -> str:
    return engine.run("inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "web")


def _crash(made: Home) -> None:
    """Its process is ended past its engine."""
    pid = made.status()["web-1"]["pid"]
    assert pid
    os.kill(pid, signal.SIGKILL)


def test_an_engine_that_is_gone_is_told_and_comes_back(engine: Lab, agent: Home) -> None:
    """Podman's containers run on without its service; Docker's end with it and are started again by their policy."""
    engine.container("web", TICK, "--restart", "always")
    pid = agent.wait_state("web-1", "running")["pid"]
    engine.halt()
    gone = until(lambda: (now := agent.status()["web-1"])["health"] == "unknown" and now, 20, "it is noticed")
    assert f"cannot reach {engine.engine}" in until(lambda: agent.status()["web-1"]["health_detail"], 20, str(gone))
    engine.launch()
    again = until(lambda: (now := agent.status()["web-1"])["health"] == "healthy" and now, 40, "it is back")
    assert (again["pid"] == pid) is (engine.engine == "podman")


def _memory_limit(made: Home) -> int:
    """Of the kernel, in bytes."""
    pid = made.status()["web-1"]["pid"]
    if pid is None:
        return 0
    groups = dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().split())
    if "memory" in groups:
        return int(Path(f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes").read_text())
    return int(Path(f"/sys/fs/cgroup{groups['']}/memory.max").read_text().replace("max", "0"))


def test_a_rate_limit_drops_counts_and_tells(engine: Lab, agent: Home) -> None:
    limited = "logging: {rate_limit: {lines: 100, per: 500ms}}"
    agent.write_config(f"services: {{web: {{kind: container, container: web, engine: {engine.socket}, {limited}}}}}\n")
    assert "rate_limit.lines 0 -> 100" in agent.cli("restart", "--reload-config", "--dry-run").stdout
    agent.cli("restart", "--reload-config")
    engine.container("web", COUNT.format(3000))
    agent.wait_state("web-1", "running")
    until(lambda: (agent.status()["web-1"]["log_dropped"] or {}).get("lines"), 30, "status tells of it")

    def gaps() -> int:
        text = b"".join(path.read_bytes() for path in sorted((agent.paths.logs / "web").glob("*.log")))
        return sum(map(int, re.findall(rb"\[blackhole\] (\d+) lines \(\d+ bytes\) dropped here", text)))

    # All that was printed is in the log or told of there, also the last when nothing more comes.
    until(lambda: len(_numbers(agent)) + gaps() >= 3000, 30, "all is accounted for")
    assert len(_numbers(agent)) < 3000
    assert len(set(_numbers(agent))) == len(_numbers(agent))
    assert "over 100 lines in 0.5 s" in agent.cli("status").stdout
    assert "MISSING" in agent.cli("logs", "stats").stdout
    assert [each["target"] for each in _events(agent, "logs.limited")][:1] == ["web-1"]
