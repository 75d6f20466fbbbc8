"""Limits as Docker and Podman take them."""

from __future__ import annotations

from bhtui.agent.foreign.containers import limits
from bhtui.agent.foreign.containers.container import Container, Status
from bhtui.core.spec import LimitsSpec

OF_ITS_OWN = Container("a" * 64, "web", "image", Status.RUNNING, limits=LimitsSpec(memory=64 << 20, pids=100))


def test_docker_is_told_only_what_is_otherwise() -> None:
    assert limits.for_docker(LimitsSpec(memory=64 << 20, pids=100), OF_ITS_OWN, 4) == {}
    assert limits.for_docker(LimitsSpec(memory=32 << 20, cpu=0.5, pids=100), OF_ITS_OWN, 4) == {
        "Memory": 32 << 20, "MemorySwap": 32 << 20, "NanoCpus": 500_000_000,
    }  # fmt: skip


def test_docker_has_no_more_processors_than_the_host() -> None:
    assert limits.for_docker(LimitsSpec(64 << 20, 9.0, 100), OF_ITS_OWN, 4) == {"NanoCpus": 4_000_000_000}


def test_freeing_leaves_swap_as_well() -> None:
    body = limits.for_docker(LimitsSpec(), OF_ITS_OWN, 4)
    assert body["PidsLimit"] == -1
    assert body["MemorySwap"] - body["Memory"] == limits.FREE_MEMORY


def test_a_quota_stays_a_quota() -> None:
    by_quota = Container("a", "web", "", Status.RUNNING, limits=LimitsSpec(cpu=1.0), cpu_by_quota=True)
    assert limits.for_docker(LimitsSpec(cpu=0.5), by_quota, 4) == {"CpuQuota": 50_000, "CpuPeriod": 100_000}


def test_podman_takes_disks_too() -> None:
    body = limits.for_podman(LimitsSpec(memory=1 << 20, iops=100), {"254:0"})
    assert body["memory"] == {"limit": 1 << 20, "swap": 1 << 20}
    assert body["cpu"]["quota"] == body["pids"]["limit"] == -1
    assert body["blockIO"]["throttleReadIOPSDevice"] == [{"major": 254, "minor": 0, "rate": 100}]


def test_what_was_set_here_goes_back_to_what_it_had() -> None:
    before = limits.own(OF_ITS_OWN)
    assert limits.target(LimitsSpec(memory=1 << 20), before) == LimitsSpec(memory=1 << 20, pids=100)
    assert limits.target(LimitsSpec(), before) == OF_ITS_OWN.limits


def test_what_cannot_be_held_is_told_with_the_reason() -> None:
    wanted = LimitsSpec(memory=1 << 20, iops=5, nice=3)
    assert limits.not_held("docker", wanted) == {"iops": limits.NOT_ON_DISKS}
    assert limits.not_held("podman", wanted) == {}
