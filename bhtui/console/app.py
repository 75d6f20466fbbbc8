"""The app: holds the models, moves between screens, carries out actions. Drawing is the screens' business."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.widgets import Input
from typing_extensions import override

from bhtui.core.errors import BlackholeError
from bhtui.rpc.blackhole.v1 import metrics_pb2

from . import theme as themes
from .actions import ACTIONS, Action, Target, bindings, for_contexts, shown_key, usable
from .acts import Acts
from .models.fleet import FleetView, reduce_fleet
from .models.host import HostView
from .models.marks import Marks
from .models.overview import is_bare
from .models.series import SeriesModel
from .options import Options
from .paint import Span
from .screens.ask import AskScreen
from .screens.backupfiles import BackupDiffScreen, BackupFilesScreen
from .screens.backups import BackupsScreen
from .screens.base import BaseScreen
from .screens.confirm import PlanScreen, words
from .screens.events import EventsScreen
from .screens.fleet import FleetScreen
from .screens.goto import GotoScreen, HelpScreen, Place
from .screens.graphs import GraphScreen
from .screens.host import HostScreen
from .screens.instance import InstanceScreen
from .screens.logs import LogScreen
from .screens.operations import OperationsScreen
from .screens.outgoing import OutgoingScreen
from .screens.overview import OverviewScreen
from .sources.backend import Backend
from .sources.message import HostInfo, Seen
from .widgets.canvas import Canvas
from .widgets.colors import for_textual

SAID_FOR = 8.0
"""Seconds that the result of an act stays in the bottom line."""


class Console(App[None]):
    """bhtui."""

    TITLE = "blackhole"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    contexts = ("app",)
    CSS = "BaseScreen { background: $background; } * { scrollbar-size: 0 0; }"

    def __init__(
        self,
        backend: Backend,
        clock: Callable[[], float],
        options: Options | None = None,
        recorder: Callable[[Seen], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.backend, self.now, self.options, self.record = backend, clock, options or Options(), recorder
        self.read_only = self.options.read_only
        self.replaying = ""
        """How a replay goes; empty when the hosts are live."""
        self.fleet = FleetView({info.name: HostView(info) for info in backend.hosts()})
        self.series = SeriesModel()
        self.marks = Marks()
        self.frame = 1 / self.options.frames
        self._theme_path = themes.find(self.options.theme, self.options.theme_folders)
        self._theme_stamp = 0.0
        self.theme_now = themes.load(self._theme_path)
        self._said: tuple[float, Span] = (0.0, ("", ""))
        self.acts = Acts(self)
        self._drawing_due = False
        self._drawn_at = 0.0
        if self.options.keymap:
            self.set_keymap(
                {
                    f"{context}.{action.id}": self.options.keymap[action.id]
                    for action in ACTIONS
                    if action.id in self.options.keymap
                    for context in action.contexts
                }
            )

    @override
    async def on_event(self, event: events.Event) -> None:
        """Carries out the action of a key before the next key is looked at. Else what is typed fast after `/` would
        be taken for keys of the list, and a `q` in it would end the console."""
        if isinstance(event, events.Key) and not event.is_forwarded and not isinstance(self.focused, Input):
            active = self.screen.active_bindings.get(event.key)
            if active is not None and active.enabled:
                await self.run_action(active.binding.action, active.node)
                return
        await super().on_event(event)

    # Life

    def on_mount(self) -> None:
        self._use_theme(self.theme_now)
        self.push_screen(FleetScreen())
        if self.options.open_host:
            self.go("host", self.options.open_host)
        self.set_interval(1.0, self._tick)
        # After the first frame: what the hosts need is slow to load.
        self.set_timer(2 * self.frame, self._watch_hosts)

    def _watch_hosts(self) -> None:
        self.run_worker(self.backend.run(self.take), name="hosts", exit_on_error=True)

    async def on_unmount(self) -> None:
        await self.backend.close()

    def _fatal_error(self) -> None:
        """A fault of ours: the details go to a file, one line to the person."""
        path = self.options.crash_file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(traceback.format_exc(), encoding="utf-8")
            where = f"details are in {path}"
        except OSError as error:
            where = f"details could not be written to {path}: {error.strerror}"
        fault = traceback.format_exc().strip().splitlines()[-1]
        self.panic(Text(f"bhtui: cannot go on: {fault}; {where}. What runs on the hosts goes on."))

    def take(self, seen: Seen) -> None:
        """Takes in what a source saw."""
        self.record(seen)
        if isinstance(seen.body, metrics_pb2.SeriesResponse):
            self.series.add(seen.host, seen.body)  # the graphs see to themselves
            return
        fleet = reduce_fleet(self.fleet, seen)
        if fleet is not self.fleet:
            self.fleet = fleet
            self.refresh_soon()

    def host(self, name: str) -> HostView:
        """A host, known or not."""
        return self.fleet.hosts.get(name) or HostView(HostInfo(name))

    def refresh_soon(self) -> None:
        """Draws within a frame, however often it is asked."""
        if not self._drawing_due and self.is_running:
            self._drawing_due = True
            self.set_timer(self.frame, self._draw)

    def _draw(self) -> None:
        self._drawing_due = False
        self._drawn_at = self.now()
        for screen in reversed(self.screen_stack):
            if isinstance(screen, BaseScreen):
                screen.refresh_view()
                return

    def _tick(self) -> None:
        """Ages and the clock go on when nothing is heard."""
        self._reload_theme()
        if self.now() - self._drawn_at > 0.8 and not self._drawing_due:
            self._draw()

    def clock_text(self) -> str:
        """The time of day for the top line."""
        return datetime.fromtimestamp(self.now()).astimezone().strftime("%H:%M:%S")

    # Themes

    def _use_theme(self, theme: themes.Theme) -> None:
        self.theme_now = theme
        name = f"{theme.name}-{id(theme):x}"
        self.register_theme(for_textual(theme, name))
        self.theme = name
        for screen in self.screen_stack:
            for widget in screen.query(Canvas):
                widget.repaint()

    def _reload_theme(self) -> None:
        try:
            stamp = self._theme_path.stat().st_mtime
        except OSError:
            return
        if self._theme_stamp and stamp != self._theme_stamp:
            try:
                self._use_theme(themes.load(self._theme_path))
            except BlackholeError as error:
                self.say(str(error), "bad")
        self._theme_stamp = stamp

    def action_next_theme(self) -> None:
        known = themes.available(self.options.theme_folders)
        names = sorted(known)
        name = (
            names[(names.index(self._theme_path.stem) + 1) % len(names)] if self._theme_path.stem in known else names[0]
        )
        self._theme_path, self._theme_stamp = known[name], 0.0
        self._use_theme(themes.load(self._theme_path))
        self.say(f"theme {name}", "dim")

    # What can be done

    def here(self) -> tuple[str, ...]:
        """The contexts that take keys now, innermost first."""
        found: list[str] = []
        node: Any = self.focused or self.screen
        while node is not None:
            found += getattr(node, "contexts", ())
            node = node.parent
        return (*found, *(() if "app" in found else ("app",)), *(("replay",) if self.replaying else ()))

    def key_of(self, action: Action) -> str:
        """The keys an action is bound to."""
        return self.options.keymap.get(action.id, action.key)

    def _usable_here(self) -> list[Action]:
        screen = self.screen
        targets = screen.targets() if isinstance(screen, BaseScreen) else []
        return [
            action
            for action in for_contexts(self.here())
            if usable(action, targets, self.read_only) and (not isinstance(screen, BaseScreen) or screen.offers(action))
        ]

    def footer_actions(self) -> list[tuple[Action, str]]:
        """Actions for the bottom line with their keys, the most wanted first."""
        shown = sorted((action for action in self._usable_here() if action.footer), key=lambda action: action.footer)
        if self.replaying:
            shown = [action for action in shown if action.id != "mark"]
        return [(action, self.key_of(action)) for action in shown]

    async def run_here(self, action: Action) -> None:
        """Carries out an action where the focus is, as its key would."""
        await self.run_action(action.run, self._namespace(action))

    def _namespace(self, action: Action) -> Any:
        node: Any = self.focused or self.screen
        while node is not None and not set(getattr(node, "contexts", ())) & set(action.contexts):
            node = node.parent
        return node or self

    # Telling

    def say(self, text: str, style: str = "") -> None:
        """Shows the result of an act in the bottom line for a while."""
        self._said = (self.now(), (text, style))
        self.refresh_soon()

    def result(self) -> Span:
        """What the bottom line says about the last act."""
        said_at, said = self._said
        if self.now() - said_at < SAID_FOR:
            return said
        return self.acts.progress()

    # Operating

    def operate(self, action: Action, targets: list[Target]) -> None:
        """Shows the plan of an action, and begins it when the person says so."""
        if targets and action.request and usable(action, targets, self.read_only):
            if action.asks:
                self.push_screen(AskScreen(action, targets), lambda made: self.operate(made, targets) if made else None)
            else:
                self.push_screen(PlanScreen(action, targets), lambda answer: self._begin(action, answer))

    def _begin(self, action: Action, answer: tuple[list[Target], str] | None) -> None:
        if answer is None:
            self.say(f"{words(action)}: nothing was changed", "dim")
            return
        targets, reason = answer
        self._said = (0.0, ("", ""))
        for work in self.acts.begin(action, targets, reason):
            self.run_worker(work)

    def cancel_operation(self, host: str, operation: str) -> None:
        """Asks a host to cancel an operation."""
        self.run_worker(self.acts.cancel(host, operation), name=f"cancel {operation}")

    # Going

    def go(self, place: str, *names: str) -> None:
        """Opens a screen by name."""
        current = self._current_host()
        match place:
            case "fleet":
                while len(self.screen_stack) > 2:
                    self.pop_screen()
            case "host":
                bare = is_bare(self.host(names[0]))
                self.push_screen(OverviewScreen(names[0]) if bare else HostScreen(names[0]))
            case "services":
                self.switch_screen(HostScreen(names[0], stay=True))
            case "overview":
                self._go_overview(names[0] if names else current)
            case "instance":
                self.push_screen(InstanceScreen(*names))
            case "logs":
                self.go_logs(names or ([current] if current else list(self.fleet.hosts)), "")
            case "graphs":
                instance = self.screen.instance if isinstance(self.screen, InstanceScreen) else ""
                self.go_graphs(names or ([current] if current else list(self.fleet.hosts)), instance)
            case "operations":
                self.push_screen(OperationsScreen([current] if current else None))
            case "backups":
                self.push_screen(BackupsScreen([current] if current else None))
            case "outputs":
                self.push_screen(OutgoingScreen([current] if current else None))
            case "events" | "audit":
                instance = self.screen.instance if isinstance(self.screen, InstanceScreen) else ""
                self.push_screen(EventsScreen([current] if current else None, instance, audit=place == "audit"))

    def _go_overview(self, host: str) -> None:
        if host:
            self.push_screen(OverviewScreen(host))
        else:
            self.say("choose a host first: the overview is of one", "dim")

    def show_bare(self, screen: HostScreen) -> None:
        """The overview in the place of a host's services, of which it has none."""
        if self.screen is screen:
            self.switch_screen(OverviewScreen(screen.host))

    def go_logs(self, hosts: Sequence[str], scope: str, at: float | None = None) -> None:
        """Opens the log of hosts, or of one instance of them; at a time, or at its end."""
        self.push_screen(LogScreen(hosts, scope, at))

    def go_backup_files(self, host: str, snapshot: str) -> None:
        """Opens what a snapshot holds."""
        self.push_screen(BackupFilesScreen(host, snapshot))

    def go_backup_diff(self, host: str, before: str, after: str) -> None:
        """Opens in what two snapshots differ."""
        self.push_screen(BackupDiffScreen(host, before, after))

    def go_graphs(self, hosts: Sequence[str], instance: str = "", at: float | None = None) -> None:
        """Opens the graphs of hosts, or of one instance; with the time cursor somewhere, or without."""
        self.push_screen(GraphScreen(hosts, instance, at))

    def _current_host(self) -> str:
        return getattr(self.screen, "host", "") if not isinstance(self.screen, FleetScreen) else ""

    def _places(self) -> list[Place]:
        screens = {
            "fleet": "all hosts",
            "operations": "what was changed, by whom",
            "events": "what was observed",
            "audit": "what people did",
            "logs": "lines of this host, or of all",
            "backups": "how well services are protected",
            "outputs": "where lines and samples are sent",
            "graphs": "graphs of this host, or of all",
            **({"overview": "what this host runs and has"} if self._current_host() else {}),
        }
        found = [Place(name, "screen", about, "", partial(self.go, name)) for name, about in screens.items()]
        for view in self.fleet.hosts.values():
            found.append(Place(view.name, "host", view.info.address, "", partial(self.go, "host", view.name)))
            for one in view.instances.values():
                run = partial(self.go, "instance", view.name, one.name)
                found.append(Place(f"{one.name} on {view.name}", "service", one.status.state, "", run))
        return found

    async def _goto(self, title: str, places: list[Place]) -> None:
        def run(place: Place | None) -> None:
            if place is not None:
                place.run()

        if not isinstance(self.screen, GotoScreen):
            screen = GotoScreen(title, places)
            await self.push_screen(screen, run)
            screen.set_focus(screen.query_one(Input))

    async def action_command(self) -> None:
        await self._goto("go to", self._places())

    async def action_palette(self) -> None:
        deeds = []
        for action in self._usable_here():
            node = self._namespace(action)
            run = partial(self.call_next, self.run_action, action.run, node)
            deeds.append(Place(action.id, "action", action.help, shown_key(self.key_of(action)), run))
        await self._goto("do or go to", [*deeds, *self._places()])

    def _hidden(self, action: Action) -> bool:
        return action.role == "operate" and self.read_only

    async def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.here(), self.key_of, self._hidden))

    def action_go_fleet(self) -> None:
        self.go("fleet")

    async def action_back(self) -> None:
        if isinstance(self.screen, BaseScreen):
            self.screen.action_back()

    def action_picture(self) -> None:
        try:
            path = self.save_screenshot(path=str(Path.cwd()))
        except OSError as error:
            self.say(f"cannot write the picture: {error.strerror}; start bhtui in a folder you can write to", "bad")
            return
        self.say(f"wrote {Path(path).name}", "ok")

    async def action_quit(self) -> None:
        self.exit()
