"""Remote write into a real Prometheus that is away in the middle, from an agent that is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.live.home import Home, home
from tests.live.promserver import prometheus
from tests.waiting import until


def status(here: Home) -> dict[str, Any]:
    """Of remote write."""
    found: list[dict[str, Any]] = json.loads(here.cli("metrics", "remote-write", "-o", "json", code=None).stdout)
    return found[0] if found else {}


def test_nothing_is_lost_over_a_restart_of_prometheus_and_a_killed_agent(tmp_path: Path) -> None:
    with prometheus(tmp_path / "prom") as server:
        text = f"""
        metrics: {{remote_write: {{url: "{server.url}/api/v1/write", interval: 1s, labels: {{site: lab}}}}}}
        services: {{idle: {{command: [sleep, "1000"]}}}}
        """
        with home(text) as here:
            here.cli("start")
            until(lambda: server.query('process_resource_usage{instance="idle-1",site="lab"}'), 60, "samples arrive")
            server.stop()
            until(lambda: status(here)["behind_samples"] > 0 and status(here)["state"] == "failing", 60, "it waits")
            waiting = sorted((here.paths.state / "remote-write" / "prometheus").iterdir())
            os.kill(here.agent_pid(), signal.SIGKILL)
            until(lambda: status(here).get("behind_samples", 0) > 0, 60, "it waits still")
            server.start()
            until(lambda: status(here)["state"] == "ok" and not status(here)["behind_samples"], 90, "all was sent")
            assert status(here)["dropped"] == status(here)["rejected"] == 0
            # Each of those that waited is there, at its own time.
            for path in waiting[:5]:
                at = int(path.name.split("-")[0]) / 1000
                found = server.query(f'up{{instance="idle-1"}}[2s] @ {at + 0.5:.3f}')
                assert at in [time for time, _ in found[0]["values"]], path.name
            assert here.cli("metrics", "idle", "--since", "1m").stdout.count("\n  cpu_percent") == 1
