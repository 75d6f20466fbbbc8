"""From what instances use to operations of the agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bhtui.core.autoscale import AutoScaleSpec
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.operation import Actor, Operation, OperationState
from bhtui.core.override import Override
from bhtui.core.spec import LimitsSpec, ServiceSpec, Spec
from bhtui.core.states import Goal, State
from tests.agent.rooms.scaling.rig import SECOND, Rig

API = ServiceSpec("api", ("api",), limits=LimitsSpec(cpu=0.5), scale=AutoScaleSpec(auto=True, max=3))
OTHER = ServiceSpec("other", ("other",))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, API, OTHER)
    yield made
    made.close()


async def test_a_load_is_followed_up_and_down(rig: Rig) -> None:
    await rig.run(200, cpu=46)  # of half a core
    assert rig.begun[0] == ("api", 2, "cpu 92 % of the limit over 60 s, above 80 %: 1 -> 2")
    assert [number for _, number, _ in rig.begun] == [2, 3]
    assert rig.told("scaling.decided")[0] == "api: cpu 92 % of the limit over 60 s, above 80 %: 1 -> 2"
    await rig.run(1500, cpu=1)
    assert [number for _, number, _ in rig.begun] == [2, 3, 2, 1]
    assert rig.room.note("api").startswith(
        "auto 1..3: cpu at most 2 % over 5 min, 4 % with one fewer, below 64 %: 2 -> 1; "
    )
    assert rig.room.note("other") == ""
    assert all(service == "api" for service, _, _ in rig.begun)


async def test_what_cannot_be_decided_is_told_once(rig: Rig) -> None:
    await rig.run(1200, cpu=48)
    assert rig.told("scaling.held") == ["api: held: cpu 83 % of the limit over 60 s, above 80 %, and 3 is the maximum"]
    assert "3 is the maximum" in rig.room.note("api")


async def test_an_operation_of_somebody_comes_first(rig: Rig) -> None:
    await rig.run(20, cpu=1)
    rig.open = [Operation("x", "restart", ("api",), Actor("ada"), "", OperationState.RUNNING, ())]
    await rig.run(120, cpu=49)
    assert rig.begun == []
    assert rig.room.note("api") == "auto 1..3: held: restart api by ada is under way"
    assert rig.events == []
    rig.open = []
    await rig.run(10, cpu=49)
    assert len(rig.begun) == 1


async def test_a_conflict_that_comes_between_is_tried_again(rig: Rig) -> None:
    rig.refuse = Refused("cannot scale api: operation 1234 (stop api, begun by ada) is under way")
    conflict = Operation("x", "stop", ("api",), Actor("ada"), "", OperationState.RUNNING, ())
    asked = rig.conflicts

    def late(claims: object) -> list[Operation]:
        return [conflict] if claims == ("service:api",) else asked(claims)  # type: ignore[arg-type]

    rig.conflicts = late  # type: ignore[assignment, method-assign]
    rig.begin_anew()
    await rig.run(120, cpu=49)
    assert rig.events == []
    rig.refuse = None
    await rig.run(10, cpu=49)
    assert len(rig.begun) == 1


async def test_a_change_that_fails_is_told_each_time_with_growing_pauses(rig: Rig) -> None:
    rig.outcome, rig.error = OperationState.FAILED, "api-2 is not healthy\nits last lines"
    await rig.run(1000, cpu=49)
    assert len(rig.begun) == 5
    assert rig.told("scaling.held") == ["api: 1 -> 2 has failed: api-2 is not healthy"] * 5
    rig.outcome = OperationState.DONE
    await rig.run(1900, cpu=49)
    assert rig.picture.keys() >= {"api-1", "api-2", "api-3"}


async def test_what_cannot_even_be_begun_waits_too(rig: Rig) -> None:
    rig.refuse = Refused("cannot scale api: port 8081 of api-2 is already that of web")
    await rig.run(200, cpu=49)
    assert (
        rig.told("scaling.held")[0]
        == "api: 1 -> 2 is refused: cannot scale api: port 8081 of api-2 is already that of web"
    )
    assert 2 <= len(rig.events) <= 3
    rig.refuse, rig.events = BlackholeError("cannot write: the disk is full"), []
    await rig.run(2000, cpu=49)
    assert rig.told("scaling.held")[0] == "api: 1 -> 2 could not be begun: cannot write: the disk is full"


@pytest.mark.parametrize("state", [State.FAILED, State.BACKOFF])
async def test_an_instance_in_trouble_holds_it(rig: Rig, state: State) -> None:
    rig.set_number("api", 2)
    rig.picture["api-2"].state, rig.picture["api-2"].last_error = state, "exit 1 after 0.2 s\nmore"
    await rig.run(200, cpu=49)
    assert rig.begun == []
    assert rig.told("scaling.held") == [f"api: held: api-2 is {state}: exit 1 after 0.2 s"]


async def test_a_maintenance_window_holds_it(rig: Rig) -> None:
    rig.windows["api"] = "maintenance window `move`, opened by ada"
    await rig.run(200, cpu=49)
    assert (rig.begun, rig.events) == ([], [])
    assert rig.room.note("api") == "auto 1..3: held: maintenance window `move`, opened by ada"
    rig.windows.clear()
    await rig.run(5, cpu=49)
    assert len(rig.begun) == 1


async def test_what_is_stopped_is_left_alone(rig: Rig) -> None:
    rig.set_number("api", 2)
    rig.picture["api-2"].state, rig.picture["api-2"].goal = State.STOPPED, Goal.DOWN
    await rig.run(200, cpu=49)
    assert rig.room.note("api") == "auto 1..3: held: api-2 was stopped by hand"
    rig.picture["api-1"].state, rig.picture["api-1"].goal = State.STOPPED, Goal.DOWN
    await rig.run(10)
    assert rig.room.note("api") == "auto 1..3: it is stopped"
    assert (rig.begun, rig.events) == ([], [])


async def test_another_agent_keeps_the_cooldown(rig: Rig) -> None:
    await rig.run(32, cpu=49)
    assert len(rig.begun) == 1
    rig.begin_anew()
    await rig.run(50, cpu=49)
    assert len(rig.begun) == 1
    assert "looked at again in" in rig.room.note("api")
    await rig.run(100, cpu=49)
    assert len(rig.begun) == 2


async def test_another_agent_learns_how_the_change_ended(rig: Rig) -> None:
    rig.outcome = OperationState.RUNNING
    await rig.run(60, cpu=49)
    assert rig.room.note("api") == "auto 1..3: cpu 98 % of the limit over 60 s, above 80 %: 1 -> 2"
    rig.begin_anew()
    await rig.run(30, cpu=49)
    assert len(rig.begun) == 1
    (known,) = rig.known
    rig.known[known] = Operation(known, "scale", ("api",), Actor("agent"), "", OperationState.CANCELLED, ())
    await rig.run(5, cpu=49)
    assert rig.told("scaling.held") == ["api: 1 -> 2 has failed: it was cancelled"]
    rig.known.clear()
    rig.begin_anew()
    await rig.run(5, cpu=49)


async def test_an_agent_that_was_killed_before_it_began_tries_again_later(rig: Rig) -> None:
    class Killed(BaseException):
        pass

    rig.refuse = Killed()  # type: ignore[assignment]
    with pytest.raises(Killed):
        await rig.run(60, cpu=49)
    rig.refuse = None
    rig.begin_anew()
    await rig.run(50, cpu=49)
    assert rig.begun == []
    assert rig.room.note("api").startswith("auto 1..3: held: the last change failed; tried again in")
    await rig.run(60, cpu=49)
    assert [number for _, number, _ in rig.begun] == [2]


async def test_a_number_by_somebody_else_begins_the_cooldown(rig: Rig) -> None:
    await rig.run(40, cpu=1)
    rig.set_number("api", 2)
    await rig.run(30, cpu=49)
    assert rig.begun == []
    assert "looked at again in" in rig.room.note("api")


async def test_it_ends_and_begins_anew(rig: Rig) -> None:
    await rig.run(60, cpu=49)
    rig.room.override("api", {"auto": Override(False, "ada", rig.now)})
    await rig.run(600, cpu=49)
    assert len(rig.begun) == 1
    assert (rig.room.note("api"), rig.store.setting("scaling.api")) == ("", None)
    rig.room.override("api", {"auto": None})
    await rig.run(60, cpu=49)
    assert len(rig.begun) == 2


async def test_a_clock_that_jumps(rig: Rig) -> None:
    await rig.run(60, cpu=49)
    rig.now -= 86400 * SECOND
    await rig.run(150, cpu=49)
    assert [number for _, number, _ in rig.begun] == [2, 3]
    rig.now += 2 * 86400 * SECOND
    await rig.run(200, cpu=49)
    assert len(rig.begun) == 2


async def test_another_limit_is_another_measure(rig: Rig) -> None:
    """Shares of the limit from before would be wrong ones."""
    await rig.run(25, cpu=49)
    rig.spec = Spec({"api": replace(rig.spec.services["api"], limits=LimitsSpec(cpu=1.0))})
    await rig.run(400, cpu=49)
    assert rig.begun == []
