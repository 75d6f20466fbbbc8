"""The services of a host: state, figures, and the reason of a failure under its row."""

from __future__ import annotations

import textwrap

from textual import events
from typing_extensions import override

from ..actions import bindings
from ..columns.services import SERVICES, ServiceRow
from ..models.host import HostView
from ..models.match import Query
from ..models.trouble import Level, completed, is_up, reason
from ..paint import Line, Spans, paragraph, plain
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title

_MOST = 3
"""Lines of a reason under its row; all of it is on the screen of the instance."""


class ServicesPane(Table[ServiceRow]):
    """A row per instance, in trouble first."""

    contexts = ("services", "table")
    BINDINGS = bindings("services")

    def __init__(self, number: str) -> None:
        super().__init__(SERVICES, empty=self._empty)
        self.number = number
        self.query_text = Query()
        self._host: HostView | None = None
        self._facts: Spans = ()
        self._count: Spans = ()

    def show(self, host: HostView, query: Query, now: float) -> None:
        """Shows the host's instances that pass a filter."""
        self._host, self.query_text = host, query
        every = [ServiceRow(host, view) for view in host.instances.values()]
        rows = [
            row for row in every if query.matches(f"{row.view.name} {row.view.status.state} {row.view.status.health}")
        ]
        rows.sort(key=lambda row: -row.view.level if row.view.level >= Level.WARN else 0)
        up = sum(is_up(row.view.status) for row in every)
        wanted = len(every) - sum(completed(row.view.status) for row in every)
        self._facts = ((f"{up}/{wanted} up", "ok" if up == wanted else "warn"),) if every else ()
        self._count = ((f"/{query.text} ", "match"), (f" {len(rows)}/{len(every)} ", "dim")) if query.text else ()
        self.set_rows([Row(row.view.name, row, _why(row, self.size.width)) for row in self.sorted_items(rows, now)])

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        head = Line(ruled(title(self.number, "SERVICES", self.has_focus, self._facts), self._count, width))
        return [head, *super().draw(width, height - 1)]

    def on_resize(self, event: events.Resize) -> None:
        if self._host:
            # Reasons are wrapped to the width.
            self.show(self._host, self.query_text, self.console_app.now())
        super().on_resize(event)

    def heads(self) -> int:
        return 2

    def _empty(self, width: int) -> list[Line]:
        host = self._host
        if host is None or not host.seen_at:
            why = (host.link.detail or host.trouble) if host else ""
            return [Line(), *paragraph(plain(why) or "waiting for the first word of this host", "dim", width)]
        if self.query_text.text:
            return [Line(), Line((("   nothing passes the filter; esc clears it", "dim"),))]
        if host.agent and host.agent.config_error:
            return [
                Line(),
                Line((("   the configuration was refused", "bad"),)),
                *paragraph(plain(host.agent.config_error), "", width),
            ]
        path = host.agent.config_path if host.agent else "blackhole.yaml"
        return [
            Line(),
            Line((("   no services are declared", "strong"),)),
            Line((("   declare them in ", "dim"), (plain(path), "link"))),
            Line((("   then: ", "dim"), ("blackhole start", "link"))),
            Line((("   O", "key"), (" shows what runs here nevertheless", "dim"))),
        ]


def _why(row: ServiceRow, width: int) -> tuple[Spans, ...]:
    """Why it is not well, as far as there is room."""
    style = {Level.BAD: "bad", Level.OFF: "dim"}.get(row.view.level, "warn")
    lines = textwrap.wrap(plain(reason(row.view.status)), max(20, width - 8))
    if len(lines) > _MOST:
        lines[_MOST - 1] += " …"
    return tuple(
        (("   └ " if not number else "     ", "faint"), (line, style)) for number, line in enumerate(lines[:_MOST])
    )
