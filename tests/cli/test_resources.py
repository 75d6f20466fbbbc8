"""`blackhole resources`, run as a program against a fake agent."""

from __future__ import annotations

import json
import time

import pytest

from bhtui.cli.resourcetables import CPU
from bhtui.core.resources import DiskUse, InstanceResources, LimitState

from .conftest import Home
from .fake_agent import SECOND, FakeAgent

MEBI = 1 << 20
KEYS = (
    "host service instance pid memory_bytes cpu_percent threads fds fds_limit read_bytes_per_second "
    "write_bytes_per_second cpu_periods cpu_throttled cpu_throttled_seconds memory_hits oom_kills limits disks "
    "contract on_pressure"
)


@pytest.fixture
def used(agent: FakeAgent) -> FakeAgent:
    five_minutes_ago = time.time_ns() - 301 * SECOND
    agent.resources = [
        InstanceResources(
            "api",
            "api-1",
            pid=7,
            memory_bytes=60 * MEBI,
            cpu_percent=20.0,
            threads=4,
            fds=10,
            fds_limit=1024,
            memory_hits=3,
            oom_kills=0,
            cpu_periods=200,
            cpu_throttled=50,
            cpu_throttled_seconds=1.25,
            limits=(
                LimitState("memory", 128.0 * MEBI, "", "ada", five_minutes_ago, "cgroup v2"),
                LimitState("cpu", 0.5, held_by="cgroup v1"),
                LimitState("iops", 100.0, not_held="there is no cgroup controller for iops here"),
                LimitState("ionice", word="idle", held_by="scheduler"),
            ),
            disks=(DiskUse("/data", "8:0", 100 << 30, 50 << 30),),
            on_pressure=("clear-cache", "gc"),
        ),
        InstanceResources("storage", "storage-1"),
    ]
    return agent


async def test_memory_says_where_a_limit_comes_from_and_what_holds_it(home: Home, used: FakeAgent) -> None:
    ran = await home.blackhole("resources", "memory")
    assert ran.code == 0
    host, heads, api, storage = ran.out.splitlines()
    assert host.endswith("0 B of 8.0 G of memory in use")
    assert heads.split()[:4] == ["INSTANCE", "MEMORY", "LIMIT", "USED"]
    assert "60 M" in api
    assert "47%" in api
    assert "override by ada 5 min ago" in api
    assert "cgroup v2" in api
    assert "clear-cache, gc" in api
    assert storage.split()[:3] == ["storage-1", "-", "-"]


async def test_cpu_and_disk(home: Home, used: FakeAgent) -> None:
    cpu = (await home.blackhole("resources", "cpu", "--service", "api")).out
    assert "0.5 cores" in cpu
    assert "25%, 1.2 s" in cpu
    assert "storage" not in cpu
    disk = (await home.blackhole("resources", "disk")).out
    assert "    iops: there is no cgroup controller for iops here\n" in disk
    assert "50 G free of 100 G at /data" in disk
    assert "idle" in disk


async def test_json_is_stable(home: Home, used: FakeAgent) -> None:
    rows = json.loads((await home.blackhole("resources", "memory", "--output", "json")).out)
    assert list(rows[0]) == KEYS.split()
    memory = rows[0]["limits"]["memory"]
    assert list(memory) == ["value", "origin", "set_by", "set", "held_by", "not_held"]
    assert (memory["value"], memory["origin"], memory["set_by"]) == (128 * MEBI, "override", "ada")
    assert rows[0]["limits"]["cpu"]["origin"] == "spec"
    assert rows[0]["limits"]["ionice"]["value"] == "idle"


async def test_check_is_1_when_something_is_near_its_limit(home: Home, used: FakeAgent) -> None:
    ran = await home.blackhole("resources", "check")
    assert (ran.code, ran.out) == (0, "nothing is near its limit\n")
    used.resources = [
        InstanceResources(
            "api",
            "api-1",
            memory_bytes=120 * MEBI,
            oom_kills=2,
            fds=1000,
            fds_limit=1024,
            limits=(LimitState("memory", 128.0 * MEBI),),
            disks=(DiskUse("/data", "8:0", 100 << 30, 5 << 30),),
        )
    ]
    ran = await home.blackhole("resources", "check")
    assert ran.code == 1
    assert [line.split()[1] for line in ran.out.splitlines()[1:]] == ["memory", "oom", "fds", "disk"]
    rows = json.loads((await home.blackhole("resources", "check", "--output", "json")).out)
    assert list(rows[0]) == ["host", "instance", "resource", "says"]
    assert rows[0]["says"] == "120 M of 128 M are used (94%)"


async def test_changes_are_operations(home: Home, agent: FakeAgent) -> None:
    for words in (
        ["set-limit", "api", "--memory", "4G", "--cpu", "2.0", "--iops", "1000", "--bandwidth", "10M", "--pids", "50"],
        ["priority", "api", "--nice", "10", "--ionice", "idle"],
        ["reset-limit", "api"],
        ["clear-cache", "--service", "api"],
        ["gc", "--service", "api", "--force"],
    ):
        ran = await home.blackhole("resources", *words)
        assert (ran.code, ran.err.splitlines()[:1]) == (0, ["api depends on storage and stays up"]), ran
    limit, priority, _, _, gc = agent.begun
    assert limit.set_limits.service == "api"
    assert limit.set_limits.memory == 4 << 30
    assert limit.set_limits.cpu == 2.0
    assert (limit.set_limits.iops, limit.set_limits.bandwidth, limit.set_limits.pids) == (1000, 10 * MEBI, 50)
    assert (priority.set_priority.nice, priority.set_priority.ionice) == (10, "idle")
    assert gc.collect_garbage.force


async def test_what_is_not_said_stays_absent(home: Home, agent: FakeAgent) -> None:
    await home.blackhole("resources", "set-limit", "api", "--cpu", "1")
    assert not agent.begun[0].set_limits.HasField("memory")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["set-limit", "api", "--memory", "lots"], "'lots' is not a size"),
        (["priority", "api", "--nice", "99"], "99 is not in the range"),
        (["gc"], "Missing option '--service'"),
    ],
)
async def test_wrong_words_are_2(home: Home, agent: FakeAgent, words: list[str], text: str) -> None:
    ran = await home.blackhole("resources", *words)
    assert ran.code == 2
    assert text in ran.err
    assert agent.begun == []


def test_one_core_is_one() -> None:
    shown = [CPU["LIMIT"](InstanceResources("api", "api-1", limits=(LimitState("cpu", n),)))[0] for n in (1.0, 1.5)]
    assert shown == ["1 core", "1.5 cores"]
