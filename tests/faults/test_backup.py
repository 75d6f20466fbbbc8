"""Restores that go wrong: a service is never left on half a data set, whatever dies and whenever."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import secret_file
from tests.live.home import Home, home
from tests.waiting import until

FILES = 40
KILLS = int(os.environ.get("BHTUI_RESTORE_KILLS", "3"))
"""Of the agent in the middle of a restore."""
PROGRAM = """
import pathlib, sys, time
found = {each.read_text() for each in pathlib.Path(sys.argv[1]).iterdir()}
if len(found) != 1 or "bad" in found: sys.exit(f"the data is {sorted(found)}")
print("ready", flush=True)
time.sleep(1000)
"""
CONFIG = """
services:
  db:
    command: [PYTHON, PROGRAM, DATA]
    healthcheck: {log: ready, interval: 1s}
    restart: "no"
    data: [DATA]
  api:
    command: [sleep, "1000"]
    depends_on: [db]
backup: {storage: {type: local, path: REPO}, password_file: PASSWORD}
"""


class Rig:
    """A service whose data is of one generation, or it does not start."""

    def __init__(self, made: Home, folder: Path) -> None:
        self.home, self.data = made, folder / "data"

    def write(self, generation: str) -> None:
        self.data.mkdir(exist_ok=True)
        for number in range(FILES):
            (self.data / f"{number}").write_text(generation)

    def generations(self) -> set[str]:
        found = [each for each in self.data.iterdir() if not each.name.startswith(".")]
        assert len(found) == FILES
        return {each.read_text() for each in found}

    def backup(self) -> str:
        self.home.cli("backup", "create")
        found = json.loads(self.home.cli("backup", "list", "--output", "json").stdout)
        return str(found[0]["id"])

    def operations(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.home.cli("operations", "--output", "json").stdout.splitlines()]

    def settled(self) -> None:
        """Every operation has ended, and both services run."""
        ended = ("done", "failed", "cancelled")
        until(lambda: self.home.status() and all(each["state"] in ended for each in self.operations()), 60, "ended")
        for instance in ("db-1", "api-1"):
            self.home.wait_state(instance, "running", 60)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    program, password = tmp_path / "program.py", secret_file(tmp_path / "password")
    program.write_text(PROGRAM)
    words = {"PYTHON": sys.executable, "PROGRAM": program, "DATA": tmp_path / "data", "REPO": tmp_path / "repo"}
    text = CONFIG
    for word, value in {**words, "PASSWORD": password}.items():
        text = text.replace(word, str(value))
    with home(text) as made:
        found = Rig(made, tmp_path)
        found.write("one")
        made.cli("start")
        yield found


def test_a_service_that_does_not_start_with_it_gets_its_data_back(rig: Rig) -> None:
    rig.write("bad")
    rig.backup()
    rig.write("two")
    failed = rig.home.cli("backup", "restore", "--service", "db", "--latest", code=1)
    assert "the data is ['bad']" in failed.stderr
    assert "the data from before was put back: db" in failed.stderr
    assert rig.generations() == {"two"}
    assert [each.name for each in rig.data.parent.iterdir() if each.name.startswith(".")] == []
    rig.settled()


def test_killed_at_any_moment_it_ends_on_one_whole_data_set(rig: Rig) -> None:
    snapshot = rig.backup()
    chance = random.Random(6)
    for turn in range(KILLS):
        rig.write("two")
        environ = rig.home.environ
        words = [sys.executable, "-m", "bhtui.cli.main", "backup", "restore", snapshot[:8]]
        known = {each["id"] for each in rig.operations()}
        with subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as restore:
            until(lambda known=known: {each["id"] for each in rig.operations()} - known, 60, "it has begun")  # type: ignore[misc]
            time.sleep(chance.random() * 2.0)
            agent = rig.home.agent_pid()
            os.kill(agent, signal.SIGKILL)
            until(lambda agent=agent: rig.home.status() and rig.home.agent_pid() != agent, 30, "the agent is back")  # type: ignore[misc]
            restore.wait(90)
        rig.settled()
        assert rig.generations() in ({"one"}, {"two"}), f"turn {turn}"
        assert [each.name for each in rig.data.parent.iterdir() if each.name.startswith(".")] == [], f"turn {turn}"
    listed = json.loads(rig.home.cli("backup", "list", "--output", "json").stdout)
    assert [each["id"] for each in listed] == [snapshot]
    rig.home.cli("backup", "verify", "--read-data")
