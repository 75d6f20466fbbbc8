"""Everything that was observed, in order; the audit trail is the events that have an actor."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from ..actions import bindings
from ..columns.operations import EVENTS, EventRow
from ..widgets.table import Row, Table
from .listing import HostsListScreen


class EventsTable(Table[EventRow]):
    """A row per event, newest first."""

    contexts = ("events", "table")
    BINDINGS = bindings("events")


class EventsScreen(HostsListScreen[EventRow]):
    """Events of all hosts, of one, or of one of its instances; all, or those somebody caused."""

    AUTO_FOCUS = "EventsTable"
    columns = EVENTS

    def __init__(self, hosts: list[str] | None = None, instance: str = "", *, audit: bool = False) -> None:
        super().__init__(hosts)
        self.audit = audit
        self._filter = instance
        self._drawn: tuple[object, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield EventsTable(EVENTS, empty=self.why_empty)

    def show(self) -> None:
        # Rows are made anew only when there is an event more.
        drawn = (self._filter, *(view.events[-1].seq if view.events else 0 for view in self.views))
        if drawn != self._drawn:
            self._drawn = drawn
            super().show()

    def rows(self) -> list[Row[EventRow]]:
        rows = [EventRow(view, one) for view in self.views for one in view.events]
        rows = [row for row in rows if not self.audit or row.event.HasField("actor")]
        rows.sort(key=lambda row: (-row.event.time_ns, -row.event.seq))
        return [Row(f"{row.host.name} {row.event.seq}", row) for row in rows]

    def words(self, item: EventRow) -> str:
        event = item.event
        return f"{item.host.name} {event.kind} {event.target} {event.message} {event.actor.name}"

    def nothing(self) -> str:
        return "nothing yet"

    def path(self) -> tuple[str, ...]:
        return ("fleet", *(self.only or ()), "audit" if self.audit else "events")

    def on_table_opened(self) -> None:
        row = self.table.selected
        if row is None:
            return
        if row.event.target in row.host.instances:
            self.console_app.go("instance", row.host.name, row.event.target)
        else:
            self.console_app.go("host", row.host.name)
