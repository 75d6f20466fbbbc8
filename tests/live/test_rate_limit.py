"""A rate limit of logs with a real agent: what is dropped is told everywhere, and survives whatever dies."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from typing import Any
from urllib.request import urlopen

from tests.live import numbered
from tests.live.home import Home, home
from tests.ports import free_port
from tests.waiting import until

MARKER = re.compile(r"\[blackhole\] (\d+) lines \(\d+ bytes\) dropped here: over the rate limit( of .*)?")
PORT = free_port()
CONFIG = """
    metrics: {{listen: 127.0.0.1:{port}}}
    services:
      num: {{command: [{python}, {numbered}, '2000'], logging: {{rate_limit: {limit}}}}}
      quiet: {{command: [{python}, {numbered}, '50']}}
"""


def write(made: Home, limit: str) -> None:
    made.write_config(CONFIG.format(python=sys.executable, numbered=numbered.PROGRAM, limit=limit, port=PORT))


def dropped(made: Home, instance: str = "num-1") -> int:
    """As `status` says."""
    found = made.status().get(instance, {}).get("log_dropped")
    return found["lines"] if found else 0


def events(made: Home) -> list[dict[str, Any]]:
    said = made.cli("events", "--kind", "logs.limited", "--output", "json").stdout
    return [json.loads(line) for line in said.splitlines()]


def accounted(made: Home, instance: str = "num-1") -> int:
    """Every line is in the files in its order, or counted by a marker at its place; how many were dropped."""
    at, gone = 1, 0
    for path in numbered.files(made.paths.logs / "num", instance):
        for line in path.read_text(errors="replace").splitlines():
            text = line.split(" ", 3)[3]
            if told := MARKER.fullmatch(text):
                at, gone = at + int(told[1]), gone + int(told[1])
            elif text.startswith("n "):
                assert int(text.split()[1]) == at
                at += 1
    return gone


def test_what_is_over_the_limit_is_counted_and_told_everywhere() -> None:
    with home() as here:
        write(here, "{lines: 100, per: 500ms}")
        here.cli("start")
        until(lambda: dropped(here), 30, "drops in status")
        pid, quiet = here.status()["num-1"]["pid"], here.status()["quiet-1"]
        assert quiet["log_dropped"] is None
        found = here.status()["num-1"]["log_dropped"]
        assert found["limit"] == "100 lines in 0.5 s"
        assert found["bytes"] > found["lines"]
        assert "over 100 lines in 0.5 s, last" in here.cli("status").stdout
        said = events(here)
        assert [(each["target"], each["data"]["over"]) for each in said] == [("num-1", False)]
        assert "num-1 writes more than its rate limit of 100 lines in 0.5 s" in said[0]["message"]
        stats = json.loads(here.cli("logs", "stats", "--output", "json").stdout)
        missing = {name: sum(each["missing"] for each in stats if each["service"] == name) for name in ("num", "quiet")}
        assert missing["num"] > 0
        assert missing["quiet"] == 0
        assert "MISSING" in here.cli("logs", "stats").stdout
        page = urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=60).read().decode()
        assert 'blackhole_log_dropped_lines_total{service="num",instance="num-1",reason="rate_limit"}' in page
        # Lifted without a restart.
        write(here, "{lines: 0}")
        plan = here.cli("restart", "--reload-config", "--dry-run").stdout
        assert "rate_limit.lines 100 -> 0" in plan
        here.cli("restart", "--reload-config")
        count = len(numbered.numbers(here.paths.logs / "num", "num-1"))
        until(lambda: len(numbered.numbers(here.paths.logs / "num", "num-1")) > count + 3000, 30, "all lines are kept")
        assert here.status()["num-1"]["pid"] == pid
        until(lambda: dropped(here) == accounted(here), 30, "status counts what the log says")


def test_the_limit_and_the_count_outlive_agent_and_keeper() -> None:
    with home() as here:
        write(here, "{lines: 100, per: 500ms}")
        here.cli("start")
        until(lambda: dropped(here), 30, "drops")
        pid, agent = here.status()["num-1"]["pid"], here.agent_pid()
        os.kill(agent, signal.SIGKILL)
        before = accounted(here)
        until(lambda: here.agent_pid() != agent and dropped(here) > before, 30, "the count goes on")
        keeper = here.keeper_pid()
        os.kill(keeper, signal.SIGKILL)
        until(lambda: here.keeper_pid() != keeper and here.status().get("num-1", {}).get("pid") == pid, 30, "another")
        told = len(numbered.markers(here.paths.logs / "num", "num-1"))
        until(lambda: len(numbered.markers(here.paths.logs / "num", "num-1")) > told + 3, 30, "the limit holds")
        replaced = [text for text in numbered.markers(here.paths.logs / "num", "num-1") if "replaced" in text]
        if replaced == ["[blackhole] the keeper was replaced here: nothing is missing"]:
            assert accounted(here)
        # Changed as it runs under the new keeper.
        write(here, "{lines: 10, per: 500ms}")
        here.cli("restart", "--reload-config")
        until(lambda: numbered.markers(here.paths.logs / "num", "num-1")[-1].endswith("10 lines in 0.5 s"), 30)
        assert here.status()["num-1"]["pid"] == pid
