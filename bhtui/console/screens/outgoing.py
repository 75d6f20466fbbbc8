"""What leaves hosts for servers elsewhere, log outputs and remote write: how far that has come, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from typing_extensions import override

from bhtui.core.units import format_age, format_size

from ..actions import bindings
from ..columns.cells import clock
from ..columns.outgoing import OUTGOING, SIGN
from ..models.outgoing import Outgoing, outgoing
from ..paint import Line, Spans, plain
from ..sources.message import Seen
from ..widgets.about import AboutPane, Fact, fact_lines
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title
from .listing import AskedListScreen


class OutgoingTable(Table[Outgoing]):
    """A row for each output."""

    contexts = ("outputs", "table")
    BINDINGS = bindings("outputs")


class OutgoingPane(AboutPane[Outgoing]):
    """All that is known of one of them."""

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        row = self.about
        if row is None:
            return [Line(ruled(title("", "OUTPUT", False), (), width))]
        sign, style = SIGN.get(row.state, ("?", "dim"))
        head: Spans = ((plain(row.name), "strong"), (f"  {sign} {row.state}", style))
        facts = fact_lines(_facts(row, self.console_app.now()), width)
        return [Line(ruled(title("", "OUTPUT", False, head), (), width)), *facts]


def _facts(row: Outgoing, now: float) -> list[Fact]:
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


class OutgoingScreen(AskedListScreen[Outgoing]):
    """Of all hosts, or of one."""

    AUTO_FOCUS = "OutgoingTable"
    DEFAULT_CSS = (
        "OutgoingScreen OutgoingTable { height: 3fr; } OutgoingScreen OutgoingPane { height: 2fr; min-height: 8; }"
    )
    subject = "outputs"
    columns = OUTGOING

    def body(self) -> Iterable[Widget]:
        yield OutgoingTable(OUTGOING, empty=self.why_empty)
        yield OutgoingPane()

    async def ask(self, host: str) -> None:
        for seen in await self.console_app.backend.outputs(host):
            self.console_app.take(Seen(self.console_app.now(), host, seen))

    def rows(self) -> list[Row[Outgoing]]:
        return [Row(row.key, row) for row in outgoing(self.views)]

    def words(self, item: Outgoing) -> str:
        return f"{item.host.name} {item.name} {item.kind} {item.state} {item.target}"

    def nothing(self) -> str:
        if all(view.outputs is None for view in self.views):
            return "asking ..."
        return (
            "nothing is sent elsewhere: lines stay in the captured files, samples in the agent's history; "
            "see logging.outputs and metrics.remote_write in the configuration"
        )

    def show_selected(self) -> None:
        self.query_one(OutgoingPane).show(self.table.selected)

    def on_table_opened(self) -> None:
        row = self.table.selected
        if row is not None:
            self.console_app.go("host", row.host.name)
