"""What a host runs and has, declared or not: the first screen of a host where nothing is declared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual.css.scalar import Scalar
from textual.widget import Widget

from bhtui.core.errors import BlackholeError

from ..actions import Target, bindings
from ..columns.overview import CONTAINERS, LISTENERS, PROCESSES, UNITS
from ..models.host import HostView
from ..models.match import parse
from ..models.overview import Thing, Things, things
from ..models.trouble import Level, host_level, trouble_text
from ..paint import Spans
from ..panes.overview import MachinePane, ThingsPane
from ..panes.thing import ThingPane, name_of
from ..sources.message import Seen
from ..widgets.table import Table
from .base import BaseScreen
from .host import host_facts
from .layout import Panes, PanesScreen

PERIOD = 3.0
"""Seconds between two looks, and until the next try after one that failed."""


class LookingScreen(BaseScreen):
    """A screen that keeps the overview of its host fresh."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.problem = ""

    @property
    def view(self) -> HostView:
        return self.console_app.host(self.host)

    def on_mount(self) -> None:
        self.refresh_view()
        self.run_worker(self._look(), name="overview", exclusive=True)

    async def _look(self) -> None:
        app = self.console_app
        while True:
            try:
                seen = await app.backend.overview(self.host)
            except BlackholeError as error:
                self.problem = str(error)
                app.refresh_soon()
            else:
                self.problem = ""
                app.take(Seen(app.now(), self.host, seen))
            await asyncio.sleep(PERIOD)

    def facts(self) -> Spans:
        return host_facts(self.view, self.console_app.now())

    def worst(self) -> tuple[Level, str]:
        now = self.console_app.now()
        return host_level(self.view, now), trouble_text(self.view, now)

    def chosen(self) -> Thing | None:
        """What an action would act on."""
        return None

    def targets(self) -> list[Target]:
        thing = self.chosen()
        return [Target(self.view, (thing.target,), ())] if thing is not None and thing.target else []


class OverviewScreen(PanesScreen, LookingScreen):
    """What the host has, and four lists."""

    contexts = ("overview-screen",)
    BINDINGS = bindings("overview-screen")
    AUTO_FOCUS = "ThingsPane"
    DEFAULT_CSS = f"""
    OverviewScreen .column-0 {{ width: 55fr; }} OverviewScreen .column-1 {{ width: 45fr; }}
    OverviewScreen ThingsPane {{ height: 1fr; }} OverviewScreen MachinePane {{ height: {MachinePane.LINES}; }}
    """

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self._settled = False

    def body(self) -> Iterable[Widget]:
        self.machine = MachinePane()
        self.units = ThingsPane("1", "UNITS", UNITS, "no unit is busy, and none has failed")
        self.listeners = ThingsPane("2", "LISTENING", LISTENERS, "nothing listens")
        self.processes = ThingsPane("3", "PROCESSES", PROCESSES, "nothing was seen")
        self.containers = ThingsPane("4", "CONTAINERS", CONTAINERS, "there are no containers")
        yield self.machine
        yield Panes([self.units, self.processes], [self.listeners, self.containers])

    @property
    def lists(self) -> tuple[ThingsPane, ...]:
        return (self.units, self.listeners, self.processes, self.containers)

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, "overview")

    def show(self) -> None:
        now, view = self.console_app.now(), self.view
        every, passing = things(view), things(view, parse(self._filter))
        self.machine.show(view)
        for pane, all_, shown in zip(self.lists, _lists(every), _lists(passing), strict=True):
            pane.show(shown, len(all_), self._why_empty(pane, len(all_)), self._unseen(pane), now)
        self._focus_something()
        self._share_height(self.units, self.processes)
        self._share_height(self.listeners, self.containers)

    def _focus_something(self) -> None:
        """At first the keys go to a list in which there is something to act on."""
        if self._settled or self.view.overview is None:
            return
        self._settled = True
        found = next((number for number, pane in enumerate(self.lists) if pane.rows), 0)
        if found and self.layout_panes.focused is self.units:
            self.layout_panes.focus_pane(self.layout_panes.panes.index(self.lists[found]))

    def _why_empty(self, pane: ThingsPane, count: int) -> str:
        if self.view.overview is None:
            return self.problem or self.view.link.detail or "looking around ..."
        if count:
            return "nothing passes the filter; esc clears it"
        subject = {"1": "units: ", "4": "containers: "}.get(pane.number, "\0")
        told = [each.removeprefix(subject) for each in self.view.overview.unseen if each.startswith(subject)]
        return "; ".join(told)

    def _unseen(self, pane: ThingsPane) -> str:
        """What stands below the sockets: of which of them the process is not to be seen, and why."""
        if pane is not self.listeners or self.view.overview is None:
            return ""
        return next((each for each in self.view.overview.unseen if "listening sockets" in each), "")

    def _share_height(self, upper: Table[Thing], lower: Table[Thing]) -> None:
        """The upper list takes what its rows need, and half of the column when the lower one needs the rest."""
        room = self.size.height - 2 - MachinePane.LINES
        wanted = max(4, min(upper.wanted_height(), max(room // 2, room - lower.wanted_height())))
        if self.layout_panes.zoom == 2:
            upper.styles.height = "1fr"
        elif upper.styles.height != Scalar.from_number(wanted):
            upper.styles.height = wanted

    def chosen(self) -> Thing | None:
        pane = self.layout_panes.focused
        return pane.selected if isinstance(pane, ThingsPane) else None

    def focus_back(self) -> None:
        self.layout_panes.focused.focus()

    def on_table_moved(self) -> None:
        self.refresh_footer()

    def on_table_opened(self, event: Table.Opened) -> None:
        self.console_app.push_screen(ThingScreen(self.host, event.key))

    def action_show_services(self) -> None:
        self.console_app.go("services", self.host)


def _lists(found: Things) -> tuple[tuple[Thing, ...], ...]:
    return (found.units, found.listeners, found.processes, found.containers)


class ThingScreen(LookingScreen):
    """One of the things, with all that is known of it."""

    AUTO_FOCUS = "ThingPane"

    def __init__(self, host: str, key: str) -> None:
        super().__init__(host)
        self.key = key
        self._called = key.split(" ", 1)[-1].strip()

    def body(self) -> Iterable[Widget]:
        self.pane = ThingPane()
        yield self.pane

    def chosen(self) -> Thing | None:
        return things(self.view).find(self.key)

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, "overview", self._called)

    def show(self) -> None:
        thing = self.chosen()
        self._called = name_of(thing) if thing else self._called
        self.pane.show(self._called, thing)
