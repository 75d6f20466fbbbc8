"""The end of whole trees, with cgroups of either version and without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bhtui.keeper import client
from tests.keeper.support import IDLE, Running, is_alive, python, running_keeper, skip
from tests.waiting import until

DAEMON = """
import os, time
os.write(1, b"%d\\n" % os.getpid())
for generation in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(1, b"%d\\n" % os.getpid())
        time.sleep(1000)
time.sleep(1000)
"""
V2 = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")


def v2_root() -> Path | None:
    return next((Path(root) for root in V2 if Path(root, "cgroup.controllers").exists()), None)


def make_group(kind: str) -> Path:
    root = v2_root() if kind == "v2" else Path("/sys/fs/cgroup", kind)
    if root is None or not os.access(root, os.W_OK):
        skip(f"no writable cgroup {kind} here")
    group = root / f"bhtest-{os.getpid()}"
    group.mkdir()
    return group


@pytest.fixture(params=["none", "v2", "freezer", "pids"])
def groups(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    if request.param == "none":
        yield []
        return
    group = make_group(request.param)
    yield [str(group)]
    for folder in (*group.glob("*/"), group):
        with suppress(FileNotFoundError):
            until(lambda folder=folder: not (folder / "cgroup.procs").read_text(), what="the cgroup to be empty")
            folder.rmdir()


def pids_of(keeper: Running, key: str, count: int) -> list[int]:
    until(lambda: len(keeper.texts(key)) >= count, what=f"{count} processes")
    return [int(text) for text in keeper.texts(key)]


def test_daemons_are_gone_after_kill(keeper: Running, groups: list[str]) -> None:
    keeper.spawn("a-1#1", python(DAEMON), cgroups=groups)
    keeper.spawn("b-1#1", IDLE)
    pids = pids_of(keeper, "a-1#1", 3)
    assert set(pids) <= set(keeper.ask("tree", key="a-1#1")["pids"])
    done = keeper.ask("kill", key="a-1#1")
    assert (done["killed"], done["remaining"]) == (3, [])
    assert not any(is_alive(pid) for pid in pids)
    assert keeper.ended("a-1#1")["signal"] == 9
    other = keeper.entry("b-1#1")
    assert other and other["state"] == "running"


def test_a_tree_outlives_its_root_and_is_killed_all_the_same(keeper: Running, groups: list[str]) -> None:
    keeper.spawn("a-1#1", python(DAEMON.removesuffix("time.sleep(1000)\n")), cgroups=groups)
    pids = pids_of(keeper, "a-1#1", 3)
    keeper.ended("a-1#1")
    assert len(keeper.ask("tree", key="a-1#1")["pids"]) == 2
    assert keeper.ask("kill", key="a-1#1")["killed"] == 2
    assert not any(is_alive(pid) for pid in pids)


def test_a_forced_shutdown_leaves_no_daemon(keeper: Running) -> None:
    keeper.spawn("a-1#1", python(DAEMON.removesuffix("time.sleep(1000)\n")))
    pids = pids_of(keeper, "a-1#1", 3)
    keeper.ended("a-1#1")
    assert client.shutdown(keeper.run, force=True)["killed"] == 2
    assert not any(is_alive(pid) for pid in pids)


def test_fork_bombs_end(keeper: Running, groups: list[str]) -> None:
    """Processes that go on forking while they are killed."""
    script = "while :; do (sleep 0.01; echo x) & sleep 0.002; done"
    keeper.sh("a-1#1", script, cgroups=groups)
    until(lambda: len(keeper.texts("a-1#1")) > 20, what="the forking to begin")
    assert keeper.ask("kill", key="a-1#1")["remaining"] == []
    assert keeper.ask("tree", key="a-1#1")["pids"] == []


def test_a_shared_cgroup_kills_nobody_else(keeper: Running) -> None:
    """A cgroup in which the keeper itself sits says nothing about an instance."""
    group = make_group("freezer")
    try:
        (group / "cgroup.procs").write_text(str(keeper.pid))
        keeper.spawn("a-1#1", IDLE, cgroups=[str(group)])
        assert keeper.ask("kill", key="a-1#1")["killed"] == 1
        assert keeper.ask("hello")["pid"] == keeper.pid
    finally:
        Path("/sys/fs/cgroup/freezer/cgroup.procs").write_text(str(keeper.pid))
        for pid in (group / "cgroup.procs").read_text().split():
            Path("/sys/fs/cgroup/freezer/cgroup.procs").write_text(pid)
        group.rmdir()


def test_the_same_key_elsewhere_is_another_tree(keeper: Running) -> None:
    with running_keeper() as other:
        keeper.spawn("a-1#1", IDLE)
        theirs = other.spawn("a-1#1", IDLE)
        assert keeper.ask("kill", key="a-1#1")["killed"] == 1
        assert is_alive(theirs["pid"], theirs["start"])


def test_emergency_ends_everything_and_holds(keeper: Running) -> None:
    for number in range(200):
        keeper.spawn(f"m-{number}#1", ["sleep", "1000"], log={"path": str(keeper.logs / "m" / f"{number}.log")})
    keeper.spawn("a-1#1", python(DAEMON))
    pids = pids_of(keeper, "a-1#1", 3)
    answer = client.emergency(keeper.run)
    assert (answer["killed"], answer["remaining"]) == (203, [])
    assert not any(is_alive(pid) for pid in pids)
    assert not [one for one in keeper.list() if one["state"] == "running"]
    assert keeper.ask("stats")["agent"]["pid"], "the agent goes on"
    with pytest.raises(client.KeeperError, match="held since an emergency stop") as caught:
        keeper.spawn("b-1#1", IDLE)
    assert caught.value.stage == "held"
    keeper.ask("resume")
    keeper.spawn("b-1#1", IDLE)
