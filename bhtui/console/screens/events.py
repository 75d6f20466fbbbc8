"""Everything that was observed, in order; the audit trail is the events that have an actor."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from ..actions import bindings
from ..columns.operations import EVENTS, EventRow, without_host
from ..models.match import parse
from ..paint import Line, Spans
from ..widgets.table import Row, Table
from .base import BaseScreen


class EventsTable(Table[EventRow]):
    """A row per event, newest first."""

    contexts = ("events", "table")
    BINDINGS = bindings("events")


class EventsScreen(BaseScreen):
    """Events of all hosts, of one, or of one of its instances; all, or those somebody caused."""

    AUTO_FOCUS = "EventsTable"

    def __init__(self, hosts: list[str] | None = None, instance: str = "", *, audit: bool = False) -> None:
        super().__init__()
        self.only, self.audit = hosts, audit
        self._filter = instance
        self._counts = (0, 0)
        self._drawn: tuple[object, ...] = ()

    def body(self) -> Iterable[Widget]:
        empty = [Line(), Line((("   nothing yet", "dim"),))]
        yield EventsTable(EVENTS, empty=lambda _: empty)

    @property
    def table(self) -> EventsTable:
        return self.query_one(EventsTable)

    def show(self) -> None:
        views = [view for view in self.console_app.fleet.hosts.values() if not self.only or view.name in self.only]
        # Rows are made anew only when there is an event more.
        drawn = (self._filter, *(view.events[-1].seq if view.events else 0 for view in views))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        query = parse(self._filter)
        rows = [EventRow(view, one) for view in views for one in view.events if not self.audit or one.HasField("actor")]
        shown = [row for row in rows if query.matches(_words(row))]
        shown.sort(key=lambda row: (-row.event.time_ns, -row.event.seq))
        self._counts = (len(shown), len(rows))
        self.table.columns = without_host(EVENTS) if len(views) == 1 else EVENTS
        self.table.set_rows([Row(f"{row.host.name} {row.event.seq}", row) for row in shown])

    def path(self) -> tuple[str, ...]:
        return ("fleet", *(self.only or ()), "audit" if self.audit else "events")

    def facts(self) -> Spans:
        shown, total = self._counts
        if self._filter:
            return ((f"/{self._filter}", "match"), (f"  {shown:,} of {total:,}", "dim"))
        return ((f"{total:,}", "dim"),)

    def filter_text(self) -> str:
        return self._filter

    def set_filter(self, text: str) -> None:
        self._filter = text
        self.refresh_view()

    def focus_back(self) -> None:
        self.table.focus()

    def on_table_opened(self) -> None:
        row = self.table.selected
        if row is None:
            return
        if row.event.target in row.host.instances:
            self.console_app.go("instance", row.host.name, row.event.target)
        else:
            self.console_app.go("host", row.host.name)


def _words(row: EventRow) -> str:
    return f"{row.host.name} {row.event.kind} {row.event.target} {row.event.message} {row.event.actor.name}"
