"""Hosts on which nothing is declared, as a person meets them."""

from __future__ import annotations

import pytest
from textual.widgets import Button, Input

from bhtui.console.app import Console
from bhtui.console.columns.overview import without_folder
from bhtui.console.options import Options
from bhtui.console.screens.confirm import PlanScreen
from bhtui.console.screens.fleet import FleetScreen
from bhtui.console.screens.goto import GotoScreen
from bhtui.console.screens.host import HostScreen
from bhtui.console.screens.overview import OverviewScreen, ThingScreen
from bhtui.console.sources.message import Seen
from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb
from bhtui.rpc.blackhole.v1 import status_pb2
from snapshots.bare import BareWorld
from snapshots.hosts import NOW

from .test_app import Clock, Session


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/usr/lib/jvm/bin/java -jar a.jar", "java -jar a.jar"),
        ("./run.sh", "run.sh"),
        ("sshd: root@notty", "sshd: root@notty"),
        ("[kworker/0:1]", "[kworker/0:1]"),
        ("", ""),
    ],
)
def test_a_command_is_told_without_the_folder_of_its_program(command, told):
    assert without_folder(command) == told


@pytest.fixture
async def session(request):
    """A console on hosts without services; a parameter may hold options."""
    options = Options(frames=100.0, actor="ada", origin="desk", **getattr(request, "param", {}))
    world, clock = BareWorld(), Clock()
    app = Console(world, clock, options)
    async with app.run_test(size=(120, 40)) as pilot:
        found = Session(pilot, app, world, clock)
        await found.until(lambda: app.fleet.hosts["tiny-1"].overview, "the world has not spoken")
        yield found


async def opened(session: Session, *keys: str) -> OverviewScreen:
    await session.press("enter")
    await session.on(OverviewScreen)
    await session.shows("report.service", "LISTENING")
    screen = session.app.screen
    assert isinstance(screen, OverviewScreen)
    await session.press(*keys)
    return screen


async def test_the_fleet_says_what_failed_where_nothing_is_declared(session):
    await session.shows("! shop-1: 1 unit failed", "└ 1 unit failed: report.service")


async def test_a_host_without_services_shows_what_it_runs(session):
    await opened(session)
    await session.shows(
        "reboot wanted for linux-image", "90 % of 40 G /var, 68 % of inodes", "exit 3, after 5 restarts, 2 h ago",
        "0.0.0.0:9000", "python3", "metrics-ui", "not seen: the processes of 1 of 6",
    )  # fmt: skip


@pytest.mark.parametrize("session", [{"open_host": "shop-1"}], indirect=True)
async def test_it_takes_the_place_of_the_empty_list_as_soon_as_that_is_known(session):
    await session.on(OverviewScreen)
    await session.press("escape")
    await session.on(FleetScreen)


async def test_the_services_are_there_for_who_wants_them(session):
    await session.press("enter")
    await session.on(OverviewScreen)
    await session.press("h")
    await session.on(HostScreen)
    await session.shows("no services are declared", "O shows what runs here nevertheless")
    await session.press("O")
    await session.on(OverviewScreen)


async def test_a_filter_is_for_all_lists(session):
    screen = await opened(session, "slash", *"nginx", "enter")
    await session.until(lambda: [len(pane.rows) for pane in screen.lists] == [1, 1, 1, 0], "not filtered")
    await session.shows("1 of 7", "nothing passes the filter")
    await session.press("escape")
    await session.until(lambda: len(screen.units.rows) == 7, "not cleared")


async def test_enter_shows_all_that_is_known_of_a_thing(session):
    await opened(session, "down", "down", "down", "enter")
    await session.on(ThingScreen)
    await session.shows(
        "NGINX.SERVICE", "A high performance web server", "tcp 0.0.0.0:80", "blackhole adopt nginx.service"
    )
    await session.press("escape")
    await session.on(OverviewScreen)
    await session.press("4", "enter")
    await session.on(ThingScreen)
    await session.shows("ghcr.io/x/metrics-ui:3", "node server.js", "blackhole adopt container:metrics-ui")


async def test_what_is_gone_is_said_to_be(session):
    await opened(session, "3", "enter")
    await session.on(ThingScreen)
    view = session.app.host("shop-1")
    session.world.overview = session.world.hosts  # never asked again with success
    gone = type(view.overview)()
    session.app.take(Seen(NOW, "shop-1", gone))
    await session.shows("is not among what is busy or listens here any more")
    await session.press("a")
    assert isinstance(session.app.screen, ThingScreen)


@pytest.mark.parametrize(
    ("keys", "target"),
    [
        (["3", "down"], "2231"),
        (["3"], "postgresql@15-main.service"),
        (["2", "down", "down", "down"], "container:metrics-ui"),
        (["1"], "report.service"),
    ],
)
async def test_adopting_shows_the_text_and_then_begins(session, keys, target):
    await opened(session, *keys, "a")
    await session.on(PlanScreen)
    await session.until(lambda: session.app.screen.planned, "no plan")
    await session.shows("write shop into", "working_dir: /srv/shop", "goes on and is not ours yet")
    session.app.screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.until(lambda: session.world.begun, "not begun")
    [(host, request)] = session.world.begun
    assert (host, request.adopt.target) == ("shop-1", target)


async def test_the_keys_go_to_a_list_that_has_something(session):
    busy = pb.OverviewProcess(pid=7, name="x", command="x")
    session.world.answers["tiny-1"] = pb.OverviewResponse(
        processes=[busy], unseen=["units: systemd does not run this host"]
    )
    session.app.take(Seen(NOW, "tiny-1", session.world.answers["tiny-1"]))
    session.app.go("overview", "tiny-1")
    await session.on(OverviewScreen)
    await session.until(lambda: session.app.screen.processes.has_focus, "the list of processes has no focus")
    await session.shows("systemd does not run this host", "adopt..")


async def test_what_nobody_could_start_again_has_no_such_key(session):
    await opened(session, "2", "end")
    assert "adopt.." not in session.text()
    await session.press("a")
    assert isinstance(session.app.screen, OverviewScreen)


@pytest.mark.parametrize("session", [{"read_only": True}], indirect=True)
async def test_readers_look_and_do_not_adopt(session):
    await opened(session, "3", "down", "a")
    assert "adopt.." not in session.text()
    assert isinstance(session.app.screen, OverviewScreen)


async def test_a_host_that_does_not_answer_says_so_and_is_asked_again(session, monkeypatch):
    async def refuse(host):
        raise NoConnection("cannot reach it: no route to host")

    monkeypatch.setattr(session.world, "overview", refuse)
    monkeypatch.setattr("bhtui.console.screens.overview.PERIOD", 0.01)
    view = session.app.fleet.hosts["tiny-1"]
    session.app.fleet.hosts["tiny-1"] = type(view)(view.info, view.link)
    session.app.go("overview", "tiny-1")
    await session.on(OverviewScreen)
    await session.shows("cannot reach it: no route to host")
    monkeypatch.undo()
    await session.shows("systemd does not run this host")


async def test_it_is_reached_from_anywhere_by_name(session):
    await opened(session, "f1", "down", "O")
    await session.until(lambda: session.app.screen.host == "tiny-1", "another host")
    await session.press("f1", "down", "enter", "colon")
    await session.on(GotoScreen)
    await session.press(*"overview")
    assert session.app.screen.query_one(Input).value == "overview"
    await session.press("enter")
    await session.on(OverviewScreen)


async def test_once_there_are_services_the_host_shows_them(session):
    one = status_pb2.InstanceStatus(service="shop", instance="shop-1", state="running", goal="up")
    session.app.take(Seen(NOW, "shop-1", status_pb2.Snapshot(instances=[one])))
    session.app.go("host", "shop-1")
    await session.on(HostScreen)
    assert "unit failed" not in session.text()


async def test_only_the_list_with_the_keys_looks_as_if_it_had_them(session) -> None:
    lists = (await opened(session)).lists
    for number in "3142":
        await session.press(number)
        await session.until(
            lambda number=number: _lit(lists) == [number], f"list {number} is not the only one that is lit"
        )


def _lit(lists) -> list[str]:
    return [pane.number for pane in lists if pane.lines and pane.lines[0].spans[0][1] == "title-on"]
