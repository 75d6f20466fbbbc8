"""Maintenance windows and the restarts of units and containers, with a manager that is played: held, let, and killed
in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bhtui.agent.foreign.model import Observation
from bhtui.agent.rooms.supervisor import holds
from bhtui.core.request import StartRequest, StopRequest
from bhtui.core.states import Goal, Result, State
from tests.agent.rooms.supervisor.rig import FakeKeeper, Rig, fake_rig, spec_of
from tests.agent.rooms.supervisor.test_mirroring import WEB, Played, managers
from tests.waiting import eventually

NIGHT = 'maintenance window "night" until 03:00'
CRASHED = Observation(State.FAILED, "run-1", result=Result.SIGNAL, text="killed by SIGSEGV")


@dataclass
class Slow(Played):
    """A manager that takes its time."""

    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold_restarts(self) -> None:
        await self.goes_on.wait()
        await super().hold_restarts()


def window(rig: Rig, held: str) -> None:
    rig.room.holding = lambda _: held
    rig.room.look_at_holds()


def agent(
    root: Path, played: Played, keeper: FakeKeeper | None = None, held: str = ""
) -> AbstractAsyncContextManager[Rig]:
    """One life of the agent; `held`: the window that is open from the beginning."""
    return fake_rig(root, spec_of(WEB), keeper, managers=managers(played), held=held)


async def running(rig: Rig, played: Played) -> None:
    played.run()
    await rig.reaches("web-1", State.RUNNING)


@asynccontextmanager
async def at_night(root: Path, played: Played, keeper: FakeKeeper | None = None) -> AsyncIterator[Rig]:
    """The unit runs, a window is open, and its manager does not restart it."""
    async with agent(root, played, keeper) as rig:
        await running(rig, played)
        window(rig, NIGHT)
        await eventually(lambda: played.policy == "no" and rig.room.picture["web-1"].restarts_off, what="it is held")
        yield rig


async def test_its_manager_restarts_it_no_more_until_the_window_closes(tmp_path: Path):
    played = Played()
    async with at_night(tmp_path, played) as rig:
        assert rig.room.status()[0].restarts_note == f"systemd does not restart it: {NIGHT}"
        played.become(CRASHED)
        await eventually(lambda: rig.room.picture["web-1"].held == NIGHT, what="its end is held")
        [row] = rig.room.status()
        assert (row.state, row.goal, row.restarts_note) == (State.BACKOFF, Goal.UP, "")
        assert f"web-1 is not restarted by itself: {NIGHT}" in rig.messages()
        window(rig, "")
        await rig.reaches("web-1", State.RUNNING)
        assert played.asked == ["hold restarts", "let restarts", "start"] and played.policy == "always"
        assert "systemd restarts web-1 by itself again" in rig.messages()
        assert rig.room.status()[0].held == ""


async def test_one_that_runs_through_the_window_is_not_touched(tmp_path: Path):
    played = Played()
    async with at_night(tmp_path, played) as rig:
        window(rig, "")
        await eventually(lambda: played.policy == "always", what="it is let")
        assert played.asked == ["hold restarts", "let restarts"]


async def test_one_that_nobody_restarts_is_left_alone(tmp_path: Path):
    played = Played(policy="no")
    async with agent(tmp_path, played) as rig:
        await running(rig, played)
        window(rig, NIGHT)
        played.become(CRASHED)
        await rig.reaches("web-1", State.FAILED)
        assert played.asked == [] and rig.room.status()[0].restarts_note == ""


async def test_what_people_ask_for_is_done_as_ever(tmp_path: Path):
    played = Played()
    async with at_night(tmp_path, played) as rig:
        played.become(CRASHED)
        await rig.reaches("web-1", State.BACKOFF)
        assert (await rig.run(StartRequest(("web",)))).error == ""
        played.become(replace(CRASHED, run="run-2"))
        await rig.reaches("web-1", State.BACKOFF)
        assert (await rig.run(StopRequest(("web",)))).error == ""
        window(rig, "")
        await eventually(lambda: played.policy == "always", what="it is let")
        assert rig.state("web-1") is State.STOPPED


async def test_somebody_who_stops_it_past_the_agent_is_followed(tmp_path: Path):
    played = Played()
    async with at_night(tmp_path, played) as rig:
        played.become(Observation(State.STOPPED, "run-1", result=Result.SUCCESS, was_asked=True))
        await rig.reaches("web-1", State.STOPPED)
        assert rig.room.picture["web-1"].goal is Goal.DOWN


async def test_a_manager_that_cannot_be_told_is_named(tmp_path: Path):
    played = Played(refuses="cannot hold the restarts of nginx.service: only root may")
    async with agent(tmp_path, played) as rig:
        await running(rig, played)
        window(rig, NIGHT)
        await eventually(lambda: rig.room.status()[0].restarts_note == played.refuses, what="the status says so")
        window(rig, NIGHT + " ")
        window(rig, "")
        await eventually(lambda: played.asked.count("let restarts") > 0, what="it is let all the same")
        told = [each for each in rig.messages() if each == f"web-1: {played.refuses}"]
        assert len(told) == 1
        played.refuses = ""
        window(rig, "")
        await eventually(lambda: rig.room.status()[0].restarts_note == "", what="the trouble is over")


async def test_nothing_is_said_of_it_before_it_is_known_whether_it_can_be_held(tmp_path: Path):
    played = Slow()
    async with agent(tmp_path, played) as rig:
        await running(rig, played)
        window(rig, NIGHT)
        await eventually(lambda: rig.room.picture["web-1"].restarts_before, what="it is about to be held")
        assert rig.room.status()[0].restarts_note == ""
        played.goes_on.set()
        await eventually(lambda: rig.room.status()[0].restarts_note != "", what="it is held")
        assert rig.room.status()[0].restarts_note == f"systemd does not restart it: {NIGHT}"


async def test_an_agent_that_was_killed_leaves_what_the_next_one_puts_back(tmp_path: Path):
    played, keeper = Played(), FakeKeeper()
    async with at_night(tmp_path, played, keeper):
        """It is killed."""
    assert played.policy == "no"  # it did not let: an upgrade holds on
    async with agent(tmp_path, played, keeper) as rig:  # the window is over
        await eventually(lambda: played.policy == "always", what="it is let")
        assert rig.state("web-1") is State.RUNNING


async def test_what_ended_is_held_on_by_the_next_agent(tmp_path: Path):
    played, keeper = Played(), FakeKeeper()
    async with at_night(tmp_path, played, keeper):
        """It is killed."""
    played.become(CRASHED)
    async with agent(tmp_path, played, keeper, held=NIGHT) as rig:
        await eventually(lambda: rig.room.picture["web-1"].held == NIGHT, what="it is held")
    async with agent(tmp_path, played, keeper) as rig:
        await rig.reaches("web-1", State.RUNNING)
        assert played.policy == "always"


async def test_the_end_of_the_agent_for_good_puts_it_back(tmp_path: Path):
    played, keeper = Played(), FakeKeeper()
    async with at_night(tmp_path, played, keeper) as rig:
        await rig.room.give_back()
        rig.room.look_at_holds()
        assert played.policy == "always"


async def test_one_that_is_declared_no_more_is_let(tmp_path: Path):
    played = Played()
    async with at_night(tmp_path, played) as rig:
        await rig.room.apply(spec_of())
        await eventually(lambda: played.asked[-2:] == ["let restarts", "close"], what="it is let go")
        assert played.policy == "always"


async def test_a_container_that_a_reboot_left_down_comes_up(tmp_path: Path):
    played, keeper = Played(), FakeKeeper()
    async with at_night(tmp_path, played, keeper):
        """It is killed."""
    keeper.boot_id = "another"
    played.become(replace(CRASHED, result=Result.EXIT_CODE))
    async with agent(tmp_path, played, keeper, held=NIGHT) as rig:
        await rig.reaches("web-1", State.RUNNING)
        assert played.policy == "no"


def test_the_note_is_empty_outside_of_windows():
    from tests.agent.rooms.supervisor.test_mirror import instance

    i = instance(restarts_before={"policy": "always"}, restarts_off=True)
    assert holds.note(i, "") == ""
    assert holds.note(replace(i, restarts_trouble="cannot"), "") == "cannot"
