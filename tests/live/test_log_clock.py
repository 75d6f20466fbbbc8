"""`logs --since 5m` counts by the clock of the host: whoever asks may have a clock that is an hour wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.home import Home, home
from tests.waiting import until

CONFIG = """
services:
  api: {command: [sh, -c, "echo here; exec sleep 1000"]}
"""
WRONG = """
import datetime, time

HOURS = {hours}
own, own_ns = time.time, time.time_ns
time.time = lambda: own() + HOURS * 3600
time.time_ns = lambda: own_ns() + HOURS * 3600 * 10**9


class Wrong(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


datetime.datetime = Wrong
"""


def asked(here: Home, folder: Path, hours: int, *words: str) -> str:
    """What `blackhole` says to somebody whose clock is so many hours ahead."""
    (folder / "sitecustomize.py").write_text(WRONG.format(hours=hours))
    environ = {**here.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    argv = [sys.executable, "-m", "bhtui.cli.main", *words]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("hours", [1, -1, 0])
def test_an_age_is_that_of_the_host(hours: int, tmp_path: Path) -> None:
    with home(CONFIG) as here:
        here.cli("start")
        until(lambda: "here" in here.cli("logs").stdout, what="the line")
        assert "here" in asked(here, tmp_path, hours, "logs", "--since", "5m")
        assert "here" not in asked(here, tmp_path, hours, "logs", "--until", "5m")
        assert "here" in asked(here, tmp_path, hours, "logs", "--since", "5m", "--until", "0s")
        assert "here" in asked(here, tmp_path, hours, "logs", "--until", "now")
        assert "api" in asked(here, tmp_path, hours, "logs", "stats", "--since", "5m")
        # A moment is that of whoever writes it, and means the same everywhere.
        assert "here" in asked(here, tmp_path, hours, "logs", "--since", "2020-01-01T00:00:00Z")
