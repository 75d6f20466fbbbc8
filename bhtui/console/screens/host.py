"""One host: services, logs, graphs and backups, all live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.css.scalar import Scalar
from textual.widget import Widget

from bhtui.core.units import format_age

from ..actions import Target, bindings
from ..models.host import HostView
from ..models.match import parse
from ..models.overview import is_bare
from ..models.trouble import Level, host_level, link_level, link_text, trouble_text
from ..paint import Spans, plain
from ..panes.backups import BackupsPane
from ..panes.graphs import GraphPane
from ..panes.logs import LogPane
from ..panes.services import ServicesPane
from ..widgets.table import Table
from .base import BaseScreen
from .feeds import FeedingScreen
from .layout import Panes, PanesScreen


def host_facts(view: HostView, now: float) -> Spans:
    """Connection, system, load and uptime of a host."""
    level = link_level(view, now)
    link = (f"{'●' if level is Level.FINE else '○'} {link_text(view, now)}", "ok" if level is Level.FINE else "warn")
    if view.status is None:
        return (link,)
    status = view.status
    known = f"  load {status.load1:.1f}  up {format_age(status.uptime_seconds)}  {plain(status.os)}"
    marks = (" PROD" if view.info.production else "") + ("  read-only" if view.info.read_only else "")
    return (link, (marks, "mark"), (known, "dim"))


class HostScreen(PanesScreen, FeedingScreen):
    """Four panes."""

    contexts = ("host",)
    BINDINGS = bindings("host")
    AUTO_FOCUS = "ServicesPane"
    DEFAULT_CSS = """
    HostScreen .column-0 { width: 58fr; } HostScreen .column-1 { width: 42fr; }
    HostScreen ServicesPane { height: 2fr; } HostScreen LogPane { height: 3fr; }
    HostScreen GraphPane { height: 3fr; } HostScreen BackupsPane { height: 2fr; }
    """

    def __init__(self, host: str, *, stay: bool = False) -> None:
        """`stay`: also where nothing is declared; else the overview takes its place there."""
        super().__init__()
        self.host = host
        self.stay = stay
        self._services_filter = ""

    def body(self) -> Iterable[Widget]:
        self.services = ServicesPane("1")
        self.log_pane = LogPane("2")
        self.graphs = GraphPane("3", self.console_app.series)
        self.backups = BackupsPane("4")
        yield Panes([self.services, self.log_pane], [self.graphs, self.backups])

    @property
    def view(self) -> HostView:
        return self.console_app.host(self.host)

    def on_mount(self) -> None:
        self.refresh_view()
        self.graphs.show(self.host, self.services.cursor_key)
        self.start_logs()

    def log_hosts(self) -> list[str]:
        return [self.host]

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host)

    def facts(self) -> Spans:
        return host_facts(self.view, self.console_app.now())

    def worst(self) -> tuple[Level, str]:
        now = self.console_app.now()
        return host_level(self.view, now), trouble_text(self.view, now)

    def show(self) -> None:
        now = self.console_app.now()
        if not self.stay and is_bare(self.view) and self.app.screen is self:
            self.stay = True
            self.console_app.call_later(self.console_app.show_bare, self)
        self.services.show(self.view, parse(self._services_filter), now)
        self._fit_height(self.services, 0.5)
        self.log_pane.problem = self.view.link.detail if not self.view.fresh(now) else ""
        self.log_pane.repaint()
        self.graphs.repaint()
        self.backups.show(self.view, now)
        self._fit_height(self.backups, 0.4)

    def _fit_height(self, table: Table[Any], most: float) -> None:
        """A list takes what its rows need, so that what is drawn beside it gets the rest."""
        room = int((self.size.height - 2) * most)
        wanted = max(5, min(room, table.wanted_height()))
        if self.layout_panes.zoom < 2 and table.styles.height != Scalar.from_number(wanted):
            table.styles.height = wanted
        elif self.layout_panes.zoom == 2:
            table.styles.height = "1fr"

    def targets(self) -> list[Target]:
        if self.backups.has_focus:
            one = self.backups.selected
            return [Target(self.view, (one.snapshot.id,), ())] if one else []
        rows = self.services.chosen()
        names = tuple(dict.fromkeys(row.view.status.service for row in rows))
        return [Target(self.view, names, tuple(row.view for row in rows))] if rows else []

    def focus_back(self) -> None:
        self.layout_panes.focused.focus()

    @property
    def _filters_logs(self) -> bool:
        return self.layout_panes.focused is self.log_pane

    def filter_text(self) -> str:
        return super().filter_text() if self._filters_logs else self._services_filter

    def filter_help(self) -> str:
        return super().filter_help() if self._filters_logs else BaseScreen.filter_help(self)

    def filter_result(self) -> str:
        return super().filter_result() if self._filters_logs else ""

    def set_filter(self, text: str) -> None:
        if self._filters_logs:
            super().set_filter(text)
        else:
            self._services_filter = text
            self.refresh_view()

    def on_table_moved(self, event: Table.Moved) -> None:
        if event.table is self.services:
            self.log_pane.one = event.key
            self.graphs.show(self.host, event.key)
            self.graphs.repaint()
            self.refresh_footer()

    def on_table_opened(self, event: Table.Opened) -> None:
        if event.table is self.services:
            self.console_app.go("instance", self.host, event.key)
        elif event.table is self.backups:
            self.console_app.go_backup_files(self.host, event.key)

    def action_show_logs(self) -> None:
        if self.log_pane.scope != self.services.cursor_key:
            self.log_pane.scope, self.log_pane.past = self.services.cursor_key, None
            self.start_logs()
        self.layout_panes.focus_pane(1)

    def action_show_graphs(self) -> None:
        self.layout_panes.focus_pane(2)

    def action_show_backups(self) -> None:
        self.layout_panes.focus_pane(3)

    def action_whole_log(self) -> None:
        self.console_app.go_logs([self.host], self.log_pane.scope)

    def action_whole_graphs(self) -> None:
        instance = "" if self.graphs.whole_host else self.services.cursor_key
        self.console_app.go_graphs([self.host], instance, self.graphs.cursor)
