"""Limits, priorities, caches and memory pressure with a real keeper, a real agent, real processes and cgroups."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.rooms.limits.detect import detect
from bhtui.agent.rooms.limits.device import device_of
from tests.live.home import Home, home
from tests.waiting import until

MEBI = 1 << 20
WEB = """
    services:
      web:
        command: [python3, -c, "import subprocess, time; subprocess.Popen(['sleep', '1000']); time.sleep(1000)"]
        limits: {memory: 64M, pids: 40}
"""
HOG = """
    import sys, time
    held = []
    for _ in range(65):
        held.append(b"x" * (1 << 20))
    print("full", flush=True)
    time.sleep(1000)
"""


def group(here: Home, controller: str, instance: str) -> Path:
    """The folder of an instance's group in version 1."""
    found = detect(here.paths.run).v1
    if controller not in found:
        pytest.skip(f"no {controller} controller of cgroup v1 here")
    return found[controller] / instance


def resources(here: Home, *words: str) -> dict[str, dict[str, Any]]:
    rows = json.loads(here.cli("resources", *words, "--output", "json").stdout)
    return {row["instance"]: row for row in rows}


def test_limits_hold_at_once_and_outlive_agent_and_service() -> None:
    with home(WEB) as here:
        here.cli("start")
        folder = group(here, "memory", "web-1")
        most = folder / "memory.limit_in_bytes"
        assert int(most.read_text()) == 64 * MEBI
        pid = here.status()["web-1"]["pid"]
        plan = here.cli("resources", "set-limit", "web", "--memory", "128M", "--dry-run").stdout
        assert "1. hold web: memory 128 M" in plan
        assert int(most.read_text()) == 64 * MEBI

        here.cli("resources", "set-limit", "web", "--memory", "128M", "--cpu", "0.5", "--pids", "30")
        assert int(most.read_text()) == 128 * MEBI
        assert group(here, "cpu", "web-1").joinpath("cpu.cfs_quota_us").read_text() == "50000\n"
        assert group(here, "pids", "web-1").joinpath("pids.max").read_text() == "30\n"
        row = here.status()["web-1"]
        assert (row["pid"], row["memory_limit_bytes"]) == (pid, 128 * MEBI)
        assert row["limits_override_by"]
        assert f"override by {row['limits_override_by']}" in here.cli("status", "--detailed").stdout
        limit = resources(here, "memory")["web-1"]["limits"]["memory"]
        assert (limit["value"], limit["origin"], limit["held_by"]) == (128 * MEBI, "override", "cgroup v1")

        here.cli("restart", "web")
        assert int(most.read_text()) == 128 * MEBI
        killed = here.agent_pid()
        os.kill(killed, signal.SIGKILL)
        until(lambda: here.status().get("web-1") and here.agent_pid() != killed, what="another agent answers")
        assert here.status()["web-1"]["memory_limit_bytes"] == 128 * MEBI
        here.cli("agent", "stop")
        here.cli("start")
        assert int(most.read_text()) == 128 * MEBI

        here.cli("resources", "reset-limit", "web")
        assert int(most.read_text()) == 64 * MEBI
        assert group(here, "pids", "web-1").joinpath("pids.max").read_text() == "40\n"
        assert group(here, "cpu", "web-1").joinpath("cpu.cfs_quota_us").read_text() == "-1\n"
        assert here.status()["web-1"]["limits_override_by"] == ""


def test_priorities_reach_the_whole_tree_and_the_next_start() -> None:
    if os.geteuid():
        pytest.skip("only root may raise a priority again")
    with home(WEB) as here:
        here.cli("start")
        members = group(here, "pids", "web-1") / "cgroup.procs"

        def nices() -> set[int]:
            pids = [int(pid) for pid in members.read_text().split()]
            return {os.getpriority(os.PRIO_PROCESS, pid) for pid in pids} if len(pids) == 2 else set()

        own = until(nices, what="two processes")
        here.cli("resources", "priority", "web", "--nice", "10", "--ionice", "idle")
        assert nices() == {10}
        here.cli("restart", "web")
        assert until(nices, what="two processes again") == {10}
        here.cli("resources", "reset-limit", "web")
        assert nices() == own


def test_limits_on_disks_are_those_of_the_disk_of_the_data(tmp_path: Path) -> None:
    device = device_of(str(tmp_path))
    if not device:
        pytest.skip("the temporary folder is on no disk")
    text = WEB + f"        data: [{tmp_path}]\n"
    with home(text) as here:
        here.cli("start")
        folder = group(here, "blkio", "web-1")
        here.cli("resources", "set-limit", "web", "--iops", "1000", "--bandwidth", "10M")
        assert (folder / "blkio.throttle.read_iops_device").read_text().split() == [device, "1000"]
        assert (folder / "blkio.throttle.write_bps_device").read_text().split() == [device, str(10 * MEBI)]
        row = resources(here, "disk")["web-1"]
        assert row["disks"][0]["device"] == device
        assert "cgroup v1 counts for nobody" in row["limits"]["iops"]["not_held"]
        here.cli("resources", "reset-limit", "web")
        assert (folder / "blkio.throttle.read_iops_device").read_text() == ""


def test_bandwidth_is_held(tmp_path: Path) -> None:
    """Direct writes of 6 MiB at 2 MiB/s take three seconds, however fast the disk is."""
    if not device_of(str(tmp_path)):
        pytest.skip("the temporary folder is on no disk")
    text = f"""
        services:
          writer:
            command: [dd, if=/dev/zero, of={tmp_path}/file, bs=256k, count=24, oflag=direct]
            restart: "no"
            data: [{tmp_path}]
            limits: {{bandwidth: 2M}}
    """
    with home(text) as here:
        group(here, "blkio", "writer-1")
        here.cli("start")
        row = until(lambda: (it := here.status()["writer-1"])["state"] == "stopped" and it, 60, "it has written")
        assert row["result"] == "success"
        events = [json.loads(line) for line in here.cli("events", "--output", "json").stdout.splitlines()]
        at = {
            each["data"]["to"]: each["time"] for each in events if each["target"] == "writer-1" and "to" in each["data"]
        }
        seconds = float(at["stopped"][17:-1]) - float(at["starting"][17:-1])
        assert seconds % 60 >= 2.5


def test_less_than_is_used_is_refused_and_nothing_is_changed() -> None:
    with home(WEB) as here:
        here.cli("start")
        group(here, "memory", "web-1")
        until(lambda: here.status()["web-1"]["memory_bytes"], what="a sample")
        refused = here.cli("resources", "set-limit", "web", "--memory", "1M", code=5)
        assert "cannot limit web to 1.0 M: web-1 uses" in refused.stderr
        assert here.status()["web-1"]["memory_limit_bytes"] == 64 * MEBI


def test_pressure_is_told_and_acted_upon(tmp_path: Path) -> None:
    program = tmp_path / "hog.py"
    program.write_text("\n".join(line[4:] for line in HOG.splitlines()))
    text = f"""
        services:
          hog:
            command: [python3, -S, -E, {program}]
            limits: {{memory: 72M, on_pressure: [restart]}}
    """
    with home(text) as here:
        here.cli("start")
        group(here, "memory", "hog-1")
        pid = here.status()["hog-1"]["pid"]

        def restarted() -> dict[str, Any] | None:
            row = here.status()["hog-1"]
            return row if row["pid"] not in (None, pid) else None

        until(restarted, 40, f"it was restarted: {here.status()['hog-1']}")
        done = [json.loads(line) for line in here.cli("operations", "--output", "json").stdout.splitlines()]
        assert done[0]["kind"] == "restart"
        assert done[0]["actor"]["name"] == "agent"
        assert done[0]["reason"].startswith("memory pressure: hog-1 uses")
        until(lambda: here.cli("resources", "check", code=None).returncode == 1, 20, "it is near its limit again")
        events = [json.loads(line) for line in here.cli("events", "--output", "json").stdout.splitlines()]
        assert sum(each["kind"] == "limits.pressure" for each in events) == 1
        refused = here.cli("resources", "gc", "--service", "hog", code=5)
        assert "cannot collect the garbage of hog: it has no contract" in refused.stderr
