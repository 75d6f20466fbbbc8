"""The console as a person uses it, on a made-up fleet."""

import json
import time
from dataclasses import replace

import pytest
from textual import events
from textual.widgets import Button, Input

from bhtui.console.actions import BY_ID, Target
from bhtui.console.app import Console
from bhtui.console.models.logflow import Flow
from bhtui.console.models.trouble import Level, trouble_text
from bhtui.console.options import Options
from bhtui.console.panes.graphs import GraphPane
from bhtui.console.panes.logs import LogPane
from bhtui.console.screens.ask import AskScreen
from bhtui.console.screens.confirm import ConfirmScreen, PlanScreen, headline
from bhtui.console.screens.fleet import FleetScreen
from bhtui.console.screens.goto import GotoScreen, HelpScreen
from bhtui.console.screens.host import HostScreen
from bhtui.console.screens.instance import InstanceScreen
from bhtui.console.screens.logs import LogScreen
from bhtui.console.screens.operations import OperationsScreen
from bhtui.console.screens.write import WriteScreen
from bhtui.console.sources.message import HostInfo, LinkSeen, LogsSeen, Seen
from bhtui.console.widgets.bars import TopLine, worst_badge
from bhtui.core.errors import NotFound, Refused
from bhtui.rpc.blackhole.v1 import events_pb2, logs_pb2, operations_pb2, status_pb2
from snapshots.hosts import NOW, ns
from snapshots.story import log_lines
from snapshots.world import World


def give(pane: LogPane, batch: logs_pb2.LogBatch) -> None:
    """Has a log pane take lines in, as its screen does."""
    flow = Flow(["web-07"], {}, pane.model.order)
    pane.take(flow.step([("web-07", batch)], pane.model.filter, pane.model.order, ns(0)))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Session:
    """A running console and the keys pressed on it."""

    def __init__(self, pilot, app: Console, world: World, clock: Clock) -> None:
        self.pilot, self.app, self.world, self.clock = pilot, app, world, clock

    async def until(self, condition, what: str = "", deadline: float = 60.0) -> None:
        end = time.monotonic() + deadline
        while not condition():
            assert time.monotonic() < end, what or condition
            await self.pilot.pause(0.01)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def on(self, screen: type) -> None:
        await self.until(lambda: isinstance(self.app.screen, screen) and self.app.screen.is_mounted, f"not on {screen}")
        await self.pilot.pause()

    def text(self) -> str:
        """Everything that is drawn."""
        canvases = self.app.screen.query("Canvas")
        return "\n".join("".join(text for text, _ in line.spans) for canvas in canvases for line in canvas.lines)

    async def shows(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text() for text in texts), f"{texts} not in:\n{self.text()}")


@pytest.fixture
async def session(request):
    """A console on the made-up fleet; a parameter may hold options."""
    options = Options(frames=100.0, actor="ada", origin="desk", **getattr(request, "param", {}))
    world, clock = World(), Clock()
    app = Console(world, clock, options)
    async with app.run_test(size=(120, 40)) as pilot:
        found = Session(pilot, app, world, clock)
        await found.on(FleetScreen) if not options.open_host else await found.on(HostScreen)
        await found.until(lambda: len(app.fleet.hosts["stage-2"].events) > 0, "the world has not spoken")
        await pilot.pause(0.05)
        yield found


async def open_host(session: Session, name: str = "web-07") -> HostScreen:
    session.app.go("host", name)
    await session.on(HostScreen)
    screen = session.app.screen
    assert isinstance(screen, HostScreen)
    await session.until(lambda: screen.services.rows, "no services")
    await session.until(lambda: screen.log_pane.model.shown, "no lines")
    return screen


async def test_what_needs_a_person_comes_first(session):
    names = [row.key for row in session.app.screen.table.rows]
    assert names == ["edge-3", "web-07", "db-01", "cache-02", "stage-1", "stage-2", "web-01", "web-02"]
    await session.shows("api-1 backoff: exit 1 after 0.2 s", "crit 1", "stale 12 s", "no route")


async def test_the_cursor_stays_on_its_host_when_the_order_changes(session):
    await session.press("down", "down", "down", "down")
    table = session.app.screen.table
    assert table.cursor_key == "stage-1"
    failed = status_pb2.InstanceStatus(service="api", instance="api-1", state="failed", goal="up")
    session.world.later.put_nowait(Seen(NOW, "stage-1", status_pb2.Snapshot(instances=[failed])))
    await session.until(lambda: [row.key for row in table.rows].index("stage-1") == 1, "order did not change")
    assert table.cursor_key == "stage-1"


async def test_a_host_that_falls_silent_is_stale_and_others_are_not(session):
    session.clock.now += 6
    session.world.later.put_nowait(Seen(NOW + 6, "web-01", status_pb2.Snapshot()))
    await session.until(lambda: "stale 6 s" in session.text(), session.text())
    row = next(line for line in session.text().splitlines() if "web-01" in line)
    assert "live" in row


async def test_the_filter_says_how_many_of_how_many(session):
    await session.press("slash", *"web", "enter")
    await session.shows("/web", "3 of 8")
    await session.press("escape")
    await session.shows("8 hosts")


async def test_what_is_typed_ahead_of_a_prompt_goes_into_it(session):
    for key in ("slash", *"queue"):
        session.app.post_message(events.Key(key, "/" if key == "slash" else key))
    await session.until(lambda: session.app.screen.filter_text() == "queue", "it was taken for keys of the list")
    await session.press("escape")
    for key in ("colon", *"we"):
        session.app.post_message(events.Key(key, ":" if key == "colon" else key))
    await session.on(GotoScreen)
    await session.until(lambda: session.app.screen.query_one(Input).value == "we", "it was lost")


async def test_groups_faults_and_sorting(session):
    table = session.app.screen.table
    await session.press("F")
    assert [row.key for row in table.rows] == ["edge-3", "web-07", "db-01", "cache-02"]
    await session.press("escape", "g", "g")
    assert [row.key for row in table.rows] == ["edge-3"]
    await session.press("escape", "S")
    await session.until(lambda: table.rows[0].key == "cache-02", "not sorted by name")


async def test_enter_goes_deeper_and_escape_comes_back(session):
    await session.press("down", "enter")
    await session.on(HostScreen)
    await session.until(lambda: session.app.screen.services.rows)
    await session.press("enter")
    await session.on(InstanceScreen)
    await session.shows("last error", "bind 0.0.0.0:8080", "restarts")
    await session.press("escape")
    await session.on(HostScreen)
    await session.press("escape")
    await session.on(FleetScreen)
    await session.press("escape")
    await session.on(FleetScreen)


async def test_the_reason_stands_under_its_row(session):
    await open_host(session)
    await session.shows("└ exit 1 after 0.2 s: bind 0.0.0.0:8080: address in use by", "nginx(2231)")


async def test_production_wants_the_name_typed_and_cancel_is_the_default(session):
    await open_host(session)
    await session.press("r")
    await session.on(PlanScreen)
    await session.until(lambda: session.app.screen.planned, "no plan")
    await session.shows("stop api-1: SIGTERM", "nginx depends on api", "took 4.1 s (6 times, 3.9 to 5.2 s)")
    screen = session.app.screen
    assert session.app.focused is screen.query_one("#cancel")
    assert screen.query_one("#go", Button).disabled
    await session.press("enter")
    await session.on(HostScreen)
    await session.shows("restart: nothing was changed")
    assert session.world.begun == []


async def test_a_confirmed_plan_is_begun_once_with_its_reason_and_watched(session):
    await open_host(session)
    await session.press("r")
    await session.on(PlanScreen)
    await session.until(lambda: session.app.screen.planned, "no plan")
    screen = session.app.screen
    screen.query_one("#reason", Input).value = "port conflict"
    screen.query_one("#typed", Input).value = "web-07"
    await session.until(lambda: not screen.query_one("#go", Button).disabled, "still disabled")
    screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.on(HostScreen)
    await session.until(lambda: session.world.begun, "not begun")
    await session.shows("✓ restart api on web-07 done in 4.1 s")
    [(host, request)] = session.world.begun
    assert (host, list(request.restart.services), request.reason) == ("web-07", ["api"], "port conflict")
    assert (request.actor.name, request.actor.origin, len(request.id)) == ("ada", "desk", 32)


async def test_marked_services_are_acted_on_together(session):
    await open_host(session, "stage-1")
    await session.press("space", "space", "x")
    await session.on(PlanScreen)
    await session.until(lambda: session.app.screen.planned, "no plan")
    assert not session.app.screen.to_type
    session.app.screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.until(lambda: session.world.begun, "not begun")
    assert list(session.world.begun[0][1].stop.services) == ["nginx", "api"]


async def test_marked_hosts_are_acted_on_together(session):
    await session.press("end", "space", "up", "space", "r")
    await session.on(PlanScreen)
    await session.until(lambda: session.app.screen.planned, "no plan")
    await session.shows("web-01", "web-02", "2 steps")
    session.app.screen.query_one("#typed", Input).value = "2 hosts"
    await session.until(lambda: not session.app.screen.query_one("#go", Button).disabled, "still disabled")
    session.app.screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.until(lambda: len(session.world.begun) == 2, "not begun on both")
    await session.shows("restart on 2 hosts: 2 ended")


async def test_a_plan_that_is_refused_cannot_be_begun(session, monkeypatch):
    async def refuse(host, request):
        raise Refused("cannot restart api: it is not declared")

    monkeypatch.setattr(session.world, "plan", refuse)
    await open_host(session, "stage-1")
    await session.press("r")
    await session.on(PlanScreen)
    await session.shows("cannot restart api: it is not declared")
    assert session.app.screen.query_one("#go", Button).disabled


async def test_a_refused_begin_is_told(session, monkeypatch):
    async def refuse(host, request):
        raise Refused("cannot restart api: operation 3f9a holds it")

    monkeypatch.setattr(session.world, "begin", refuse)
    await open_host(session, "stage-1")
    await session.press("r")
    await session.on(PlanScreen)
    await session.until(lambda: session.app.screen.planned, "no plan")
    session.app.screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.shows("✗ cannot restart api: operation 3f9a holds it")


@pytest.mark.parametrize("session", [{"read_only": True}], indirect=True)
async def test_readers_have_no_keys_that_change_anything(session):
    await open_host(session)
    assert "restart.." not in session.text()
    await session.press("r", "s", "x")
    assert isinstance(session.app.screen, HostScreen)
    await session.press("question_mark")
    await session.on(HelpScreen)
    assert "restart.." not in session.text()


async def test_a_read_only_host_has_no_such_keys_either(session):
    await session.press("x")
    assert isinstance(session.app.screen, FleetScreen)


@pytest.mark.parametrize("session", [{"keymap": {"restart": "ctrl+r"}}], indirect=True)
async def test_a_keymap_moves_a_key(session):
    await open_host(session)
    await session.shows("ctrl-r restart..")
    await session.press("r")
    assert isinstance(session.app.screen, HostScreen)
    await session.press("ctrl+r")
    await session.on(PlanScreen)


def late_lines(count: int, ago: float = -1.0) -> logs_pb2.LogBatch:
    return logs_pb2.LogBatch(
        lines=[
            logs_pb2.LogLine(time_ns=ns(ago - n / 1000), instance="api-1", level="info", message=f"new {n}")
            for n in range(count)
        ]
    )


def read(pane: LogPane) -> list[str]:
    """The lines on the screen, without the scroll bar."""
    return ["".join(text for text, _ in line.spans).rstrip(" ▐") for line in pane.lines[2:]]


async def test_following_moves_and_reading_does_not(session):
    screen = await open_host(session)
    pane = screen.log_pane
    await session.press("2")
    give(pane, late_lines(3))
    await session.shows("new 2")
    await session.press("up", "up", "up", "pageup")
    before = read(pane)
    give(pane, late_lines(1204, ago=-5))
    await session.shows("+1,204 new")
    assert read(pane) == before
    # A line that comes late, in the middle of what is read, pushes nothing away: it is there when the reader moves.
    late = logs_pb2.LogLine(time_ns=pane.cursor.time_ns + 1, instance="api-1", message="came late")
    give(pane, logs_pb2.LogBatch(lines=[late]))
    await session.shows("+1,205 new")
    assert read(pane) == before
    await session.press("down")
    assert any("came late" in line for line in read(pane))
    await session.press("end")
    await session.shows("follow ●", "new 1203")


async def test_a_crash_stands_between_the_lines(session):
    screen = await open_host(session)
    data = json.dumps({"to": "backoff", "reason": "killed by SIGSEGV"})
    crash = events_pb2.Event(
        seq=10**6, kind="instance.state", target="api-1", message="api-1 backoff", data=data, time_ns=ns(0)
    )
    session.app.take(Seen(NOW, "web-07", events_pb2.EventBatch(events=[crash])))
    await session.shows("── killed by SIGSEGV ──")
    lines = len(screen.log_pane.model.entries)
    session.app.refresh_soon()
    await session.pilot.pause(0.1)
    assert len(screen.log_pane.model.entries) == lines


async def test_what_is_over_a_rate_limit_is_in_the_title_of_the_log(session):
    screen = await open_host(session)
    assert "over limit" not in session.text()
    status = status_pb2.InstanceStatus()
    status.CopyFrom(session.app.host("web-07").instances["api-1"].status)
    status.log_dropped.MergeFrom(status_pb2.LogDropped(lines=48210, bytes=3_000_000, seconds=3, limit="9 lines in 1 s"))
    session.app.take(Seen(NOW, "web-07", status_pb2.Snapshot(instances=[status])))
    await session.shows("48,210 over limit")
    status.log_dropped.seconds = 700
    session.app.take(Seen(NOW, "web-07", status_pb2.Snapshot(instances=[status])))
    await session.until(lambda: "over limit" not in session.text())
    assert screen.log_pane.limited == {"web-07": 0}


async def test_a_reader_behind_a_flood_is_told_and_can_skip(session):
    screen = await open_host(session)
    await session.press("2")
    give(screen.log_pane, late_lines(200, ago=40))
    await session.shows("behind")
    await session.press("end")
    await session.shows("skipped what was written in", "follow ●")


async def test_a_number_of_replicas_is_asked_for_before_the_plan(session):
    await open_host(session, "stage-1")
    await session.press("N")
    await session.on(AskScreen)
    assert "nginx has 1" in str(session.app.screen.query_one("#about").render())
    await session.press("x", "enter")
    assert "type a number from 0 to 1000, 1..5 or auto to follow the load" in str(
        session.app.screen.query_one("#about").render()
    )
    await session.press("backspace", "4", "enter")
    await session.on(PlanScreen)
    await session.until(lambda: not session.app.screen.query_one("#go", Button).disabled, "still disabled")
    session.app.screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.until(lambda: session.world.begun, "not begun")
    [(host, request)] = session.world.begun
    assert (host, list(request.scale.services), request.scale.replicas) == ("stage-1", ["nginx"], 4)


async def test_the_declared_number_of_replicas_is_a_word_and_escape_asks_nothing(session):
    await open_host(session, "stage-1")
    await session.press("N")
    await session.on(AskScreen)
    await session.press("escape")
    await session.on(HostScreen)
    await session.press("N")
    await session.on(AskScreen)
    await session.press(*"reset", "enter")
    await session.on(PlanScreen)
    request = session.app.screen.verb.request(["api"])
    assert (request.WhichOneof("request"), request.scale.HasField("replicas")) == ("scale", False)


async def test_a_long_plan_can_be_read_to_its_end(session, monkeypatch):
    async def plan(host, request):
        return operations_pb2.OperationPlan(
            kind="restart", steps=[operations_pb2.PlanStep(title=f"step {n} of many") for n in range(60)]
        )

    monkeypatch.setattr(session.world, "plan", plan)
    await open_host(session)
    await session.press("r")
    await session.on(PlanScreen)
    await session.shows("step 0 of many", "more: ↓")
    await session.press(*["pagedown"] * 10)
    await session.shows("step 59 of many", "above: ↑")


async def test_lost_lines_are_counted(session):
    screen = await open_host(session)
    give(screen.log_pane, logs_pb2.LogBatch(dropped=12))
    await session.shows("12 lost")


async def test_lines_are_filtered_found_marked_and_exported(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session.app.go_logs(["web-07"], "")
    await session.on(LogScreen)
    pane = session.app.screen.query_one(LogPane)
    await session.until(lambda: pane.model.shown, "no lines")
    await session.press("slash", *"bind", "enter")
    await session.until(lambda: all("bind" in entry.message for entry in pane.model.shown), "not filtered")
    await session.shows(f"{len(pane.model.shown)}/400")
    await session.press("x")
    [written] = tmp_path.glob("blackhole-logs-*.txt")
    assert len(written.read_text().splitlines()) == len(pane.model.shown)
    await session.press("escape", "home", "e")
    assert pane.cursor.rank >= 5
    here = pane.cursor
    await session.press("m", "end", "home", "apostrophe")
    assert pane.cursor == here
    await session.press("v", "v")
    assert all(entry.rank >= 4 for entry in pane.model.shown)
    await session.press("c", "f", "E", "left", "right", "y")
    await session.shows("copied the line")


async def test_too_much_is_not_copied(session):
    screen = await open_host(session)
    give(
        screen.log_pane,
        logs_pb2.LogBatch(lines=[logs_pb2.LogLine(time_ns=ns(-9), instance="api-1", message="x" * 80_000)]),
    )
    await session.press("2", "y")
    await session.shows("cannot copy 80,000 bytes")


async def test_a_filter_over_many_lines_is_made_by_a_worker(session):
    screen = await open_host(session)
    give(screen.log_pane, late_lines(20_000))
    screen.log_pane.set_filter("new 19999")
    await session.until(lambda: len(screen.log_pane.model.shown) == 1, "not filtered")
    screen.log_pane.set_filter("")
    await session.until(lambda: len(screen.log_pane.model.shown) > 20_000, "filter not taken away")


async def test_the_time_cursor_is_shared(session):
    screen = await open_host(session)
    await session.press("3", *["left"] * 5)
    assert screen.graphs.cursor is not None
    assert not screen.log_pane.follow
    assert abs(screen.log_pane.cursor.time_ns / 1e9 - screen.graphs.cursor) < 2
    await session.press("2", "up", "up")
    assert screen.graphs.cursor == screen.log_pane.cursor.time_ns / 1e9
    await session.press("end")
    assert screen.graphs.cursor is None


async def test_graphs_show_another_window_and_the_host(session):
    screen = await open_host(session)
    await session.press("3", "right_square_bracket")
    await session.shows("15 min")
    await session.press("h")
    assert screen.query_one(GraphPane).subject == "host"
    await session.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
    await session.shows("1 min")


async def test_panes_zoom(session):
    screen = await open_host(session)
    await session.press("2", "plus")
    assert not screen.graphs.parent.display
    assert screen.services.display
    await session.press("plus")
    assert not screen.services.display
    await session.press("underscore", "underscore", "z")
    assert not screen.services.display
    await session.press("escape")
    assert screen.graphs.parent.display
    await session.press("tab", "tab", "tab", "shift+tab")
    assert screen.backups.has_focus


async def test_go_anywhere_by_name(session):
    await session.press("colon")
    await session.on(GotoScreen)
    await session.press(*"db-01", "enter")
    await session.on(HostScreen)
    assert session.app.screen.host == "db-01"
    await session.press("ctrl+p")
    await session.on(GotoScreen)
    await session.press(*"operations", "enter")
    await session.on(OperationsScreen)
    await session.press("f1")
    await session.on(FleetScreen)


async def test_an_operation_is_cancelled_after_asking(session, monkeypatch):
    asked = []

    async def cancel(host, operation):
        asked.append((host, operation))
        raise NotFound("cannot cancel it: it has ended")

    monkeypatch.setattr(session.world, "cancel", cancel)
    await session.press("o")
    await session.on(OperationsScreen)
    await session.shows("restart", "running 1/3", "not ready yet")
    await session.press("c")
    await session.on(ConfirmScreen)
    await session.press("enter")
    await session.on(OperationsScreen)
    assert asked == []
    await session.press("c")
    await session.on(ConfirmScreen)
    session.app.screen.query_one("#yes", Button).focus()
    await session.press("enter")
    await session.shows("cannot cancel it: it has ended")
    assert asked == [("db-01", "b1d2c3e4f5a6978812345678deadbeef")]


@pytest.mark.parametrize(("key", "kind"), [("r", "resume"), ("b", "roll_back")])
async def test_what_a_reload_left_half_done_is_taken_up_after_its_plan_was_shown(session, monkeypatch, key, kind):
    asked = []

    async def plan(host, request):
        asked.append((host, getattr(request, kind).operation))
        steps = [operations_pb2.PlanStep(kind="service.stop", target="api-2", title="stop api-2: SIGTERM")]
        return operations_pb2.OperationPlan(kind="reload-config", steps=steps)

    monkeypatch.setattr(session.world, "plan", plan)
    failed = {"state": "failed", "created_ns": ns(0), "ended_ns": ns(0), "note": "`blackhole operations resume"}
    one = operations_pb2.Operation(id="fade" * 8, kind="reload-config", targets=["api"], **failed)
    session.app.take(Seen(session.app.now(), "stage-1", one))
    await session.press("o")
    await session.on(OperationsScreen)
    await session.press("home", "down")
    await session.shows("`blackhole operations resume")
    await session.press(key)
    await session.on(PlanScreen)
    await session.shows("stop api-2: SIGTERM")
    assert asked == [("stage-1", "fadefade")]
    session.app.screen.query_one("#go", Button).focus()
    await session.press("enter")
    await session.until(lambda: session.world.begun)
    assert session.world.begun[0][1].WhichOneof("request") == kind


async def test_events_are_filtered_and_lead_to_what_they_are_about(session):
    await session.press("n", "slash", *"degraded", "enter", "enter")
    await session.on(InstanceScreen)
    assert (session.app.screen.host, session.app.screen.instance) == ("db-01", "exporter-1")


async def test_keys_that_work_here_are_in_the_help(session):
    await session.press("question_mark")
    await session.on(HelpScreen)
    await session.shows("FLEET", "Logs of the selected or marked hosts")
    await session.press("escape")
    await session.on(FleetScreen)


async def test_a_key_in_the_bottom_line_can_be_clicked(session):
    await session.press("down")
    await session.until(lambda: "? help" in session.text())
    line = session.app.screen.query_one("BottomLine")
    x = "".join(text for text, _ in line.lines[0].spans).index("? help")
    await session.pilot.click("BottomLine", offset=(x, 0))
    await session.on(HelpScreen)


async def test_rows_can_be_clicked(session):
    await session.pilot.click("FleetTable", offset=(10, 5))
    assert session.app.screen.table.cursor_key == "db-01"
    await session.pilot.click("FleetTable", offset=(10, 5), times=2)
    await session.on(HostScreen)


async def test_markup_and_escapes_from_outside_are_only_text(session):
    screen = await open_host(session)
    give(
        screen.log_pane,
        logs_pb2.LogBatch(
            lines=[logs_pb2.LogLine(time_ns=ns(-9), instance="api-1", message="[bold red]a[/] \x1b[2Jb")]
        ),
    )
    await session.shows("[bold red]a[/] b")


async def test_a_theme_is_taken_when_it_is_saved(session, tmp_path):
    path = tmp_path / "mine.toml"
    text = session.app._theme_path.read_text()
    path.write_text(text)
    session.app._theme_path, session.app._theme_stamp = path, 0.0
    session.app._tick()
    path.write_text(text.replace("#0e1116", "#000001"))
    session.app._theme_stamp = 1.0
    session.app._tick()
    assert session.app.theme_now.colors["bg"] == "#000001"
    path.write_text("broken")
    session.app._theme_stamp = 1.0
    session.app._tick()
    await session.shows("cannot read the theme")
    await session.press("T")
    await session.shows("theme")


async def test_what_is_seen_is_recorded():
    seen = []
    app = Console(World(), lambda: NOW, Options(frames=100.0), seen.append)
    async with app.run_test(size=(80, 24)) as pilot:
        end = time.monotonic() + 20
        app.go("host", "web-07")
        while not {LogsSeen, LinkSeen} <= {type(one.body) for one in seen}:
            assert time.monotonic() < end
            await pilot.pause(0.01)


async def test_a_fault_of_ours_is_one_line_and_a_file(tmp_path):
    class Broken(World):
        async def run(self, sink):
            raise RuntimeError("no idea")

    app = Console(Broken(), lambda: NOW, Options(crash_file=tmp_path / "state" / "crash.txt"))
    with pytest.raises(Exception, match="no idea"):
        async with app.run_test() as pilot:
            await pilot.pause(2)
    assert "no idea" in (tmp_path / "state" / "crash.txt").read_text()


async def whole_log(session: Session) -> LogPane:
    session.app.go_logs(["web-07"], "")
    await session.on(LogScreen)
    pane = session.app.screen.query_one(LogPane)
    await session.until(lambda: pane.model.shown, "no lines")
    return pane


def half_of(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """Makes the tail short, so that there is more at the host; returns the time of its first line."""
    monkeypatch.setattr("bhtui.console.models.reading.TAIL", 100)
    monkeypatch.setattr("bhtui.console.models.reading.PAGE", 50)
    return sorted(line.time_ns for line in log_lines("web-07"))[-100]


async def test_errors_are_found_before_what_is_loaded(session, monkeypatch):
    first = half_of(session.world, monkeypatch)
    pane = await whole_log(session)
    assert pane.model.span[0] == first
    errors = [line.time_ns for line in log_lines("web-07") if line.level == "error" and line.time_ns < first]
    await session.press("home", *["E"])
    await session.until(lambda: pane.cursor.time_ns == max(errors), "not found")
    assert pane.cursor.rank >= 5
    assert not pane.follow
    await session.press("end")
    await session.shows("follow ●")


async def test_a_reader_who_goes_up_gets_older_lines_and_stays_where_he_is(session, monkeypatch):
    first = half_of(session.world, monkeypatch)
    pane = await whole_log(session)
    await session.press("home", "home")
    await session.until(lambda: len(pane.model.shown) == 150, "no older lines")
    assert pane.cursor.time_ns == first


async def test_a_time_that_is_not_loaded_is_asked_for(session, monkeypatch):
    first = half_of(session.world, monkeypatch)
    screen = await open_host(session)
    at = first / 1e9 - 60
    screen.graphs._move(at)
    await session.until(
        lambda: screen.log_pane.cursor and abs(screen.log_pane.cursor.time_ns / 1e9 - at) < 2, "not there"
    )
    assert not screen.log_pane.follow
    screen.graphs._move(None)
    await session.until(lambda: screen.log_pane.follow, "does not follow")


async def test_a_filter_is_applied_by_the_host_for_a_longer_time(session):
    pane = await whole_log(session)
    await session.press("5")
    await session.shows("since 6 h")
    await session.press("slash", *"slow", "enter")
    await session.until(lambda: session.world.asked[-1].grep == "slow", "not asked")
    request = session.world.asked[-1]
    assert request.since_ns == ns(6 * 3600)
    assert request.ignore_case
    await session.until(lambda: pane.model.shown, "nothing found")
    await session.shows(f"{len(pane.model.shown)}/400")


async def test_what_a_filter_finds_is_told_while_it_is_typed(session):
    pane = await whole_log(session)
    await session.press("slash", *"bind")
    found = session.app.screen.query_one("#found")
    await session.until(lambda: str(found.render()) == f"{len(pane.model.shown)}/400 lines", str(found.render()))
    await session.press("escape", "slash", *"ms>=100")
    await session.until(lambda: 0 < len(pane.model.shown) < 40, "not filtered by a field")


async def test_the_histogram_is_counted_by_the_host_and_goes_where_it_is_clicked(session):
    pane = await whole_log(session)
    await session.until(lambda: pane.past is not None, "not counted")
    assert sum(column.total for column in pane.strip_columns(60)) == 400
    await session.press("left_square_bracket")
    assert not pane.follow
    assert abs(pane.cursor.time_ns / 1e9 - (NOW - 45)) < 2
    await session.press("right_square_bracket", "right_square_bracket")
    assert pane.follow
    await session.pilot.click(pane, offset=(80, 1))
    await session.until(lambda: not pane.follow, "not gone there")


async def test_a_note_is_kept_in_the_session_and_exported(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pane = await whole_log(session)
    await session.press("home", "N")
    await session.on(WriteScreen)
    await session.press(*"here", "enter")
    await session.on(LogScreen)
    await session.shows("note: here")
    await session.press("0", "end", "apostrophe")
    await session.until(lambda: pane.cursor and pane.cursor in pane.marks, "the mark is gone")
    await session.press("x")
    [written] = tmp_path.glob("blackhole-logs-*.txt")
    assert "# mark: here\n" in written.read_text()
    assert written.stat().st_mode & 0o077 == 0


async def test_the_graph_tells_which_time_the_log_shows(session):
    screen = await open_host(session)
    await session.until(lambda: screen.graphs.log_span, "not told")
    first, last = screen.graphs.log_span
    assert first < last <= NOW
    await session.shows("━")


async def test_a_host_counts_as_soon_as_it_can_be_asked(session):
    screen = await open_host(session)
    await session.until(lambda: screen.log_pane.past is not None, "not counted")
    session.world.later.put_nowait(Seen(NOW, "web-07", LinkSeen("reconnecting")))
    await session.until(lambda: not session.app.host("web-07").fresh(NOW), "still live")
    await session.press("l")
    await session.until(lambda: not screen._counted, "nobody can be asked")
    assert screen.log_pane.past is None
    session.world.later.put_nowait(Seen(NOW, "web-07", LinkSeen("live")))
    session.world.later.put_nowait(Seen(NOW, "web-07", status_pb2.Snapshot()))
    await session.until(lambda: screen.log_pane.past is not None, "not counted again")


async def test_a_host_that_is_connected_for_the_first_time_was_never_lost(session):
    screen = await open_host(session)
    pane = screen.log_pane
    view = replace(session.app.host("web-07"), info=HostInfo("new-1"), events=())
    for state, told in (("connecting", 0), ("live", 0), ("reconnecting", 1), ("live", 2)):
        pane.note(replace(view, link=LinkSeen(state)))
        assert len([one for one in pane.model.entries if one.host == "new-1"]) == told, state


async def test_much_that_is_wrong_leaves_room_for_where_one_is_and_the_time(session):
    screen = await open_host(session)
    notes = ["backup: identity has no good backup, and one of every 1 d is promised; back it up now"] * 3
    line = screen.query_one(TopLine)
    text = trouble_text(replace(session.app.host("web-07"), instances={}, notes=tuple(notes)), NOW)
    assert text.endswith(" +2")
    line.tell(screen.path(), (("● live", "ok"), ("  load 3.10", "dim")), worst_badge(Level.WARN, text))
    for width in (80, 160):
        drawn = "".join(span for span, _ in line.draw(width, 1)[0].spans)
        assert drawn.startswith(" fleet › web-07   ● live")
        assert drawn.endswith(f"  {session.app.clock_text()} ")
        assert len(drawn) == width
        assert "! backup: identity has no" in drawn


async def test_the_bottom_line_tells_the_keys_of_the_prompt_while_one_types(session):
    await open_host(session)
    await session.press("slash")
    await session.shows("enter keeps the filter, esc clears it")
    await session.press("escape")
    await session.shows("? help")


async def test_a_dialog_names_a_snapshot_as_lists_do(session):
    target = Target(session.app.host("web-07"), ("5bfb0a3e" + "0" * 56,), ())
    assert headline(BY_ID["restore"], [target]) == "restore 5bfb0a3e on web-07"


async def test_lines_of_all_services_say_whose_they_are(session):
    screen = await open_host(session)
    pane = screen.log_pane
    for scope, width in (("", 5), ("api", 0)):
        pane.scope = scope
        pane.model.instances.clear()
        pane.model.instances.add("api-1")
        pane._measure()
        assert pane.how.instance_width == width, scope


async def test_a_place_that_is_not_there_is_told_and_not_left(session):
    await session.press("colon")
    await session.on(GotoScreen)
    await session.press(*"zzzz", "enter")
    await session.shows("nothing is called so")
    assert isinstance(session.app.screen, GotoScreen)


async def test_why_a_number_is_refused_can_be_read_to_its_end(session):
    await open_host(session)
    await session.press("down", "N")
    await session.on(AskScreen)
    await session.press(*"abc", "enter")
    about = session.app.screen.query_one("#about")
    await session.until(lambda: about.size.height == 2, "cut")
