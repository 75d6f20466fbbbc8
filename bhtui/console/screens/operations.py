"""What was changed, by whom, how far it is and how it went; live. Below: the steps of the selected one."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from typing_extensions import override

from bhtui.rpc.blackhole.v1 import operations_pb2

from ..actions import Action, Target, bindings
from ..columns.cells import clock
from ..columns.operations import OPERATIONS, STEP_SIGN, OperationRow
from ..models.operation import ENDED, progress
from ..paint import Line, Spans, meter, plain
from ..widgets.about import AboutPane, fact_lines
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title
from .confirm import ConfirmScreen
from .listing import HostsListScreen


class OperationsTable(Table[OperationRow]):
    """A row per operation, newest first."""

    contexts = ("operations", "table")
    BINDINGS = bindings("operations")


class StepsPane(AboutPane[OperationRow]):
    """The steps of one operation."""

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        if self.about is None:
            return [Line(ruled(title("", "STEPS", False), (), width))]
        one = self.about.operation
        over = ("done",) if one.state in ("failed", "cancelled") else ("done", "skipped", "undone")
        share = sum(step.state in over for step in one.steps) / max(1, len(one.steps))
        full, empty = meter(share, 20)
        bar: Spans = ((full, "bad" if one.state == "failed" else "ok"), (empty, "faint"), (f" {progress(one)} ", ""))
        head = ((plain(f"{one.kind} {' '.join(one.targets)}"), "strong"), (f"  {one.id[:8]}", "dim"))
        lines = [Line(ruled(title("", "STEPS", False, head), bar, width))]
        lines += _visible([Line(_step(step)) for step in one.steps], one, height - 1 - (3 if one.error else 1))
        # First of all why: where there is little room, the rest is what is cut off.
        facts = [
            ("error", one.error.replace("\n", " · "), "bad"),
            ("by", f"{one.actor.name} from {one.actor.origin or 'this machine'}", ""),
            ("reason", one.reason, ""),
            ("note", one.note, ""),
            *(("effect", effect, "notice") for effect in one.effects),
        ]
        return lines + fact_lines(facts, width)


def _visible(lines: list[Line], one: operations_pb2.Operation, room: int) -> list[Line]:
    """The steps that fit: from the start, or so that those that run or went wrong are there."""
    if len(lines) <= room:
        return lines
    last = max((n for n, step in enumerate(one.steps) if step.state not in ("pending", "skipped", "done")), default=0)
    first = max(0, min(last - room // 2, len(lines) - room + 1))
    before = [Line(((f"   {_steps(first)} before", "faint"),))] if first else []
    shown = lines[first + len(before) : first + max(1, room - 1)]
    after = len(lines) - first - len(before) - len(shown)
    return [*before, *shown, *([Line(((f"   {_steps(after)} more", "faint"),))] if after else [])]


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def _step(step: operations_pb2.Step) -> Spans:
    sign, style = STEP_SIGN.get(step.state, ("?", "dim"))
    took = f"  {(step.ended_ns - step.started_ns) / 1e9:.1f} s" if step.ended_ns and step.started_ns else ""
    began = clock(step.started_ns) if step.started_ns else " " * 8
    detail = f"  {plain(step.detail)}" if step.detail else ""
    return (
        (f"   {began} ", "time"),
        (f"{sign} ", style),
        (plain(step.title or f"{step.kind} {step.target}"), "" if step.state != "pending" else "dim"),
        (took, "dim"),
        (detail, style if step.state in ("failed", "undo-failed") else "dim"),
    )


class OperationsScreen(HostsListScreen[OperationRow]):
    """Operations of all hosts, or of one."""

    AUTO_FOCUS = "OperationsTable"
    DEFAULT_CSS = (
        "OperationsScreen OperationsTable { height: 3fr; } OperationsScreen StepsPane { height: 2fr; min-height: 8; }"
    )
    subject = "operations"
    columns = OPERATIONS

    def body(self) -> Iterable[Widget]:
        yield OperationsTable(OPERATIONS, empty=self.why_empty)
        yield StepsPane()

    def rows(self) -> list[Row[OperationRow]]:
        rows = [OperationRow(view, one) for view in self.views for one in view.operations]
        # Open ones first: they are what one looks for here.
        rows.sort(key=lambda row: (row.operation.state in ENDED, -row.operation.created_ns))
        return [Row(row.operation.id, row) for row in rows]

    def words(self, item: OperationRow) -> str:
        one = item.operation
        words = (item.host.name, one.kind, *one.targets, one.state, one.actor.name, one.reason, one.id, one.error)
        return " ".join(words)

    def nothing(self) -> str:
        return "nothing has been changed yet"

    def show_selected(self) -> None:
        self.query_one(StepsPane).show(self.table.selected)

    def offers(self, action: Action) -> bool:
        row = self.table.selected
        state, kind = (row.operation.state, row.operation.kind) if row else ("", "")
        match action.id:
            case "cancel-operation":
                return row is not None and state not in ENDED
            case "resume":
                return state in ("failed", "cancelled") and kind in ("restart", "reload-config")
            case "roll-back":
                return state in ENDED and kind == "reload-config"
            case _:
                return True

    def targets(self) -> list[Target]:
        """The selected operation, by its id."""
        row = self.table.selected
        return [Target(row.host, (row.operation.id[:8],), ())] if row else []

    def on_table_opened(self) -> None:
        row = self.table.selected
        if row is not None:
            self.console_app.go("host", row.host.name)

    def action_cancel_operation(self) -> None:
        row = self.table.selected
        if row is None or row.operation.state in ENDED:
            self.console_app.say("nothing to cancel: this operation has ended", "dim")
            return
        one = row.operation
        question = f"cancel {one.kind} {' '.join(one.targets)} on {row.host.name}?"
        detail = "Steps that run are let finish or undone, as its plan says; the others are skipped."
        self.app.push_screen(
            ConfirmScreen(question, detail, "cancel it"), lambda yes: self._cancel(row) if yes else None
        )

    def _cancel(self, row: OperationRow) -> None:
        self.console_app.cancel_operation(row.host.name, row.operation.id)
