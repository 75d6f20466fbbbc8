"""Scaling by load with a real keeper, a real agent and processes that burn as much CPU as a file says."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.home import Home, home
from tests.waiting import until

BURN = """
import sys, time
if sys.argv[2] in sys.argv[3:]:
    sys.exit(f"instance {sys.argv[2]} does not start")
while True:
    with open(sys.argv[1]) as file:
        part = float(file.read() or 0)
    end = time.monotonic() + 0.05
    while time.monotonic() < end - 0.05 * (1 - part):
        pass
    time.sleep(max(0.0, end - time.monotonic()))
"""
CONFIG = """
    services:
      api:
        command: [python3, {burn}, {load}, "{{replica}}"{more}]
        limits: {{cpu: 0.1}}
        restart: on-failure:1
        scale: {{auto: false, max: 3, cpu: 60, window: 2s, cooldown_up: 2s, cooldown_down: 3s, warm_up: 500ms}}
      db:
        command: [sleep, "1000"]
        ports: [15432]
      job:
        command: [sleep, "1000"]
        restart: no
"""


def config(folder: Path, more: str = "") -> str:
    (folder / "burn.py").write_text(BURN)
    burn(folder, 0)
    return CONFIG.format(burn=folder / "burn.py", load=folder / "load", more=more)


def burn(folder: Path, part: float) -> None:
    """Whole at every moment: it is read all the time."""
    (folder / "new").write_text(str(part))
    (folder / "new").rename(folder / "load")


def instances(here: Home) -> list[str]:
    return sorted(n for n, each in here.status().items() if each["service"] == "api" and each["state"] == "running")


def events(here: Home, kind: str) -> list[dict[str, Any]]:
    lines = here.cli("events", "--output", "json").stdout.splitlines()
    return [each for each in map(json.loads, lines) if each["kind"] == kind]


def test_the_number_follows_the_load_and_the_agent_may_be_killed(tmp_path: Path) -> None:
    with home(config(tmp_path)) as here:
        here.cli("start")
        plan = here.cli("scale", "--auto", "--dry-run").stdout
        assert "1. let api have 1 to 3 instances: more above cpu 60 % of its limit" in plan
        assert "left out, db: nothing tells db-2 that its port is 15433" in plan
        assert "left out, job: it runs once (restart: no)" in plan
        here.cli("scale", "api", "--auto")
        assert here.status()["api-1"]["auto_scale"].startswith("auto 1..3")

        burn(tmp_path, 1)
        until(lambda: len(instances(here)) == 3, 60, "three instances")
        until(lambda: "3 is the maximum" in here.status()["api-1"]["auto_scale"], 30, "it says why there are no more")
        assert "api: auto 1..3: held: cpu " in here.cli("status").stdout
        killed = here.agent_pid()
        os.kill(killed, signal.SIGKILL)
        until(lambda: here.status().get("api-1") and here.agent_pid() != killed, what="another agent answers")
        assert len(instances(here)) == 3
        assert here.status()["api-1"]["auto_scale"].startswith("auto 1..3")

        burn(tmp_path, 0)
        until(lambda: instances(here) == ["api-1"], 90, "one instance")
        decided = [(each["data"]["from"], each["data"]["to"]) for each in events(here, "scaling.decided")]
        assert decided == [(1, 2), (2, 3), (3, 2), (2, 1)]
        done = [json.loads(line) for line in here.cli("operations", "--output", "json").stdout.splitlines()]
        scaled = [each for each in done if each["kind"] == "scale"]
        assert {each["actor"]["name"] for each in scaled} == {"agent"}
        assert [each["reason"].rpartition(": ")[2] for each in scaled] == ["2 -> 1", "3 -> 2", "2 -> 3", "1 -> 2"]
        assert all("% of the limit over 2 s, above 60 %" in each["reason"] for each in scaled[2:])
        assert all("below 48 %" in each["reason"] for each in scaled[:2])

        plan = here.cli("scale", "api", "--replicas", "2", "--dry-run").stdout
        assert "let api follow its load no more (1..3)" in plan
        here.cli("scale", "api", "--replicas", "2")
        assert here.status()["api-1"]["auto_scale"] == ""
        assert here.cli("scale", "api", "--no-auto").returncode == 0


def test_an_instance_that_does_not_start_is_taken_back_and_told(tmp_path: Path) -> None:
    with home(config(tmp_path, ', "2"')) as here:
        here.cli("start", "api")
        here.cli("scale", "api", "--auto", "--max", "2")
        burn(tmp_path, 1)
        held = until(lambda: events(here, "scaling.held"), 60, "it is told")[0]
        assert held["target"] == "api"
        assert held["message"].startswith("api: 1 -> 2 has failed: ")
        assert held["data"]["notice"] == "failed"
        until(lambda: set(here.status()) >= {"api-1"} and "api-2" not in here.status(), what="what was begun is undone")
        assert instances(here) == ["api-1"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody", "--auto"), 3, "cannot find nobody"),
        (("db", "--auto"), 5, "cannot scale db by its load: nothing tells db-2"),
        (("api", "--auto", "--min", "4"), 2, "the minimum 4 is above the maximum 3"),
        (("api", "--cpu-threshold", "nan"), 2, "the cpu threshold nan is not between 1 and 10000 per cent"),
        (("api", "--cpu-threshold", "0", "--mem-threshold", "90"), 5, "it has no memory limit"),
    ],
)
def test_what_is_refused_changes_nothing(here: Home, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in here.cli("scale", *words, code=code).stderr
    assert here.status()["api-1"]["auto_scale"] == ""


def test_a_maintenance_window_holds_it(here: Home) -> None:
    here.cli("maintenance", "windows", "open", "api", "--for", "10m")
    here.cli("scale", "api", "--auto")
    until(lambda: "held: maintenance window" in here.status()["api-1"]["auto_scale"], what="it says that it is held")
    here.cli("maintenance", "windows", "close")
    until(lambda: "held" not in here.status()["api-1"]["auto_scale"], what="it goes on")
    here.cli("scale", "api", "--no-auto")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with home(config(tmp_path_factory.mktemp("auto"))) as made:
        made.cli("start", "api")
        yield made
