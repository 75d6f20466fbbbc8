"""Redis, nginx and PostgreSQL, by the configuration that ships as an example: used, killed, restarted, stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import open_folder
from tests.live import require
from tests.live.home import Home, home
from tests.ports import free_port
from tests.waiting import until

EXAMPLE = Path(__file__).parents[2] / "configs" / "redis-nginx-postgresql.yaml"
PSQL = "/usr/lib/postgresql/15/bin/psql"
INSTANCES = ("redis-1", "nginx-1", "postgresql-1")


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Free ones, so that several runs can go on beside each other."""
    return {name: free_port() for name in ("16379", "18188", "15432")}


@pytest.fixture(scope="module")
def installed(ports: dict[str, int]) -> Iterator[Home]:
    """All three by the example in a folder of their own; the tests of this module run in any order upon it."""
    require.root()
    for program in ("redis-server", "nginx", PSQL):
        require.program(program)
    with open_folder() as folder:
        text = EXAMPLE.read_text().replace("/srv/example", str(folder))
        text = re.sub("|".join(ports), lambda found: str(ports[found.group()]), text)
        with home(text) as made:
            yield made


@pytest.fixture
def running(installed: Home) -> Home:
    """All three well, whatever the test before has stopped or left to come back."""
    if not _all_well(installed):
        installed.cli("start", timeout=120)
        until(lambda: _all_well(installed), 60, "all three are healthy")
    return installed


def _all_well(made: Home) -> bool:
    found = made.status()
    return all(name in found and found[name]["health"] == "healthy" for name in INSTANCES)


def redis(port: int, *words: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        return connection.recv(4096).decode().strip()


def page(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        return int(answer.status)


def psql(made: Home, port: int, query: str) -> str:
    folder = re.search(r"--unix_socket_directories=(\S+)", made.paths.config.read_text())[1]  # type: ignore[index]
    done = subprocess.run(
        ["runuser", "-u", "postgres", "--", PSQL, "-h", folder, "-p", str(port), "-Atc", query, "postgres"],
        capture_output=True, text=True, timeout=30, check=True, cwd="/",
    )  # fmt: skip
    return done.stdout.strip()


def test_all_three_are_healthy_and_of_use(running: Home, ports: dict[str, int]) -> None:
    for instance in INSTANCES:
        assert running.status()[instance]["health"] == "healthy"
    assert redis(ports["16379"], "SET", "a", "1") == "+OK"
    assert page(ports["18188"]) == 200
    psql(running, ports["15432"], "CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("instance", INSTANCES)
def test_killed_it_comes_back_with_all_its_processes_new(running: Home, ports: dict[str, int], instance: str) -> None:
    pid = running.status()[instance]["pid"]
    os.kill(pid, signal.SIGKILL)
    found = until(
        lambda: (now := running.status()[instance])["pid"] not in (pid, None) and now["health"] == "healthy" and now, 90
    )
    assert found["restarts"] >= 1


def test_restarted_they_have_their_data(running: Home, ports: dict[str, int]) -> None:
    redis(ports["16379"], "SET", "kept", "yes")
    psql(running, ports["15432"], "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (42)")
    running.cli("restart", "redis", "nginx", "postgresql", timeout=150)
    assert redis(ports["16379"], "GET", "kept").endswith("yes")
    assert "42" in psql(running, ports["15432"], "SELECT n FROM kept")
    assert page(ports["18188"]) == 200


def test_a_port_in_use_names_the_process_that_holds_it(running: Home, ports: dict[str, int]) -> None:
    running.cli("stop", "redis")
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", ports["16379"]))
        thief.listen()
        refused = running.cli("start", "redis", code=1)
        assert f"port {ports['16379']} is in use by" in refused.stderr
        assert f"(pid {os.getpid()})" in refused.stderr
    running.cli("start", "redis")


def test_stopped_nothing_of_them_is_left(running: Home) -> None:
    running.cli("stop", timeout=150)
    assert {status["state"] for status in running.status().values()} == {"stopped"}
    assert {status["result"] for status in running.status().values()} <= {"success", "signal"}
    agents = {running.agent_pid(), running.keeper_pid()}
    until(lambda: set(running.processes()) <= agents, 20, "their processes are gone")
