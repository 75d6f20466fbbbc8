"""Limits that hold, on this machine's own cgroups."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bhtui.agent.rooms.limits.detect import Hierarchies
from bhtui.agent.rooms.limits.model import CGROUP1, CGROUP2, RLIMITS
from bhtui.agent.rooms.limits.room import Limits
from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.spec import LimitsSpec
from tests.waiting import eventually, until

MEBI = 1 << 20


@pytest.fixture
def limits(tmp_path):
    room = Limits(tmp_path)
    yield room
    for folder in room.hierarchies.folders:
        for group in list(folder.iterdir()):
            if group.is_dir():
                end(room, group.name)
    room.close()
    assert not any(folder.exists() for folder in room.hierarchies.folders)


@pytest.fixture
def held(limits):
    """The same, where this machine lets limits be held."""
    controllers = set(limits.hierarchies.v1) | limits.hierarchies.v2_controllers
    if not {"memory", "cpu", "pids"} <= controllers:
        pytest.skip(f"cgroups: {limits.hierarchies.reason or sorted(controllers)}")
    return limits


def end(limits, instance):
    """Kills a tree until nothing of it is left."""

    def is_empty():
        for pid in limits.members(instance):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not limits.members(instance)

    until(is_empty, what=f"{instance} is empty")


def start(prepared, code, **kwargs):
    """Runs Python code in the groups, as the keeper does it: joined before the program runs."""

    def join():
        for folder in prepared.cgroups:
            Path(folder, "cgroup.procs").write_text("0")

    argv = [sys.executable, "-S", "-E", "-c", textwrap.dedent(code)]
    return subprocess.Popen(argv, preexec_fn=join, stdout=subprocess.PIPE, text=True, **kwargs)


def test_a_memory_hog_is_killed_inside_its_limit(held):
    prepared = held.prepare("hog-1", LimitsSpec(memory=48 * MEBI))
    assert prepared.held_by in (CGROUP1, CGROUP2)
    assert not prepared.not_held
    hog = start(
        prepared,
        """
        held = []
        for mebi in range(1, 400):
            held.append(b"x" * (1 << 20))
            print(mebi, flush=True)
        """,
    )
    reached = [int(line) for line in hog.stdout]
    assert hog.wait(60) == -signal.SIGKILL
    assert 20 < reached[-1] <= 48
    assert held.oom_kills("hog-1") == 1
    assert held.oom_kills("none-1") == 0


def test_a_fork_bomb_is_held(held):
    prepared = held.prepare("bomb-1", LimitsSpec(pids=12))
    bomb = start(
        prepared,
        """
        import os, time
        for number in range(40):
            try:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
            except BlockingIOError:
                print(number, flush=True)
                break
        time.sleep(60)
        """,
    )
    assert int(bomb.stdout.readline()) == 11
    assert len(held.members("bomb-1")) == 12
    end(held, "bomb-1")
    bomb.wait(60)


def test_a_busy_loop_is_held_to_its_share(held):
    prepared = held.prepare("busy-1", LimitsSpec(cpu=0.05))  # little enough to be reached on a machine that is full
    busy = start(
        prepared,
        """
        import time
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pass
        print(time.process_time(), flush=True)
        """,
    )
    used = float(busy.stdout.readline())
    busy.wait(60)
    assert used < 0.05 * 1.5 + 0.15
    stat = next(
        Path(folder, "cpu.stat") for folder in prepared.cgroups if "nr_throttled" in read(Path(folder, "cpu.stat"))
    )
    assert int(read(stat).split("nr_throttled ")[1].split()[0]) > 0


def test_nice_counts_between_services_too(held):
    """Each is in a group of its own, and within one nice only orders its own threads."""
    cpu = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{cpu}])\nwhile True: pass"
    kind = start(held.prepare("kind-1", LimitsSpec(nice=15)), code)
    first = start(held.prepare("first-1", LimitsSpec(nice=0)), code)

    def used(process):
        return sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().split()[13:15]))

    until(lambda: used(first) >= 100, 60, "a second of the processor is used")
    assert used(kind) * 3 < used(first)
    for process, name in ((kind, "kind-1"), (first, "first-1")):
        end(held, name)
        process.wait(60)


def read(path):
    return path.read_text() if path.exists() else ""


def test_limits_of_a_running_instance_can_be_raised_lowered_and_taken_away(held):
    for memory in (64, 128, 32, None, 64):
        limits = LimitsSpec(memory=memory and memory * MEBI, cpu=memory and 0.5, pids=memory)
        assert not held.prepare("api-1", limits).not_held
        values = {file.name: file.read_text().strip() for name in held.groups("api-1") for file in Path(name).glob("*")
                  if file.name in ("memory.limit_in_bytes", "memory.max", "pids.max")}  # fmt: skip
        sizes = [text for name, text in values.items() if name.startswith("memory")]
        assert sizes == ([str(memory * MEBI)] if memory else sizes)
        assert values["pids.max"] == (str(memory) if memory else "max")
        assert memory or int(sizes[0].replace("max", str(1 << 60))) > 1 << 50


def test_an_instance_without_limits_has_groups_that_know_its_whole_tree(limits):
    prepared = limits.prepare("free-1", LimitsSpec())
    assert (prepared.held_by, prepared.rlimits, prepared.not_held) == ("", {}, {})
    if not prepared.cgroups:
        pytest.skip(limits.hierarchies.reason)
    # A grandchild that has left its session, its group and its parent.
    parent = start(
        prepared,
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print(os.getpid(), flush=True)
                time.sleep(60)
            os._exit(0)
        os.wait()
        """,
    )
    grandchild = int(parent.stdout.readline())
    parent.wait(60)
    assert limits.members("free-1") == (grandchild,)
    assert limits.groups("free-1") == prepared.cgroups


async def test_groups_go_when_their_last_process_has_gone(limits):
    prepared = limits.prepare("gone-1", LimitsSpec())
    if not prepared.cgroups:
        pytest.skip(limits.hierarchies.reason)
    process = start(prepared, "import time; time.sleep(60)")
    until(lambda: limits.members("gone-1"))
    limits.remove("gone-1")
    assert any(Path(group, "cgroup.procs").exists() for group in prepared.cgroups)
    process.kill()
    await eventually(lambda: not limits.groups("gone-1"))
    process.wait(60)


async def test_a_late_removal_does_not_take_groups_that_are_used_again(limits):
    prepared = limits.prepare("back-1", LimitsSpec())
    if not prepared.cgroups:
        pytest.skip(limits.hierarchies.reason)
    process = start(prepared, "import time; time.sleep(60)")
    until(lambda: limits.members("back-1"))
    limits.remove("back-1")
    process.kill()
    process.wait(60)
    prepared = limits.prepare("back-1", LimitsSpec())
    assert not limits._removing  # nothing that is still to come
    assert limits.groups("back-1") == prepared.cgroups


def test_the_groups_of_dead_instances_are_swept(limits):
    for name in ("old-1", "old-2", "live-1"):
        prepared = limits.prepare(name, LimitsSpec())
    if not prepared.cgroups:
        pytest.skip(limits.hierarchies.reason)
    nested = Path(limits.groups("old-1")[0], "made-by-the-service")
    nested.mkdir()
    process = start(limits.prepare("old-2", LimitsSpec()), "import time; time.sleep(60)")
    until(lambda: limits.members("old-2"))
    assert limits.sweep(["live-1"]) == ("old-2",)
    assert not limits.groups("old-1")
    assert limits.groups("live-1") == prepared.cgroups
    process.kill()
    process.wait(60)


def test_closing_leaves_only_what_runs(tmp_path):
    limits = Limits(tmp_path)
    if not limits.prepare("ended-1", LimitsSpec()).cgroups:
        pytest.skip(limits.hierarchies.reason)
    process = start(limits.prepare("kept-1", LimitsSpec()), "import time; time.sleep(60)")
    until(lambda: limits.members("kept-1"))
    limits.close()
    assert limits.groups("kept-1") and not limits.groups("ended-1")
    process.kill()
    process.wait(60)
    limits.close()
    assert not any(folder.exists() for folder in limits.hierarchies.folders)
    limits.close()


def test_without_cgroups_it_is_said_what_is_not_held(tmp_path):
    bare = Limits(tmp_path, Hierarchies(reason="no cgroup file system is mounted here"))
    prepared = bare.prepare("api-1", LimitsSpec(memory=64 * MEBI, cpu=1.0, iops=100))
    assert prepared.cgroups == ()
    assert prepared.held_by == RLIMITS
    assert prepared.rlimits == {"data": (384 * MEBI, 384 * MEBI)}
    assert prepared.not_held["cpu"] == "no cgroup file system is mounted here"
    assert prepared.not_held["memory"].endswith("each process alone is stopped by an rlimit at 384 M")
    assert "iops" in prepared.not_held
    assert bare.prepare("api-1", LimitsSpec(pids=5)).held_by == ""
    assert (bare.members("api-1"), bare.oom_kills("api-1"), bare.sweep(())) == ((), 0, ())


def test_a_refusing_kernel_is_quoted(tmp_path):
    (tmp_path / "memory/x-1").mkdir(parents=True)
    (tmp_path / "memory/x-1/memory.limit_in_bytes").mkdir()
    prepared = Limits(tmp_path, Hierarchies({"memory": tmp_path / "memory"})).prepare("x-1", LimitsSpec(memory=MEBI))
    assert prepared.not_held["memory"].startswith("the kernel refuses it: Is a directory")


def test_names_that_are_no_folder_are_refused(limits):
    for name in ("", "a/b", "..", ".hidden"):
        with pytest.raises(UsageError):
            limits.prepare(name, LimitsSpec())
    broken = Limits(Path("/"), Hierarchies({"pids": Path("/proc/none")}))
    with pytest.raises(BlackholeError, match="cannot make the cgroup"):
        broken.prepare("api-1", LimitsSpec())
