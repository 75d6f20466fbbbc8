"""An agent whose database was lost or is damaged goes on with what runs; it stops nothing that nobody asked to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.home import Home, home
from tests.waiting import until

CONFIG = """
    services:
      web: {command: [sleep, '1000'], replicas: 2}
      gone: {command: [sleep, '1000']}
"""
WITHOUT_GONE = "services: {web: {command: [sleep, '1000'], replicas: 2}}"


def _remove(database: Path) -> None:
    for file in database.parent.glob("agent.db*"):
        file.unlink()


def _damage(database: Path) -> None:
    for file in (database, database.with_name(database.name + "-wal")):  # one would be mended from the other
        with file.open("r+b") as opened:
            opened.write(os.urandom(4096))


def _pids(here: Home) -> dict[str, int]:
    return {name: each["pid"] for name, each in here.status().items()}


@pytest.mark.parametrize("lose", [_remove, _damage])
def test_what_runs_runs_on_when_the_database_is_lost(lose: Callable[[Path], None]) -> None:
    with home(CONFIG) as here:
        here.cli("start")
        before, agent = _pids(here), here.agent_pid()
        assert all(before.values())
        here.write_config(WITHOUT_GONE)  # the file is all that is left of the configuration
        lose(here.paths.database)
        os.kill(agent, signal.SIGKILL)
        until(lambda: here.status() and here.agent_pid() != agent, 30, "another agent answers")
        until(lambda: _pids(here) == before, 10, f"the same processes run: {here.status()}")
        seen = here.status()
        assert {each["state"] for each in seen.values()} == {"running"}
        assert {each["goal"] for each in seen.values()} == {"up"}
        told = here.cli("events").stdout
        assert "asked to stop" not in told
        assert ("the database was damaged; it is kept as" in told) == (lose is _damage)
        os.kill(before["web-1"], signal.SIGKILL)
        until(lambda: (_pids(here)["web-1"] or before["web-1"]) != before["web-1"], 20, "web-1 is kept up")
        here.cli("stop", "gone")
        until(lambda: set(here.status()) == {"web-1", "web-2"}, 10, "what is not declared is forgotten once it ended")
