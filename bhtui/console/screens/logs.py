"""The log on a screen of its own, of one host or of several, merged in time order and still tailing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from ..actions import bindings
from ..models.reading import SINCE
from ..paint import Spans
from ..panes.logs import LogPane
from .feeds import FeedingScreen


class LogScreen(FeedingScreen):
    """Lines, nothing else."""

    contexts = ("logs-screen",)
    BINDINGS = bindings("logs-screen")
    AUTO_FOCUS = "LogPane"
    DEFAULT_CSS = "LogScreen LogPane { height: 1fr; }"

    def __init__(self, hosts: Sequence[str], scope: str = "", at: float | None = None) -> None:
        """`at`: the time to begin with; None: the newest lines."""
        super().__init__()
        self.hosts, self._scope, self._at = list(hosts), scope, at

    def body(self) -> Iterable[Widget]:
        pane = self.log_pane = LogPane(whole=True)
        pane.scope = pane.one = self._scope
        if self._at is not None:
            pane.at_ns = int(self._at * 1e9)
        yield pane

    def on_mount(self) -> None:
        self.refresh_view()
        self.start_logs()

    def log_hosts(self) -> list[str]:
        return self.hosts

    def path(self) -> tuple[str, ...]:
        where = self.hosts[0] if len(self.hosts) == 1 else f"{len(self.hosts)} hosts"
        return ("fleet", where, "logs")

    def facts(self) -> Spans:
        names = "" if len(self.hosts) == 1 else " ".join(self.hosts[:6]) + (" …" if len(self.hosts) > 6 else "")
        step = self.log_pane.since_step
        since = ("  since ", SINCE[step][1]) if step else ("  from the ", "newest lines")
        return ((names, "dim"), (since[0], "dim"), (since[1], "accent"))

    def show(self) -> None:
        self.log_pane.repaint()

    def action_graphs_here(self) -> None:
        cursor = self.log_pane.cursor
        scope = self.log_pane.scope or (cursor.instance if cursor is not None else "")
        self.console_app.go_graphs(self.hosts, scope, self.moment())

    def focus_back(self) -> None:
        self.set_focus(self.log_pane)  # at once, as the prompt does it

    def action_since_0(self) -> None:
        self.log_pane.set_since(0)

    def action_since_1(self) -> None:
        self.log_pane.set_since(1)

    def action_since_2(self) -> None:
        self.log_pane.set_since(2)

    def action_since_3(self) -> None:
        self.log_pane.set_since(3)

    def action_since_4(self) -> None:
        self.log_pane.set_since(4)

    def action_since_5(self) -> None:
        self.log_pane.set_since(5)

    def action_since_6(self) -> None:
        self.log_pane.set_since(6)

    def action_since_7(self) -> None:
        self.log_pane.set_since(7)
