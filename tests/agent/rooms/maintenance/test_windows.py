"""Windows that are declared and those that people open: which count, what they hold, what outlives the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bhtui.agent.events.log import EventLog
from bhtui.agent.rooms.maintenance import steps
from bhtui.agent.rooms.maintenance.calendar import SECOND
from bhtui.agent.rooms.maintenance.room import Maintenance
from bhtui.agent.store import Store
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.core.maintenance import WindowSpec
from bhtui.core.request import CloseWindowRequest, OpenWindowRequest
from bhtui.core.spec import ServiceSpec, Spec
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.waiting import eventually

NIGHT = WindowSpec("night", "0 2 * * *", 3600.0, timezone="UTC")
SUNDAY = WindowSpec("sunday", "30 2 * * SUN", 7200.0, ("db",), "UTC")
SPEC = Spec({name: ServiceSpec(name, (name,)) for name in ("api", "db")}, windows=(NIGHT, SUNDAY))


def at(day: int, hour: int, minute: int = 0) -> int:
    """A moment of March 2026; the 1st is a Sunday."""
    return round(datetime(2026, 3, day, hour, minute, tzinfo=UTC).timestamp()) * SECOND


@dataclass
class One:
    name: str
    service: str
    held: str


@dataclass
class Instances:
    spec: Spec = SPEC
    picture: dict[str, One] = field(default_factory=dict)
    looks: int = 0

    def look_at_holds(self) -> None:
        self.looks += 1


class World:
    def __init__(self, path: Path, now: int) -> None:
        self.path, self.now = path, now
        self.instances = Instances()
        self.open()

    def open(self) -> None:
        self.store = Store(self.path)
        self.events = EventLog(self.store)
        self.room = Maintenance(self.store, self.instances, self.events, lambda: self.now, lambda _: UTC)

    def restart(self) -> None:
        self.store.close()
        self.open()

    def messages(self) -> list[str]:
        return [event.message for event in self.events.read() if event.kind.startswith("window.")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "agent.db", at(1, 1))
    yield made
    made.store.close()


async def do(world: World, request: OpenWindowRequest | CloseWindowRequest, operation: str = "0123456789") -> None:
    plan = world.room.plan(request)
    kinds = {kind.name: kind for kind in steps.kinds(world.room)}
    [step] = plan.steps
    await check_do_twice(Case(kinds[step.kind], step.target, lambda: None, step.args, lambda: asyncio.sleep(0)))


def test_a_declared_window_holds_in_its_time_and_only_its_services(world: World) -> None:
    assert world.room.held("api") == ""
    assert [(each.id, each.open) for each in world.room.windows()] == [("night", False), ("sunday", False)]
    world.now = at(1, 2)
    assert world.room.held("api") == 'maintenance window "night" until 03:00'
    world.now = at(1, 2, 45)
    assert world.room.held("api") == 'maintenance window "night" until 03:00'
    assert world.room.held("db") == 'maintenance window "sunday" until 04:30'
    world.now = at(1, 3)
    assert world.room.held("api") == ""
    world.now = at(1, 1)  # somebody sets the clock back
    assert world.room.held("db") == ""


def test_another_configuration_holds_at_once(world: World) -> None:
    world.now = at(1, 2)
    assert world.room.held("api")
    world.instances.spec = replace(SPEC, windows=())
    assert world.room.held("api") == ""


async def test_opening_and_closing_are_told_once_also_across_a_restart(world: World) -> None:
    world.now = at(1, 2)
    world.room.look()
    world.room.look()
    world.restart()
    world.room.look()
    assert world.messages() == ['maintenance window "night" until 03:00: automatic restarts of all services are held']
    world.now = at(1, 3)
    world.restart()
    world.room.look()
    assert world.messages()[1:] == [
        'maintenance window "sunday" until 04:30: automatic restarts of db are held',
        'maintenance window "night" is closed',
    ]


async def test_one_that_a_person_opens_outlives_the_agent_and_closes_by_itself(world: World) -> None:
    await do(world, OpenWindowRequest(3600.0, ("api",)))
    assert world.room.held("api") == 'maintenance window "suite" until 02:00'
    assert world.room.held("db") == ""
    world.restart()
    assert world.room.held("api") == 'maintenance window "suite" until 02:00'
    world.now = at(1, 2)
    world.room.look()
    assert "suite" not in [each.id for each in world.room.windows()]
    assert world.room.book.opened == {}


async def test_a_declared_one_is_closed_early_and_opens_when_its_time_comes_next(world: World) -> None:
    world.now = at(2, 2, 10)
    await do(world, CloseWindowRequest())
    assert world.room.held("api") == ""
    world.restart()
    world.now = at(2, 2, 59)
    assert world.room.held("api") == ""
    assert world.room.windows()[0].from_ns == at(3, 2)
    world.now = at(3, 2)
    assert world.room.held("api")


def test_a_plan_says_whom_it_holds_and_what_it_starts(world: World) -> None:
    [step] = world.room.plan(OpenWindowRequest(90000.0)).steps
    assert step.title == "hold automatic restarts of all services until Mon 02:00"
    world.now = at(2, 2, 10)
    world.instances.picture = {"api-1": One("api-1", "api", "night"), "db-1": One("db-1", "db", "night")}
    plan = world.room.plan(CloseWindowRequest("night"))
    assert plan.effects == ("started again: api-1, db-1",)
    assert plan.steps[0].title == 'close maintenance window "night", which was to be open until 03:00'


def test_what_makes_no_sense_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="1 s to 366 days"):
        world.room.plan(OpenWindowRequest(0.0))
    with pytest.raises(UsageError, match="1 s to 366 days"):
        world.room.plan(OpenWindowRequest(float("nan")))
    with pytest.raises(NotFound, match="cannot find apu"):
        world.room.plan(OpenWindowRequest(60.0, ("apu",)))
    with pytest.raises(Refused, match="none is open"):
        world.room.plan(CloseWindowRequest())
    world.now = at(1, 2, 45)
    with pytest.raises(UsageError, match="name one of night, sunday"):
        world.room.plan(CloseWindowRequest())
    with pytest.raises(NotFound, match="open are: night, sunday"):
        world.room.plan(CloseWindowRequest("nigh"))


async def test_the_watch_wakes_when_a_window_opens_or_closes(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(world.room.watch())
        await eventually(lambda: world.instances.looks)
        await do(world, OpenWindowRequest(3600.0))
        await eventually(lambda: world.messages())
        watch.cancel()


async def test_the_steps_stand_the_suite(world: World) -> None:
    kinds = {kind.name: kind for kind in steps.kinds(world.room)}
    seen = lambda: (sorted(world.room.book.opened), dict(world.room.book.closed))  # noqa: E731
    cases = []
    for request in (OpenWindowRequest(60.0), CloseWindowRequest("night")):
        world.now = at(2, 2, 10)
        [step] = world.room.plan(request).steps
        cases.append(Case(kinds[step.kind], step.target, seen, step.args))
    await do(world, OpenWindowRequest(60.0, ("db",)))
    [step] = world.room.plan(CloseWindowRequest("suite")).steps
    cases.append(Case(kinds[step.kind], step.target, seen, step.args))
    for case in cases:
        await check_do_twice(case)
        await check_crash_and_do(case)
        await check_do_and_undo(case)
