"""Limits on disks: which disk, and what is written where."""

import os
from pathlib import Path

import pytest

from bhtui.agent.rooms.limits import cgroup1, cgroup2
from bhtui.agent.rooms.limits.detect import Hierarchies
from bhtui.agent.rooms.limits.device import device_of, devices_of
from bhtui.agent.rooms.limits.room import Limits
from bhtui.core.spec import LimitsSpec

MEBI = 1 << 20


def test_a_partition_has_the_limits_of_its_disk(tmp_path):
    status = tmp_path.stat().st_dev
    number = f"{os.major(status)}:{os.minor(status)}"
    disk = tmp_path / "devices" / "sda"
    (disk / "sda1").mkdir(parents=True)
    (disk / "dev").write_text("8:0\n")
    (disk / "sda1" / "partition").write_text("1\n")
    block = tmp_path / "block"
    block.mkdir()
    (block / number).symlink_to(disk / "sda1")
    assert device_of(str(tmp_path / "not" / "there" / "yet"), block=block) == "8:0"
    (disk / "sda1" / "partition").unlink()
    assert device_of(str(tmp_path), block=block) == number


def test_what_is_in_memory_is_on_no_disk(tmp_path):
    assert device_of("/proc") == ""
    assert devices_of(["/proc"]) == (set(), ["/proc"])
    assert device_of(str(tmp_path), block=tmp_path / "nothing") == ""


def test_version_1_takes_back_what_is_not_wanted_any_more(tmp_path):
    files = [f"blkio.throttle.{way}_{what}_device" for way in ("read", "write") for what in ("iops", "bps")]
    for file in files:
        (tmp_path / file).write_text("")
    cgroup1.set_iops(tmp_path, LimitsSpec(iops=100), {"8:0"})
    assert (tmp_path / files[0]).read_text() == "8:0 100"
    assert (tmp_path / files[1]).read_text() == ""
    cgroup1.set_iops(tmp_path, LimitsSpec(), set())
    assert (tmp_path / files[0]).read_text().startswith("8:0 0")


def test_version_2_sets_both_ways_of_one_limit(tmp_path):
    (tmp_path / "io.max").write_text("")
    cgroup2.set_bandwidth(tmp_path, LimitsSpec(bandwidth=MEBI), {"8:0"})
    assert (tmp_path / "io.max").read_text() == f"8:0 rbps={MEBI} wbps={MEBI}"
    cgroup2.set_iops(tmp_path, LimitsSpec(iops=10), {"8:0"})
    assert (tmp_path / "io.max").read_text().startswith("8:0 riops=10 wiops=10")


def test_version_2_slows_down_before_it_kills(tmp_path):
    for name in ("memory.high", "memory.max", "memory.swap.max"):
        (tmp_path / name).write_text("max")
    cgroup2.set_memory(tmp_path, LimitsSpec(memory=100 * MEBI))
    high, most = (int((tmp_path / name).read_text()) for name in ("memory.high", "memory.max"))
    assert 0.9 * most < high < most


def test_counters_of_version_2(tmp_path):
    group = tmp_path / "api-1"
    group.mkdir()
    (group / "cpu.stat").write_text("usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\n")
    (group / "memory.events").write_text("low 0\nhigh 3\nmax 2\noom 1\noom_kill 1\n")
    room = Limits(tmp_path, Hierarchies(v2=tmp_path, v2_controllers=frozenset({"cpu", "memory"})))
    found = room.counters("api-1")
    assert (found.cpu_periods, found.cpu_throttled, found.cpu_throttled_seconds) == (10, 4, 2.5)
    assert (found.memory_hits, found.oom_kills) == (5, 1)


def test_limits_on_the_disks_of_this_machine(tmp_path):
    room = Limits(tmp_path)
    device = device_of(str(tmp_path))
    if "blkio" not in room.hierarchies.v1 or not device:
        pytest.skip("no blkio controller, or no disk, here")
    prepared = room.prepare("io-1", LimitsSpec(iops=500, bandwidth=10 * MEBI), [str(tmp_path)])
    group = room.hierarchies.v1["blkio"] / "io-1"
    try:
        assert Path(group, "blkio.throttle.read_iops_device").read_text().split() == [device, "500"]
        assert Path(group, "blkio.throttle.write_bps_device").read_text().split() == [device, str(10 * MEBI)]
        assert prepared.not_held == {"iops": cgroup1.UNHELD_WRITES, "bandwidth": cgroup1.UNHELD_WRITES}
        assert room.prepare("io-1", LimitsSpec(iops=500), ["/proc"]).not_held["iops"].startswith("/proc is on no disk")
        room.prepare("io-1", LimitsSpec())
        assert Path(group, "blkio.throttle.read_iops_device").read_text() == ""
    finally:
        room.close()
