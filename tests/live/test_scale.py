"""Another number of instances with a real agent: killed in the middle, refused, and seen by others."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.home import Home, home
from tests.ports import free_ports
from tests.waiting import until

CONFIG = """
services:
  api:
    command: [python3, -m, http.server, "{{port}}", --bind, 127.0.0.1, --directory, {folder}]
    ports: [{port}]
    healthcheck: {{test: "test -e {folder}/ready-{{replica}}", interval: 100ms, ready_timeout: 60s}}
    endpoints: {{drain: 1s, on_change: [sh, -c, "cat > {folder}/new && mv {folder}/new {folder}/told"]}}
  web:
    command: [sh, -c, "echo told of $$API_ENDPOINTS in $$API_ENDPOINTS_FILE; exec sleep 1000"]
    depends_on: {{api: {{condition: service_healthy}}}}
"""


@pytest.fixture
def here() -> Iterator[tuple[Home, int]]:
    port = free_ports(4)
    with home() as made:
        made.write_config(CONFIG.format(port=port, folder=made.path))
        (made.path / "ready-1").touch()
        made.cli("start")
        yield made, port


def in_background(made: Home, *arguments: str) -> threading.Thread:
    thread = threading.Thread(target=made.cli, args=arguments, daemon=True)
    thread.start()
    return thread


def last(made: Home) -> dict[str, Any]:
    """The newest operation."""
    lines = made.cli("operations", "--output", "json").stdout.splitlines()
    found: dict[str, Any] = json.loads(lines[0])
    return found


def up(made: Home) -> set[str]:
    return {name for name, each in made.status("api").items() if each["state"] == "running"}


def ready(made: Home) -> list[str]:
    """What `on_change` was told last."""
    told = made.path / "told"
    return list(json.loads(told.read_text())["ready"]) if told.exists() else []


def test_an_agent_killed_in_the_middle_goes_on(here: tuple[Home, int]) -> None:
    made, port = here
    pid = made.status()["api-1"]["pid"]
    more = in_background(made, "scale", "api", "--replicas", "3", "--reason", "busy")
    until(lambda: "api-3" in made.status(), what="api-3 is being started")
    os.kill(made.agent_pid(), signal.SIGKILL)
    for number in (2, 3):
        (made.path / f"ready-{number}").touch()
    more.join(60)
    until(lambda: up(made) == {"api-1", "api-2", "api-3"}, what="all three run")
    until(lambda: last(made)["state"] == "done", what="the operation is done")
    assert made.status()["api-1"]["pid"] == pid
    assert {each["scaling"]["replicas"] for each in made.status("api").values()} == {3}
    until(lambda: len(ready(made)) == 3, what="others know")

    fewer = in_background(made, "scale", "api", "--replicas", "1")
    until(lambda: ready(made) == [f"127.0.0.1:{port}"], what="others know")
    os.kill(made.agent_pid(), signal.SIGKILL)
    fewer.join(60)
    until(lambda: set(made.status("api")) == {"api-1"}, what="one is left")
    until(lambda: last(made)["state"] == "done", what="the operation is done")
    assert made.status()["api-1"]["pid"] == pid
    made.cli("scale", "api", "--reset")
    assert made.status()["api-1"]["scaling"] is None


def test_what_is_refused_changes_nothing(here: tuple[Home, int]) -> None:
    made, _ = here
    before = {name: each["pid"] for name, each in made.status().items()}
    assert "0<=x<=1000" in made.cli("scale", "api", "--replicas", "1001", code=2).stderr
    assert "did you mean api?" in made.cli("scale", "apy", "--replicas", "2", code=3).stderr
    assert "an instance of api" in made.cli("scale", "api-1", "--replicas", "2", code=3).stderr
    assert "cannot find nobody" in made.cli("scale", "api", "web", "nobody", "--replicas", "2", code=3).stderr
    made.cli("scale", "api", code=2)
    assert {name: each["pid"] for name, each in made.status().items()} == before


def test_a_dependent_is_told_where_it_is_needed(here: tuple[Home, int]) -> None:
    made, port = here
    file = made.paths.state / "endpoints" / "api"
    assert f"told of 127.0.0.1:{port} in {file}.json" in made.cli("logs", "web").stdout
    until(lambda: file.with_suffix(".env").read_text() == f"API_ENDPOINTS=127.0.0.1:{port}\n")
    assert made.status()["api-1"]["endpoint"] == f"127.0.0.1:{port}"
    assert f"127.0.0.1:{port}" in made.cli("status", "--detailed").stdout
