"""All hosts, those that need a person first."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from ..actions import Target, bindings
from ..columns.fleet import FLEET
from ..models.fleet import chosen
from ..models.host import HostView
from ..models.match import parse
from ..models.overview import bare_text, failed_units
from ..models.trouble import Level, host_level, notes_text, reason, word
from ..paint import Line, Spans, crop, plain, wrap
from ..widgets.table import Row, Table
from .base import BaseScreen

_WIDE = 130
"""Columns at which the table has one that says what is wrong; below it stands under the row."""

_MOST = 3
"""Lines of a reason under its row; all of it is on the screen of the host."""


class FleetTable(Table[HostView]):
    """A row per host."""

    contexts = ("fleet", "table")
    BINDINGS = bindings("fleet")


class FleetScreen(BaseScreen):
    """The first screen."""

    AUTO_FOCUS = "FleetTable"

    def __init__(self) -> None:
        super().__init__()
        self.group = ""
        self.faults_only = False
        self._matched = 0

    def body(self) -> Iterable[Widget]:
        yield FleetTable(FLEET, empty=self._empty)

    @property
    def table(self) -> FleetTable:
        return self.query_one(FleetTable)

    def focus_back(self) -> None:
        self.table.focus()

    def show(self) -> None:
        app = self.console_app
        now = app.now()
        hosts = chosen(app.fleet, parse(self._filter), self.group, self.faults_only, now)
        self._matched = len(hosts)
        wide = self.size.width >= _WIDE
        self.table.set_rows(
            [
                Row(view.name, view, () if wide else _why(view, now, self.size.width))
                for view in self.table.sorted_items(hosts, now)
            ]
        )

    def facts(self) -> Spans:
        fleet = self.console_app.fleet
        spans: list[tuple[str, str]] = []
        for name, count in fleet.groups().items():
            style = "accent" if name == self.group else "dim"
            spans += [(f"{name} {count}", style), ("  ", "")]
        if self.faults_only:
            spans += [(" faults only ", "badge-warn"), ("  ", "")]
        if self._filter:
            spans += [(f"/{self._filter}", "match"), (f"  {self._matched} of {len(fleet.hosts)}", "dim")]
        else:
            spans.append((f"{len(fleet.hosts)} host{'s' if len(fleet.hosts) != 1 else ''}", "dim"))
        return tuple(spans)

    def _empty(self, _: int) -> list[Line]:
        if self.console_app.fleet.hosts:
            return [Line(), Line((("   no host passes; esc shows all again", "dim"),))]
        return [
            Line(),
            Line((("   no hosts yet", "strong"),)),
            Line((("   bhtui user@host ...", "link"), ("        watch these", "dim"))),
            Line(
                (
                    ("   hosts.yaml", "link"),
                    ("                 beside blackhole.yaml: hosts and groups for good", "dim"),
                )
            ),
        ]

    def targets(self) -> list[Target]:
        return [Target(view, (), tuple(view.instances.values())) for view in self.table.chosen() if view.instances]

    def on_table_opened(self, event: FleetTable.Opened) -> None:
        self.console_app.go("host", event.key)

    def on_table_moved(self) -> None:
        self.refresh_footer()

    def action_go_overview(self) -> None:
        if self.table.selected is not None:
            self.console_app.go("overview", self.table.cursor_key)

    def action_host_logs(self) -> None:
        names = [view.name for view in self.table.chosen()]
        if names:
            self.console_app.go("logs", *names)

    def action_whole_graphs(self) -> None:
        names = [view.name for view in self.table.chosen()]
        if names:
            self.console_app.go("graphs", *names)

    def action_faults(self) -> None:
        self.faults_only = not self.faults_only
        self.refresh_view()

    def action_group(self) -> None:
        groups = ["", *self.console_app.fleet.groups()]
        self.group = groups[(groups.index(self.group) + 1) % len(groups)]
        self.refresh_view()

    def action_back(self) -> None:
        if self._filter:
            self.set_filter("")
        elif self.group or self.faults_only:
            self.group, self.faults_only = "", False
            self.refresh_view()
        elif self.table.marked:
            self.table.marked = set()
            self.table.repaint()


def _why(view: HostView, now: float, width: int) -> tuple[Spans, ...]:
    """Why it is not well, and the remedy, as far as there is room."""
    if host_level(view, now) < Level.BAD:
        said = bare_text(view) if failed_units(view) else notes_text(view)
        return ((("   └ ", "faint"), (crop(plain(said), max(20, width - 8)), "warn")),) if said else ()
    bad = max(view.instances.values(), key=lambda one: one.level, default=None)
    if not view.fresh(now) or bad is None:
        text, style = view.link.detail or view.trouble, "dim"
    else:
        text, style = f"{bad.name} {word(bad.status)}: {reason(bad.status)}", "bad"
    lines = wrap(plain(text), max(20, width - 8)) if text else []
    if len(lines) > _MOST:
        lines[_MOST - 1] = lines[_MOST - 1].rstrip() + " …"
    return tuple(
        (("   └ " if not number else "     ", "faint"), (line, style)) for number, line in enumerate(lines[:_MOST])
    )
