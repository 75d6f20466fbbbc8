"""Maintenance windows, with the real keeper: what is held, what people ask for meanwhile, and the end of the window."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

from bhtui.core.request import RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, ProbeKind, ProbeSpec, Restart, RestartSpec, ServiceSpec
from bhtui.core.states import Health, State
from tests.agent.rooms.supervisor.rig import Rig, real_rig, spec_of
from tests.waiting import eventually

NIGHT = 'maintenance window "night" until 03:00'
ALWAYS = RestartSpec(policy=Restart.ALWAYS)
DB = ServiceSpec("db", ("sleep", "1000"), restart=ALWAYS)
API = ServiceSpec("api", ("sleep", "1000"), depends_on={"db": Condition.HEALTHY}, restart=ALWAYS)


def open_window(rig: Rig) -> None:
    rig.room.holding = lambda service: NIGHT
    rig.room.look_at_holds()


def close_window(rig: Rig) -> None:
    rig.room.holding = lambda service: ""
    rig.room.look_at_holds()


def crash(rig: Rig, name: str) -> None:
    pid = rig.room.picture[name].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def is_held(rig: Rig, name: str) -> None:
    await eventually(lambda: rig.room.picture[name].held == NIGHT, what=f"{name} is held")


async def test_what_ends_is_held_until_the_window_closes() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        open_window(rig)
        crash(rig, "db-1")
        await is_held(rig, "db-1")
        [status] = rig.room.status(["db-1"])
        assert (status.state, status.held, status.next_start_seconds) == (State.BACKOFF, NIGHT, None)
        assert "restart 1 in" not in status.last_error
        assert f"db-1 is not restarted by itself: {NIGHT}" in rig.messages()
        close_window(rig)
        await rig.reaches("db-1", State.RUNNING)
        assert rig.room.status(["db-1"])[0].held == ""


async def test_a_window_that_goes_on_as_another_holds_on() -> None:
    async with real_rig(spec_of(DB)) as rig:
        await rig.run(StartRequest())
        open_window(rig)
        crash(rig, "db-1")
        await is_held(rig, "db-1")
        rig.room.holding = lambda service: "maintenance window 2"
        rig.room.look_at_holds()
        await eventually(lambda: rig.room.picture["db-1"].held == "maintenance window 2")
        assert rig.state("db-1") is State.BACKOFF


async def test_what_people_ask_for_is_done_as_ever() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        open_window(rig)
        assert (await rig.run(StartRequest())).error == ""
        assert (await rig.run(RestartRequest(("api",), rolling=True))).error == ""
        crash(rig, "db-1")
        await is_held(rig, "db-1")
        assert (await rig.run(StartRequest(("db",)))).error == ""
        assert rig.state("db-1") is State.RUNNING
        crash(rig, "db-1")
        await is_held(rig, "db-1")
        assert (await rig.run(StopRequest(("db",)))).error == ""
        close_window(rig)
        assert (rig.state("db-1"), rig.room.picture["db-1"].held) == (State.STOPPED, "")


async def test_a_start_that_fails_is_not_tried_again_and_says_so() -> None:
    async with real_rig(spec_of(replace(DB, command=("sh", "-c", "echo no port; exit 3")))) as rig:
        open_window(rig)
        failed = await rig.run(StartRequest())
        assert failed.state == "failed"
        assert f"it is not tried again: {NIGHT}" in failed.error


async def test_who_waits_for_what_is_held_is_not_started_either() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        open_window(rig)
        crash(rig, "db-1")
        await is_held(rig, "db-1")
        crash(rig, "api-1")
        await is_held(rig, "api-1")
        close_window(rig)
        await rig.reaches("db-1", State.RUNNING)
        await rig.reaches("api-1", State.RUNNING)


async def test_what_fails_its_liveness_probe_runs_on_until_the_window_closes(tmp_path: Path) -> None:
    well = tmp_path / "well"
    well.touch()
    probe = ProbeSpec(ProbeKind.COMMAND, command=("test", "-e", str(well)), interval=0.05, retries=1, liveness=True)
    async with real_rig(spec_of(replace(DB, probe=probe))) as rig:
        await rig.run(StartRequest())
        before = rig.room.picture["db-1"].pid
        open_window(rig)
        well.unlink()
        await is_held(rig, "db-1")
        well.touch()
        await eventually(lambda: rig.room.picture["db-1"].health is Health.HEALTHY)
        assert (rig.room.picture["db-1"].held, rig.room.picture["db-1"].pid) == ("", before)
        well.unlink()
        await is_held(rig, "db-1")
        assert rig.state("db-1") is State.RUNNING
        close_window(rig)
        await eventually(lambda: rig.room.picture["db-1"].pid != before)
        well.touch()
        await eventually(lambda: rig.room.picture["db-1"].health is Health.HEALTHY)
