"""Measuring real trees of processes, with and without cgroups."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.rooms.metrics import procfs
from bhtui.agent.rooms.metrics.tree import Rate, Tree
from bhtui.core.spec import LimitsSpec
from tests.waiting import until

SECOND = 1_000_000_000
# Two children that each hold 30 MiB, 3 descriptors and a thread more, and then use the processor when told to.
FAMILY = textwrap.dedent(
    """
    import os, sys, threading, time
    for _ in range(2):
        if os.fork() == 0:
            held = b"x" * (30 << 20)
            files = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            os.write(1, b"up\\n")
            while True:
                pass
    os.wait()
    """
)


@pytest.fixture(params=["cgroups", "descendants"])
def groups(request, tmp_path):
    if request.param == "descendants":
        yield ()
        return
    limits = Limits(tmp_path)
    prepared = limits.prepare("family-1", LimitsSpec())
    if not prepared.cgroups:
        pytest.skip(limits.hierarchies.reason)
    yield prepared.cgroups
    until(lambda: limits.sweep(()) == ())
    limits.close()


@pytest.fixture
def family(groups):
    def join():
        os.setsid()
        for folder in groups:
            Path(folder, "cgroup.procs").write_text("0")

    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True, preexec_fn=join)
    try:
        assert [process.stdout.readline(), process.stdout.readline()] == ["up\n", "up\n"]
        yield process
    finally:
        os.killpg(process.pid, 9)
        process.wait(60)


def test_the_whole_tree_is_measured(groups, family):
    tree = Tree(family.pid, lambda: groups)
    first = tree.sample(time.monotonic_ns(), procfs.children)
    assert first.cpu_percent is None
    begun, used = time.monotonic(), first
    while time.monotonic() - begun < 0.5 or not used.cpu_percent:
        used = tree.sample(time.monotonic_ns(), procfs.children)
        time.sleep(0.3)
    assert 1 < used.cpu_percent < 250
    assert 60 << 20 < used.memory_bytes < 140 << 20
    assert used.threads == 5
    assert used.fds >= 3 * 3 + 2 * 3
    assert used.read_bytes_per_second is not None
    assert 60 << 20 < used.pss_bytes <= used.rss_bytes < 160 << 20
    tree.close()


def test_proportional_memory_is_looked_at_seldom_and_not_where_it_is_dear(family, monkeypatch):
    looked = []
    monkeypatch.setattr(procfs, "pss_bytes", lambda pid: looked.append(pid) or 1)
    tree = Tree(family.pid, lambda: ())
    samples = [tree.sample(n * SECOND, procfs.children) for n in range(1, 31)]
    assert {one.pss_bytes for one in samples} == {3}
    assert len(looked) in (3 * 3, 3 * 4)
    monkeypatch.setattr("bhtui.agent.rooms.metrics.tree.PSS_MOST", 1 << 20)
    assert tree.sample(31 * SECOND, procfs.children).pss_bytes is None
    tree.close()


def test_a_tree_that_is_gone_has_no_sample(groups, family):
    tree = Tree(family.pid, lambda: groups)
    os.killpg(family.pid, 9)
    family.wait(60)
    until(lambda: tree.sample(time.monotonic_ns(), procfs.children) is None)
    tree.close()


def test_a_tree_leaves_no_descriptor_open(groups, family):
    before = len(os.listdir("/proc/self/fd"))
    tree = Tree(family.pid, lambda: groups)
    tree.sample(time.monotonic_ns(), procfs.children)
    tree.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_rate_counts_each_process_on_its_own():
    rate = Rate()
    assert rate.of(1 * SECOND, {(1, 1): 100.0}) is None
    assert rate.of(3 * SECOND, {(1, 1): 104.0, (2, 1): 2.0}) == 3.0  # a new one began at 0
    assert rate.of(4 * SECOND, {(2, 1): 2.5}) == 0.5  # one ended
    assert rate.of(5 * SECOND, {(2, 9): 1.0}) == 1.0  # the same number, another process
    assert rate.of(6 * SECOND, {(2, 9): 0.5}) == 0.0
    assert rate.of(6 * SECOND, {(2, 9): 0.5}) is None  # no time has passed
    assert rate.of(7 * SECOND, None) is None


def test_what_proc_says_of_this_process():
    me = procfs.process(os.getpid())
    assert (me.pid, me.parent) == (os.getpid(), os.getppid())
    assert me.rss_bytes > 1 << 20 and me.threads >= 1 and me.start > 0
    assert procfs.open_files(os.getpid()) == len(os.listdir("/proc/self/fd")) - 1 or procfs.open_files(os.getpid())
    assert procfs.process(2**22 + 1) is None
    assert procfs.open_files(2**22 + 1) is None
    assert procfs.storage_bytes(2**22 + 1) is None
    assert os.getpid() in procfs.descendants(os.getppid(), procfs.children())


def test_what_rests_is_not_looked_at_whole_and_what_wakes_is(tmp_path, monkeypatch):
    """Its processor time and its memory tell; the rate after a rest is that of the last second alone."""
    (tmp_path / "cpuacct.usage").write_text("0")
    (tmp_path / "memory.usage_in_bytes").write_text("4096")
    (tmp_path / "cgroup.procs").write_text(str(os.getpid()))
    tree, looks = Tree(0, lambda: (str(tmp_path),)), []
    monkeypatch.setattr(procfs, "open_files", lambda pid: looks.append(pid) or 3)
    samples = [tree.sample(second * SECOND, dict) for second in range(1, 10)]
    assert len(looks) == 2, "the second is the first with a rate"
    assert [each.cpu_percent for each in samples] == [None, *[0.0] * 8]
    assert {each.fds for each in samples} == {3}
    tree.sample(10 * SECOND, dict)
    assert len(looks) == 3, "now and then all the same"
    (tmp_path / "cpuacct.usage").write_text(str(SECOND // 2))
    assert tree.sample(12 * SECOND, dict).cpu_percent == 25.0
    tree.sample(13 * SECOND, dict)
    assert tree.sample(14 * SECOND, dict).cpu_percent == 0.0
    (tmp_path / "cpuacct.usage").write_text(str(SECOND))
    assert tree.sample(15 * SECOND, dict).cpu_percent == 50.0
    assert len(looks) == 5
    tree.close()
