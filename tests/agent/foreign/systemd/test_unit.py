"""Properties of units as a Debian 12 host gave them (units.json), to what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.foreign.systemd.exits import SETUP, ended, exit_text
from bhtui.agent.foreign.systemd.refusals import job_failed, refused, unmet_condition
from bhtui.agent.foreign.systemd.subject import is_of_one_moment, object_path
from bhtui.agent.foreign.systemd.unit import observation, state_of
from bhtui.core.states import Result, State

UNITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("units.json").read_text())
SECOND = 1_000_000_000


def seen(unit: str, job_ended: bool | None = None, **changes: Any):
    return observation(unit, "system", UNITS[unit] | changes, job_ended)


def test_what_runs():
    it = seen("redis-server.service")
    assert (it.state, it.pid, it.restarts, it.result) == (State.RUNNING, 463, 1, Result.NONE)
    assert it.cgroup == "/system.slice/redis-server.service"
    assert len(it.run) == 32 and it.since_ns > 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("unit", "state", "result", "text"),
    [
        ("bad.service", State.FAILED, Result.EXIT_CODE, "exit 203 (EXEC: its program could not be executed)"),
        ("slow.service", State.FAILED, Result.START_TIMEOUT, "it was not up within 4 s (TimeoutStartSec=)"),
        ("flap.service", State.BACKOFF, Result.EXIT_CODE, "exit 3"),
        ("pre.service", State.FAILED, Result.EXIT_CODE, "ExecStartPre=/bin/false: exit 1"),
        ("oom.service", State.FAILED, Result.OOM_KILL, "killed by SIGKILL: out of memory"),
        (
            "limit.service",
            State.FAILED,
            Result.EXIT_CODE,
            "exit 4; systemd gave up after 5 restarts (start limit 5 within 10 s)",
        ),
    ],
)
def test_what_has_failed_and_why(unit: str, state: State, result: Result, text: str):
    it = seen(unit)
    assert (it.state, it.result, it.text, it.pid) == (state, result, text, None)


REDIS = UNITS["redis-server.service"]
AHEAD = (REDIS["ActiveEnterTimestamp"] - REDIS["ActiveEnterTimestampMonotonic"]) * 1000
"""By how much the clock of that host was ahead of the steady one."""


@pytest.mark.parametrize("step", [-86_400 * SECOND, -2 * SECOND, 3600 * SECOND])
def test_since_when_it_runs_is_not_moved_by_a_clock_that_is_set(step: int):
    stamped = REDIS["ActiveEnterTimestamp"] * 1000
    it = observation("redis-server.service", "system", REDIS, None, ahead_ns=AHEAD + step)
    assert 0 <= stamped + step - it.since_ns < SECOND
    again = observation("redis-server.service", "system", REDIS, None, ahead_ns=AHEAD + step + 1000)
    assert again.since_ns == it.since_ns


def test_a_clock_that_is_only_slewed_moves_nothing():
    it = observation("redis-server.service", "system", REDIS, None, ahead_ns=AHEAD + SECOND // 2)
    assert it.since_ns == REDIS["ActiveEnterTimestamp"] * 1000
    started = REDIS | {"ActiveEnterTimestampMonotonic": 0, "InactiveExitTimestampMonotonic": 0}
    it = observation("redis-server.service", "system", started, None, ahead_ns=0)
    assert it.since_ns == REDIS["ActiveEnterTimestamp"] * 1000  # one that tells no steady time is believed


def test_what_has_completed():
    it = seen("once.service", True)
    assert (it.state, it.result, it.text, it.was_asked) == (State.STOPPED, Result.SUCCESS, "exit 0", False)
    assert it.run


def test_backoff_knows_when_it_goes_on():
    it = seen("flap.service")
    assert it.next_start_ns == (UNITS["flap.service"]["StateChangeTimestamp"] + 20_000_000) * 1000


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("nosuch.service", "there is no nosuch.service on this host; install it, or correct `unit`"),
        ("cable2.service", "cable2.service is masked, so that nobody can start it; systemctl unmask cable2.service"),
    ],
)
def test_what_hinders_a_unit(unit: str, text: str):
    it = seen(unit)
    assert (it.state, it.run, it.text) == (State.STOPPED, "", text)


def test_a_disabled_unit_that_has_not_run_says_so():
    it = observation("a.service", "user", {"ActiveState": "inactive", "UnitFileState": "disabled"}, None)
    assert it.text == ("it has not run since the host was started, and is disabled; systemctl --user enable a.service")


def test_who_wanted_it_down():
    stopped = {"ActiveState": "inactive", "InvocationID": [1], "ExecMainCode": 1, "Type": "simple"}
    for job_ended, asked in ((True, True), (False, False), (None, True)):
        assert observation("a.service", "system", stopped, job_ended).was_asked is asked
    assert not observation("a.service", "system", stopped | {"Type": "oneshot"}, True).was_asked
    assert observation("a.service", "system", stopped | {"Type": "oneshot", "RemainAfterExit": True}, True).was_asked


def test_a_condition_that_does_not_hold_is_named():
    assert unmet_condition(UNITS["cond.service"]) == "its ConditionPathExists=/nosuch does not hold"
    assert unmet_condition(UNITS["redis-server.service"]) == ""
    assert unmet_condition(UNITS["nosuch.service"]) == ""  # it was never asked


def test_exits_in_words():
    assert ended(1, 1) == "exit 1"
    assert ended(1, 217) == f"exit 217 ({SETUP[217]})"
    assert (ended(2, 11), ended(3, 6)) == ("killed by SIGSEGV", "killed by SIGABRT, core dumped")
    assert ended(2, 63) == "killed by signal 63"
    watchdog = {"Result": "watchdog", "WatchdogUSec": 3_000_000}
    assert exit_text(watchdog) == "ended by its watchdog: it gave no sign within 3 s (WatchdogSec=)"
    late = {"Result": "timeout", "ActiveEnterTimestampMonotonic": 9, "InactiveExitTimestampMonotonic": 5}
    assert exit_text(late | {"TimeoutStopUSec": 90_000_000}) == "it did not end within 90 s (TimeoutStopSec=)"


@given(
    st.dictionaries(
        st.sampled_from(["ActiveState", "SubState", "Result", "LoadState", "Type", "UnitFileState"]),
        st.sampled_from(["", "active", "failed", "inactive", "reloading", "new-in-260", "auto-restart-queued"]),
    )
)
def test_whatever_a_later_systemd_says_is_shown(properties: dict[str, str]):
    it = observation("a.service", "system", properties, None)
    assert it.state is state_of(properties) and it.state is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org.freedesktop.systemd1.NoSuchUnit", "there is no such unit on this host; see `systemctl list-unit-files`"),
        (
            "org.freedesktop.systemd1.UnitMasked",
            "it is masked, so that nobody can start it; systemctl unmask a.service",
        ),
        (
            "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
            "systemd lets only root do that; run the agent as root, or allow its user "
            "org.freedesktop.systemd1.manage-units by a polkit rule",
        ),
        ("org.example.New", "systemd says: so it is"),
    ],
)
def test_refusals_say_what_to_do(name: str, said: str):
    assert refused("start", "a.service", "system", name, "so it is") == f"cannot start a.service: {said}"


def test_jobs():
    for result in ("done", "failed", "timeout"):
        assert job_failed("start", "a.service", "system", result, {}) == ""  # the unit itself tells
    said = job_failed("start", "a.service", "system", "dependency", {})
    assert said.startswith("cannot start a.service: a unit that it requires could not be started")
    assert "another job" in job_failed("stop", "a.service", "system", "canceled", {})


def test_a_unit_that_ends_while_it_is_asked_is_asked_again():
    assert all(is_of_one_moment(properties) for properties in UNITS.values())
    assert not is_of_one_moment(UNITS["bad.service"] | {"ActiveState": "active"})
    assert not is_of_one_moment(UNITS["redis-server.service"] | {"MainPID": 0})


def test_object_paths():
    assert object_path("redis-server.service") == "/org/freedesktop/systemd1/unit/redis_2dserver_2eservice"
    assert object_path("a@b.service") == "/org/freedesktop/systemd1/unit/a_40b_2eservice"
    assert object_path("9p.service") == "/org/freedesktop/systemd1/unit/_39p_2eservice"
