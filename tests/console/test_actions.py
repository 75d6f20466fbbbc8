"""The table of actions: nothing bound twice, everything carried out by somebody, everything described."""

import pytest
from google.protobuf.json_format import MessageToDict

from bhtui.console import actions
from bhtui.console.actions import ACTIONS, BY_ID, CHAINS, TITLES, Target, bindings, clashes, usable
from bhtui.console.app import Console
from bhtui.console.keymap import check, load
from bhtui.console.models.host import HostView, InstanceView
from bhtui.console.panes.backups import BackupsPane
from bhtui.console.panes.detail import DetailPane
from bhtui.console.panes.graphs import GraphPane
from bhtui.console.panes.grid import GridPane
from bhtui.console.panes.logs import LogPane
from bhtui.console.panes.overview import ThingsPane
from bhtui.console.panes.services import ServicesPane
from bhtui.console.panes.thing import ThingPane
from bhtui.console.replaying import ReplayConsole
from bhtui.console.screens.backupfiles import BackupFilesScreen, FilesTable
from bhtui.console.screens.backups import BackupsScreen, ProtectionTable
from bhtui.console.screens.events import EventsScreen, EventsTable
from bhtui.console.screens.fleet import FleetScreen, FleetTable
from bhtui.console.screens.graphs import GraphScreen
from bhtui.console.screens.host import HostScreen
from bhtui.console.screens.instance import InstanceScreen
from bhtui.console.screens.logs import LogScreen
from bhtui.console.screens.operations import OperationsScreen, OperationsTable
from bhtui.console.screens.outgoing import OutgoingScreen, OutgoingTable
from bhtui.console.screens.overview import OverviewScreen, ThingScreen
from bhtui.console.sources.message import HostInfo
from bhtui.console.widgets.table import Table
from bhtui.core.errors import ConfigError
from bhtui.rpc.blackhole.v1 import status_pb2

OWNERS = {
    "app": (Console, Console),
    "table": (Table, Table),
    "fleet": (FleetTable, FleetScreen),
    "host": (HostScreen, HostScreen),
    "services": (ServicesPane, HostScreen),
    "detail": (DetailPane, InstanceScreen),
    "logs": (LogPane, LogScreen),
    "logs-screen": (LogScreen, LogScreen),
    "graphs": (GraphPane, HostScreen),
    "grid": (GridPane, GraphScreen),
    "graphs-screen": (GraphScreen, GraphScreen),
    "backups": (BackupsPane, HostScreen),
    "protection": (ProtectionTable, BackupsScreen),
    "backups-screen": (BackupsScreen, BackupsScreen),
    "files": (FilesTable, BackupFilesScreen),
    "instance": (InstanceScreen, InstanceScreen),
    "operations": (OperationsTable, OperationsScreen),
    "events": (EventsTable, EventsScreen),
    "outputs": (OutgoingTable, OutgoingScreen),
    "overview": (ThingsPane, OverviewScreen),
    "overview-screen": (OverviewScreen, OverviewScreen),
    "thing": (ThingPane, ThingScreen),
    "replay": (ReplayConsole, ReplayConsole),
}
"""Who binds the keys of a context, and the screen that `screen.` actions go to."""


def target(state: str = "running", **info: bool) -> Target:
    one = InstanceView(status_pb2.InstanceStatus(service="api", instance="api-1", state=state))
    return Target(HostView(HostInfo("web", **info)), ("api",), (one,))


def test_nothing_is_bound_twice():
    assert clashes({}) == []


def test_a_clash_is_reported():
    assert clashes({"stop": "s"}) == ["s is bound to start and to stop"]


def test_every_context_has_a_title_and_an_owner():
    used = {context for action in ACTIONS for context in action.contexts}
    assert used <= TITLES.keys()
    assert {context for chain in CHAINS for context in chain} | {"replay"} >= used
    assert used <= OWNERS.keys()


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_is_carried_out_where_it_is_bound(action: actions.Action):
    for context in action.contexts:
        widget, screen = OWNERS[context]
        name = action.run.partition("(")[0]
        owner = screen if name.startswith("screen.") else widget
        assert hasattr(owner, f"action_{name.removeprefix('screen.')}"), f"{action.id} in {context}"


@pytest.mark.parametrize("context", TITLES)
def test_owners_bind_what_the_table_says(context: str):
    bound = {binding.id for binding in OWNERS[context][0].BINDINGS}
    assert {binding.id for binding in bindings(context)} <= bound


def test_ids_are_unique_and_help_says_something():
    assert len(BY_ID) == len(ACTIONS)
    assert all(len(action.help) > 5 for action in ACTIONS)


def test_what_changes_something_is_not_there_for_readers():
    for action in ACTIONS:
        if action.role == "operate":
            assert not usable(action, [target("failed")], read_only=True)
            assert not usable(action, [target("failed", read_only=True)], read_only=False)


def test_actions_apply_to_states():
    assert usable(BY_ID["start"], [target("stopped")], False)
    assert not usable(BY_ID["start"], [target("running")], False)
    assert usable(BY_ID["stop"], [target("running")], False)
    assert not usable(BY_ID["restart"], [], False)


def test_a_page_of_the_reference_lists_every_key():
    page = actions.docs()
    assert all(f"| {action.id} |" in page for action in ACTIONS)


def test_a_keymap_changes_keys(tmp_path):
    (tmp_path / "keys.yaml").write_text('restart: ctrl+r\nfollow: "end, G"\n')
    assert load(tmp_path / "keys.yaml") == {"restart": "ctrl+r", "follow": "end,G"}
    assert load(tmp_path / "none.yaml") == {}


def test_a_keymap_that_clashes_or_misspells_is_refused_whole():
    with pytest.raises(ConfigError) as caught:
        check({"restrat": "r", "stop": "s"}, "keys.yaml")
    text = str(caught.value)
    assert "did you mean 'restart'?" in text
    assert "s is bound to start and to stop" in text
    with pytest.raises(ConfigError):
        check(["restart"], "keys.yaml")


def test_a_broken_keymap_file_is_named(tmp_path):
    (tmp_path / "keys.yaml").write_text("{")
    with pytest.raises(ConfigError, match=r"keys\.yaml"):
        load(tmp_path / "keys.yaml")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("2..6", {"services": ["api"], "auto": True, "min": 2, "max": 6}),
        ("auto", {"services": ["api"], "auto": True}),
        ("no-auto", {"services": ["api"]}),
    ],
)
def test_the_load_may_decide_on_the_number(typed, said):
    made = BY_ID["scale"].asks.make(typed)(["api"])
    assert MessageToDict(made)["autoScale"] == said


@pytest.mark.parametrize("typed", ["0..5", "1..1001", "1..", "..5", "1...5", "a..b", "1..99999999999", "²..3"])
def test_bounds_that_are_none(typed):
    with pytest.raises(ValueError, match="type a number"):
        BY_ID["scale"].asks.make(typed)
