"""Somebody sets the clock of a true host: an hour forward, then a day and that hour back, while everything runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bhtui.rpc.blackhole.v1 import metrics_pb2
from bhtui.rpc.client import AgentClient
from tests.live.machine import Machine
from tests.live.operators import Operator, slowly

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

COUNT = """
import itertools, os, time
for number in itertools.count(1):
    print("tick", os.getpid(), number, flush=True)
    time.sleep(0.2)
"""
UNIT = "[Service]\nExecStart=/usr/bin/python3 /tmp/count.py\n"
DELAY = 6.0
"""Seconds before each restart of what ends at once."""


def config(opens: datetime) -> str:
    """A window that is open for twenty minutes from a time of day on."""
    return f"""
services:
  tick: {{command: [python3, /tmp/count.py]}}
  well:
    command: [sleep, "100000"]
    healthcheck: {{test: [CMD, test, -e, /tmp/well], interval: 1s, retries: 2, timeout: 20s, ready_timeout: 100s}}
  flap:
    command: [sh, -c, "sleep 0.5; false"]
    restart: {{policy: always, delay: {DELAY:g}s, factor: 1, jitter: 0, start_limit: 0}}
  unit: {{kind: systemd, unit: clocked}}
maintenance:
  windows:
    - {{name: later, start: "{opens.minute} {opens.hour} * * *", duration: 20m, services: [tick], timezone: UTC}}
"""


@pytest.fixture(scope="module", autouse=True)
def everything(machine: Machine, root: Operator) -> Iterator[None]:
    machine.run(f"cat > /tmp/count.py <<'END'{COUNT}END\ntouch /tmp/well")
    machine.run(f"printf '%s' '{UNIT}' > /etc/systemd/system/clocked.service; systemctl daemon-reload")
    set_right(machine)
    root.write_config(config(datetime.now(UTC) + timedelta(minutes=50)))
    root.cli("agent", "start")
    root.cli("start")
    for name in ("tick-1", "well-1", "unit-1"):
        root.row(name, state="running")
    yield
    set_right(machine)
    root.cli("stop")
    root.write_config("services: {}")
    machine.run("rm /etc/systemd/system/clocked.service; systemctl daemon-reload", code=None)


def set_right(machine: Machine) -> None:
    machine.run(f"date -s @{time.time():.3f}")


def passed(machine: Machine) -> float:
    """Seconds since boot."""
    return float(machine.run("cut -d' ' -f1 /proc/uptime"))


def ticks(root: Operator, service: str) -> list[int]:
    """All that this run of it has counted, as far as it is in the log; the order of the files is not that in which they
    were written, as their names are their times."""
    text = root.run(f"cat /var/log/blackhole/{service}/{service}-1*.log")
    own = f" F tick {root.rows()[f'{service}-1']['pid']} "
    return sorted(int(line.rpartition(" ")[2]) for line in text.splitlines() if own in line)


@pytest.mark.parametrize(("step", "seconds"), [("+1 hour", 3600), ("-25 hours", -90_000)])
def test_what_runs_runs_on(machine: Machine, root: Operator, step: str, seconds: int):
    before, begun, counted = root.rows(), passed(machine), {name: len(ticks(root, name)) for name in ("tick", "unit")}
    seen = root.agent()["last_seq"]
    now = float(machine.run(f"date -s '{step}' +%s.%N"))
    told = slowly(lambda: [each for each in root.events("clock.set") if each["seq"] > seen], "the step is told")
    assert [abs(each["data"]["seconds"] - seconds) < 2 for each in told] == [True], told
    # Times of day mean other things at once.
    is_open = "window.opened" if seconds > 0 else "window.closed"
    slowly(lambda: [each for each in root.events(is_open) if each["seq"] > seen], is_open)
    # What waits for its restart waits as long as it would have, and no longer.
    slowly(lambda: root.rows()["flap-1"]["restarts"] >= before["flap-1"]["restarts"] + 2, "it is restarted as before")
    rows, took = root.rows(), passed(machine) - begun
    assert rows["flap-1"]["restarts"] - before["flap-1"]["restarts"] <= took / DELAY + 1
    assert rows["flap-1"]["state"] in ("backoff", "starting", "running")
    for name in ("tick-1", "well-1", "unit-1"):
        assert [rows[name][key] == before[name][key] for key in ("pid", "restarts", "state")] == [True] * 3, rows[name]
    for name in ("tick-1", "well-1", "unit-1"):
        age = rows[name]["uptime_seconds"] - before[name]["uptime_seconds"]
        assert 0 < age < took + 5, f"{name} is {age:.0f} s older after {took:.0f} s"
    # Lines are written with the new time, found by it, and none is missing or there twice.
    for name, count in counted.items():
        slowly(lambda name=name, count=count: len(ticks(root, name)) > count + 5, f"{name} is captured")
        lines = root.cli("logs", name, "--since", f"{now + 1:.3f}", "--until", f"{now + 3600:.3f}").splitlines()
        assert lines, f"lines of {name} since then"
        found = ticks(root, name)
        assert found == list(range(1, len(found) + 1)), name
    samples = slowly(lambda: asyncio.run(_samples(root, now)), "there are samples since then")
    assert samples == sorted(samples) and samples[-1] < (now + took + 60) * 1e9


async def _samples(root: Operator, since: float) -> list[int]:
    """Times at which the host was measured since then, if there are some."""
    request = metrics_pb2.SeriesRequest(names=["host"], metrics=["cpu_percent"], since_ns=int((since + 1) * 1e9))
    async with AgentClient(root.near.paths.agent_socket) as client:
        answer = await client.series(request)
    times = [time_ns for each in answer.series for time_ns in each.times_ns]
    return times if len(times) > 3 else []


def test_probes_count_after_it(machine: Machine, root: Operator):
    """They did not, in a run that seemed to begin only tomorrow."""
    machine.run("rm /tmp/well")
    root.row("well-1", health="unhealthy", state="running")
    machine.run("touch /tmp/well")
    root.row("well-1", health="healthy")
