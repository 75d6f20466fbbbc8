"""What leaves hosts for servers elsewhere, log outputs and remote write: how far that has come, and what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual.widget import Widget
from typing_extensions import override

from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_age, format_size

from ..actions import bindings
from ..columns.cells import clock
from ..columns.operations import without_host
from ..columns.outgoing import OUTGOING, SIGN
from ..models.match import parse
from ..models.outgoing import Outgoing, outgoing
from ..paint import Line, Spans, paragraph, plain, wrap
from ..sources.message import Seen
from ..widgets.canvas import Canvas
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title
from .base import BaseScreen

PERIOD = 2.0
"""Seconds between two looks, and until the next try after one that failed."""


class OutgoingTable(Table[Outgoing]):
    """A row for each output."""

    contexts = ("outputs", "table")
    BINDINGS = bindings("outputs")


class OutgoingPane(Canvas):
    """All that is known of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self._row: Outgoing | None = None

    def show(self, row: Outgoing | None) -> None:
        """Shows one."""
        self._row = row
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        row = self._row
        if row is None:
            return [Line(ruled(title("", "OUTPUT", False), (), width))]
        sign, style = SIGN.get(row.state, ("?", "dim"))
        head: Spans = ((plain(row.name), "strong"), (f"  {sign} {row.state}", style))
        lines = [Line(ruled(title("", "OUTPUT", False, head), (), width))]
        for name, text, colour in _facts(row, self.console_app.now()):
            pieces = wrap(plain(text), max(10, width - 15))
            lines += [
                Line(((f"   {'' if number else name:>9}  ", "dim"), (piece, colour)))
                for number, piece in enumerate(pieces)
            ]
        return lines


def _facts(row: Outgoing, now: float) -> list[tuple[str, str, str]]:
    facts = [("where to", row.target or row.kind, "")]
    if row.last_error:
        ago = format_age(now - row.last_error_ns / 1e9)
        since = f"for {format_age(now - row.failing_since_ns / 1e9)}: " if row.failing_since_ns else f"{ago} ago: "
        facts.append(("error", since + row.last_error, "bad" if row.failing_since_ns else "notice"))
    last = f", the last at {clock(row.last_sent_ns)}" if row.last_sent_ns else ""
    facts.append(("sent", f"{row.sent:,} {row.unit}, {format_size(row.sent_bytes)}{last}", ""))
    if row.behind:
        oldest = format_age(row.behind_seconds)
        wait = f"{row.behind:,} {row.unit}, {format_size(row.behind_bytes)}, the oldest for {oldest}"
        facts.append(("waits", wait, "warn" if row.is_trouble else ""))
    if row.retried:
        facts.append(("again", f"{row.retried:,} {row.unit} were sent more than once", ""))
    if row.refused:
        kept = ", and are in the dead-letter file" if row.unit == "lines" else ""
        facts.append(("refused", f"{row.refused:,} {row.unit} for good{kept}", "warn"))
    if row.lost:
        why = "rotation removed them unsent" if row.unit == "lines" else "the buffer or the disk was full"
        facts.append(("lost", f"{row.lost:,} {row.unit}: {why}", "bad"))
    return facts


class OutgoingScreen(BaseScreen):
    """Of all hosts, or of one."""

    AUTO_FOCUS = "OutgoingTable"
    DEFAULT_CSS = (
        "OutgoingScreen OutgoingTable { height: 3fr; } OutgoingScreen OutgoingPane { height: 2fr; min-height: 8; }"
    )

    def __init__(self, hosts: list[str] | None = None) -> None:
        super().__init__()
        self.only = hosts
        self.problems: dict[str, str] = {}
        self._filter = ""
        self._counts = (0, 0)

    def body(self) -> Iterable[Widget]:
        yield OutgoingTable(OUTGOING, empty=self._why_empty)
        yield OutgoingPane()

    @property
    def table(self) -> OutgoingTable:
        return self.query_one(OutgoingTable)

    @property
    def hosts(self) -> list[str]:
        return self.only or list(self.console_app.fleet.hosts)

    def on_mount(self) -> None:
        self.refresh_view()
        self.run_worker(self._look(), name="outputs", exclusive=True)

    async def _look(self) -> None:
        while True:
            async with asyncio.TaskGroup() as group:
                for host in self.hosts:
                    group.create_task(self._ask(host))
            self.console_app.refresh_soon()
            await asyncio.sleep(PERIOD)

    async def _ask(self, host: str) -> None:
        app = self.console_app
        if not self.only and not app.host(host).fresh(app.now()):
            return
        try:
            for seen in await app.backend.outputs(host):
                app.take(Seen(app.now(), host, seen))
            self.problems.pop(host, None)
        except BlackholeError as error:
            self.problems[host] = str(error)

    def _why_empty(self, width: int) -> list[Line]:
        if self._counts[1]:
            text = "nothing passes the filter; esc clears it"
        elif self.problems:
            text = next(iter(self.problems.values()))
        elif all(self.console_app.host(host).outputs is None for host in self.hosts):
            text = "asking ..."
        else:
            text = (
                "nothing is sent elsewhere: lines stay in the captured files, samples in the agent's history; "
                "see logging.outputs and metrics.remote_write in the configuration"
            )
        return [Line(), *paragraph(plain(text), "dim", width)]

    def show(self) -> None:
        views = [self.console_app.host(name) for name in self.hosts]
        rows = outgoing(views)
        query = parse(self._filter)
        shown = [
            row for row in rows if query.matches(f"{row.host.name} {row.name} {row.kind} {row.state} {row.target}")
        ]
        self._counts = (len(shown), len(rows))
        self.table.columns = without_host(OUTGOING) if len(views) == 1 else OUTGOING
        self.table.set_rows([Row(row.key, row) for row in shown])
        self.query_one(OutgoingPane).show(self.table.selected)

    def path(self) -> tuple[str, ...]:
        return ("fleet", *(self.only or ()), "outputs")

    def facts(self) -> Spans:
        shown, total = self._counts
        found: list[tuple[str, str]] = [(f"{shown} of {total}" if self._filter else f"{total}", "dim")]
        if self._filter:
            found.insert(0, (f"/{self._filter}  ", "match"))
        if self.problems and total:
            host, why = next(iter(self.problems.items()))
            found.append((f"  {host}: {plain(why)}", "warn"))
        return tuple(found)

    def filter_text(self) -> str:
        return self._filter

    def set_filter(self, text: str) -> None:
        self._filter = text
        self.refresh_view()

    def focus_back(self) -> None:
        self.table.focus()

    def on_table_moved(self) -> None:
        self.query_one(OutgoingPane).show(self.table.selected)
        self.refresh_footer()

    def on_table_opened(self) -> None:
        row = self.table.selected
        if row is not None:
            self.console_app.go("host", row.host.name)
