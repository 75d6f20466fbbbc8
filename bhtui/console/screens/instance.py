"""One instance: everything its status knows, its graphs, its log."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from ..actions import Target, bindings
from ..columns.services import ServiceRow
from ..models.host import HostView
from ..models.trouble import Level, link_text, word
from ..paint import Spans
from ..panes.detail import DetailPane
from ..panes.graphs import GraphPane
from ..panes.logs import LogPane
from .feeds import FeedingScreen
from .host import host_facts
from .layout import Panes, PanesScreen


class InstanceScreen(PanesScreen, FeedingScreen):
    """Details, log, graphs."""

    contexts = ("instance",)
    BINDINGS = bindings("instance")
    AUTO_FOCUS = "DetailPane"
    DEFAULT_CSS = """
    InstanceScreen .column-0 { width: 58fr; } InstanceScreen .column-1 { width: 42fr; }
    InstanceScreen DetailPane { height: 1fr; } InstanceScreen LogPane { height: 1fr; }
    """

    def __init__(self, host: str, instance: str) -> None:
        super().__init__()
        self.host, self.instance = host, instance

    def body(self) -> Iterable[Widget]:
        self.detail = DetailPane()
        self.log_pane = LogPane("2")
        self.log_pane.scope = self.log_pane.one = self.instance
        self.graphs = GraphPane("3", self.console_app.series)
        yield Panes([self.detail, self.log_pane], [self.graphs])

    @property
    def view(self) -> HostView:
        return self.console_app.host(self.host)

    def on_mount(self) -> None:
        self.refresh_view()
        self.graphs.show(self.host, self.instance)
        self.start_logs()

    def log_hosts(self) -> list[str]:
        return [self.host]

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, self.instance)

    def facts(self) -> Spans:
        return host_facts(self.view, self.console_app.now())

    def worst(self) -> tuple[Level, str]:
        found = self.view.instances.get(self.instance)
        if found is None:
            return Level.NOTICE, link_text(self.view, self.console_app.now())
        return found.level, word(found.status)

    def show(self) -> None:
        found = self.view.instances.get(self.instance)
        self.detail.show(self.instance, ServiceRow(self.view, found) if found else None)
        self.log_pane.repaint()
        self.graphs.repaint()

    def targets(self) -> list[Target]:
        found = self.view.instances.get(self.instance)
        return [Target(self.view, (found.status.service,), (found,))] if found else []

    def focus_back(self) -> None:
        self.log_pane.focus()

    def action_show_logs(self) -> None:
        self.layout_panes.focus_pane(1)

    def action_show_graphs(self) -> None:
        self.layout_panes.focus_pane(2)

    def action_whole_log(self) -> None:
        self.console_app.go_logs([self.host], self.instance)

    def action_whole_graphs(self) -> None:
        instance = "" if self.graphs.whole_host else self.instance
        self.console_app.go_graphs([self.host], instance, self.graphs.cursor)
