"""The graph screen as a person uses it, on a made-up fleet."""

from bhtui.console.models.panels import Subject
from bhtui.console.screens.fleet import FleetScreen
from bhtui.console.screens.goto import GotoScreen
from bhtui.console.screens.graphs import GraphScreen
from bhtui.console.screens.host import HostScreen
from bhtui.console.screens.logs import LogScreen
from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1 import metrics_pb2
from snapshots.world import NOW

from .test_app import Session, open_host, session  # noqa: F401 - the fixture


async def graphs(session: Session, *names: str) -> GraphScreen:  # noqa: F811
    session.app.go_graphs(list(names[:1]) or ["web-07"], *names[1:])
    await session.on(GraphScreen)
    screen = session.app.screen
    assert isinstance(screen, GraphScreen)
    await session.until(screen.grid.seen, "no graphs")
    return screen


async def test_the_graphs_of_a_service_open_by_key_and_lead_back(session):  # noqa: F811
    await open_host(session)
    await session.press("V")
    await session.on(GraphScreen)
    await session.shows("latency p95")
    await session.shows("limit 512 M")
    await session.press("escape")
    await session.on(HostScreen)


async def test_marked_hosts_are_compared(session):  # noqa: F811
    await session.press("space", "down", "space", "V")
    await session.on(GraphScreen)
    screen = session.app.screen
    await session.until(screen.grid.seen, "no graphs")
    hosts = {one.host for panel in screen.grid.seen() for one in panel.subjects}
    assert len(hosts) > 1
    await session.press("escape")
    await session.on(FleetScreen)


async def test_whose_and_what(session):  # noqa: F811
    screen = await graphs(session, "web-07", "api-1")
    assert screen.scope.name == "api-1"
    await session.press("h")
    await session.shows("the host")
    await session.until(
        lambda: {p.metric for p in screen.grid.seen()} >= {"load1", "disk_used_percent"}, "host figures"
    )
    await session.press("h", "h")
    await session.shows("5 instances")
    await session.until(lambda: len({p.subjects for p in screen.grid.seen()}) == 5, "five instances")
    await session.press("o")
    await session.until(lambda: all(len(panel.subjects) == 5 for panel in screen.grid.seen()), "together")
    await session.shows("a ━ identity-1")
    await session.press("M")
    await session.on(GotoScreen)
    await session.press(*"memory", "down", "enter")
    await session.on(GraphScreen)
    await session.until(lambda: {panel.metric for panel in screen.grid.seen()} == {"memory_bytes"}, "one metric")


async def test_services_are_asked_for_as_a_whole(session, monkeypatch):  # noqa: F811
    asked: list[metrics_pb2.SeriesRequest] = []
    series = session.world.series

    async def noted(host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        asked.append(request)
        return await series(host, request)

    monkeypatch.setattr(session.world, "series", noted)
    screen = await graphs(session)
    await session.press("h")
    await session.until(lambda: asked and asked[-1].by_service, "not as a whole")
    assert Subject("web-07", "api", True) in screen.scope.subjects
    assert "api" in asked[-1].names


async def test_time_is_zoomed_panned_and_found(session):  # noqa: F811
    screen = await graphs(session)
    await session.press("right_square_bracket", "right_square_bracket")
    await session.shows("1 h")
    await session.press("comma")
    await session.until(lambda: screen.grid.back == 1800, "not back")
    await session.shows("up to 02:4")
    await session.press("p")
    peak = screen.grid.cursor
    assert peak is not None
    assert screen.grid.start <= peak <= screen.grid.end
    await session.press("left_square_bracket")
    assert screen.grid.start <= peak <= screen.grid.end
    await session.press("end")
    assert (screen.grid.cursor, screen.grid.back) == (None, 0.0)


async def test_a_graph_is_seen_alone_and_the_next_is_selected(session):  # noqa: F811
    screen = await graphs(session)
    first = screen.grid.seen()[0].key
    await session.press("enter")
    assert screen.grid.alone
    await session.press("tab")
    assert screen.grid.selected == screen.grid.seen()[1].key != first
    await session.press("escape")
    assert not screen.grid.alone
    assert session.app.screen is screen


async def test_a_time_goes_to_the_log_and_back(session):  # noqa: F811
    screen = await graphs(session, "web-07", "api-1")
    screen.grid.move(NOW - 100)
    await session.press("l")
    await session.on(LogScreen)
    pane = session.app.screen.log_pane
    await session.until(lambda: pane.cursor and abs(pane.cursor.time_ns / 1e9 - (NOW - 100)) < 20, "log not there")
    assert pane.scope == "api-1"
    await session.press("up", "up", "up")
    here = pane.cursor.time_ns / 1e9
    await session.press("escape")
    await session.on(GraphScreen)
    assert screen.grid.cursor == here


async def test_a_line_leads_to_the_graphs_of_its_time_and_back(session):  # noqa: F811
    session.app.go_logs(["web-07"], "")
    await session.on(LogScreen)
    pane = session.app.screen.log_pane
    await session.until(lambda: pane.model.shown, "no lines")
    await session.press(*["up"] * 5)
    line = pane.cursor
    await session.press("z")
    await session.on(GraphScreen)
    grid = session.app.screen.grid
    await session.until(grid.seen, "no graphs")
    assert grid.cursor == line.time_ns / 1e9
    assert session.app.screen.instance == line.instance
    await session.press("left", "left")
    there = grid.cursor
    await session.press("escape")
    await session.on(LogScreen)
    await session.until(lambda: abs(pane.cursor.time_ns / 1e9 - there) < 2, "the log did not follow")


async def test_a_host_that_cannot_be_asked_says_why(session, monkeypatch):  # noqa: F811
    async def refused(host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        raise NoConnection(f"cannot reach {host}: no route to host")

    monkeypatch.setattr(session.world, "series", refused)
    session.app.go_graphs(["edge-3"])
    await session.on(GraphScreen)
    await session.shows("cannot reach edge-3: no route to host")
