"""Limits as properties of a unit, and back."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.foreign.systemd.limits import PROPERTIES, lifted, to_bus, wanted, without_controller
from bhtui.core.spec import LimitsSpec

MEBI = 1 << 20


def test_what_is_set():
    found = wanted(LimitsSpec(memory=100 * MEBI, cpu=0.5, pids=9, iops=7), ["/var/lib/a"])
    assert found["memory"] == {"MemoryMax": 100 * MEBI, "MemoryHigh": 95 * MEBI, "MemorySwapMax": 0}
    assert found["cpu"] == {"CPUQuotaPerSecUSec": 500_000}
    assert found["pids"] == {"TasksMax": 9}
    assert found["iops"] == {"IOReadIOPSMax": [["/var/lib/a", 7]], "IOWriteIOPSMax": [["/var/lib/a", 7]]}
    assert wanted(LimitsSpec(nice=5), []) == {}


def test_a_list_is_emptied_before_it_is_set():
    assert to_bus({"IOReadIOPSMax": [["/", 7]], "TasksMax": 9}) == [
        ("IOReadIOPSMax", ("a(st)", [])), ("IOReadIOPSMax", ("a(st)", [("/", 7)])), ("TasksMax", ("t", 9)),
    ]  # fmt: skip
    assert to_bus({"IOReadIOPSMax": []}) == [("IOReadIOPSMax", ("a(st)", []))]


@given(st.sets(st.sampled_from(sorted(PROPERTIES))), st.sets(st.sampled_from(sorted(PROPERTIES))))
def test_only_what_was_set_here_is_put_back(set_before: set[str], set_now: set[str]):
    before = dict.fromkeys((name for limit in set_before for name in PROPERTIES[limit]), 1)
    limits = LimitsSpec(**dict.fromkeys(set_now, 5 << 20))  # type: ignore[arg-type]
    assert set(lifted(limits, before)) == set_before - set_now
    assert not set(lifted(limits, before)) & set(wanted(limits, ["/"]))


def test_a_controller_that_is_not_there(tmp_path: Path):
    (tmp_path / "memory.max").touch()
    told = without_controller(["memory", "cpu"], tmp_path, "user")
    assert told == {"cpu": "the cpu controller is not given to this user's systemd"}
