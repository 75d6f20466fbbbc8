"""The overview with a real keeper, a real agent and real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.live.engines import lab
from tests.live.home import Home, home
from tests.waiting import until


def overview(here: Home) -> dict[str, Any]:
    [said] = json.loads(here.cli("overview", "--output", "json").stdout)
    found: dict[str, Any] = said
    return found


def test_a_host_without_configuration_is_useful_at_once() -> None:
    with home() as here:
        assert "`blackhole overview`" in here.cli("status").stdout
        said = overview(here)
        assert said["services"] == 0
        assert said["machine"]["memory_total_bytes"] > 0
        assert said["processes"]
        for line in here.cli("overview").stdout.splitlines()[:6]:
            assert len(line) <= 80


def test_what_a_service_listens_on_is_said_to_be_its_own() -> None:
    config = """
        services:
          web:
            command: [python3, -m, http.server, "18473", --bind, 127.0.0.1]
            healthcheck: {tcp: 18473}
    """
    with home(config) as here:
        here.cli("start")
        [mine] = until(lambda: [each for each in overview(here)["listeners"] if each["port"] == 18473])
        assert (mine["instance"], mine["pid"]) == ("web-1", here.status()["web-1"]["pid"])


@contextmanager
def web(port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that nobody declared, with what makes one: a port, a folder, an environment, a secret."""
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(words, cwd="/usr", env=environment, stderr=subprocess.DEVNULL) as process:
        until(lambda: answers(port), what=f"port {port} answers")
        try:
            yield process
        finally:
            process.kill()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_a_process_becomes_a_service_and_is_switched_over() -> None:
    mine = "# ops\nservices:\n  idle: {command: [sleep, '1000']}  # mine\n# end\n"
    with home(mine) as here, web(18474, COLOUR="red", API_TOKEN="hunter2") as process:
        here.cli("start")
        idle = here.status()["idle-1"]["pid"]
        before = here.paths.config.read_text()
        printed = here.cli("adopt", str(process.pid), "--name", "web", "--print").stdout
        planned = here.cli("adopt", str(process.pid), "--name", "web", "--dry-run").stdout
        assert all(line in planned for line in printed.splitlines())
        assert here.paths.config.read_text() == before

        said = here.cli("adopt", str(process.pid), "--name", "web").stderr
        assert f"kill {process.pid}, then blackhole start web" in said
        lines = here.paths.config.read_text().splitlines()
        assert [line for line in lines if line in before.splitlines()] == before.splitlines()
        assert "    environment: {COLOUR: red}" in lines
        assert here.status()["web-1"]["state"] == "stopped"
        assert (here.status()["idle-1"]["pid"], process.poll()) == (idle, None)
        assert "already that of services.web" in here.cli("adopt", str(process.pid), "--name", "two", code=2).stderr
        assert "nothing to do" in here.cli("restart", "--reload-config", "--dry-run").stdout

        assert "port 18474 is in use" in here.cli("start", "web", code=1).stderr
        process.kill()
        process.wait()
        here.cli("start", "web")
        status = here.wait_state("web-1", "running")
        assert "it is of web-1" in here.cli("adopt", str(status["pid"]), code=5).stderr
        assert "COLOUR=red" in Path(f"/proc/{status['pid']}/environ").read_text().split("\0")
        assert os.readlink(f"/proc/{status['pid']}/cwd") == "/usr"
        kept = [path for path in here.path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
        assert kept == []


def test_an_adoption_is_finished_by_the_next_agent() -> None:
    with home() as here, web(18475) as process:
        here.cli("agent", "start")
        killed = here.agent_pid()
        words = [sys.executable, "-m", "bhtui.cli.main", "adopt", str(process.pid), "--name", "web"]
        with subprocess.Popen(words, env=here.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
            until(lambda: here.paths.config.exists() or command.poll() is not None)
            os.kill(killed, signal.SIGKILL)
            assert command.wait(60) == 0
        until(lambda: "web-1" in here.status(), what="web is declared")
        assert "web:" in here.paths.config.read_text()


def test_what_cannot_be_adopted_is_refused_and_changes_nothing() -> None:
    with home() as here:
        here.cli("agent", "start")
        for target, code, text in (
            ("1", 5, "the host's init"),
            (str(here.agent()["agent_pid"]), 5, "of this agent itself"),
            ("999999999", 3, "no such process"),
            ("nothing-of-the-kind", 3, "no unit nothing-of-the-kind.service"),
            ("pid:x", 2, "not the number of a process"),
        ):
            assert text in here.cli("adopt", target, code=code).stderr
        assert "leave out --config" in here.cli("adopt", "1", "--config", "x.yaml", code=2).stderr
        assert "read-only" in here.cli("adopt", str(os.getpid()), "--read-only", code=5).stderr
        assert not here.paths.config.exists()


def test_a_container_is_adopted_as_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with lab("podman") as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
        engine.container("shop", "trap 'exit 0' TERM; while true; do sleep 0.1; done")
        with home() as here:
            here.cli("agent", "start")
            [seen] = [each for each in overview(here)["containers"] if each["name"] == "shop"]
            assert (seen["state"], seen["service"]) == ("running", "")
            inside = engine.run("inspect", "-f", "{{.State.Pid}}", "shop")
            assert "adopt that: blackhole adopt container:shop" in here.cli("adopt", inside, code=5).stderr
            here.cli("adopt", "shop")
            assert "container: shop" in here.paths.config.read_text()
            assert here.wait_state("shop-1", "running")["pid"] == int(inside)
            [seen] = [each for each in overview(here)["containers"] if each["name"] == "shop"]
            assert seen["service"] == "shop"
            assert "it is the service shop already" in here.cli("adopt", "container:shop", code=5).stderr
            here.cli("stop", "shop")
            assert engine.run("inspect", "-f", "{{.State.Status}}", "shop") == "exited"


def test_a_child_that_left_its_parents_is_still_of_its_service() -> None:
    config = """
        services:
          web:
            command: [sh, -c, "setsid sh -c 'python3 -m http.server 18476 --bind 127.0.0.1 & ' & exec sleep 1000"]
    """
    with home(config) as here, home() as other:
        here.cli("start")
        [found] = until(lambda: [each for each in overview(here)["listeners"] if each["port"] == 18476])
        assert found["instance"] == "web-1"
        assert "it is of web-1" in here.cli("adopt", str(found["pid"]), code=5).stderr
        other.cli("agent", "start")
        if "cgroup" in str(here.agent()["limits"]):
            assert "it is web-1 of another agent" in other.cli("adopt", str(found["pid"]), code=5).stderr
