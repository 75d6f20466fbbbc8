"""What was changed, by whom, how far it is and how it went; live. Below: the steps of the selected one."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from typing_extensions import override

from bhtui.rpc.blackhole.v1 import operations_pb2

from ..actions import Action, Target, bindings
from ..columns.cells import clock
from ..columns.operations import OPERATIONS, STEP_SIGN, OperationRow, without_host
from ..models.match import parse
from ..models.operation import ENDED, progress
from ..paint import Line, Spans, meter, plain, wrap
from ..widgets.canvas import Canvas
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title
from .base import BaseScreen
from .confirm import ConfirmScreen


class OperationsTable(Table[OperationRow]):
    """A row per operation, newest first."""

    contexts = ("operations", "table")
    BINDINGS = bindings("operations")


class StepsPane(Canvas):
    """The steps of one operation."""

    def __init__(self) -> None:
        super().__init__()
        self._row: OperationRow | None = None

    def show(self, row: OperationRow | None) -> None:
        """Shows an operation."""
        self._row = row
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        row = self._row
        if row is None:
            return [Line(ruled(title("", "STEPS", False), (), width))]
        one = row.operation
        over = ("done",) if one.state in ("failed", "cancelled") else ("done", "skipped", "undone")
        share = sum(step.state in over for step in one.steps) / max(1, len(one.steps))
        full, empty = meter(share, 20)
        bar: Spans = ((full, "bad" if one.state == "failed" else "ok"), (empty, "faint"), (f" {progress(one)} ", ""))
        head = ((plain(f"{one.kind} {' '.join(one.targets)}"), "strong"), (f"  {one.id[:8]}", "dim"))
        lines = [Line(ruled(title("", "STEPS", False, head), bar, width))]
        lines += _visible([Line(_step(step)) for step in one.steps], one, height - 1 - (3 if one.error else 1))
        # First of all why: where there is little room, the rest is what is cut off.
        for n, piece in enumerate(wrap(plain(one.error.replace("\n", " · ")), width - 12) if one.error else []):
            lines.append(Line(((" " * 11 if n else "    error  ", "dim"), (piece, "bad"))))
        facts = [
            ("by", f"{one.actor.name} from {one.actor.origin or 'this machine'}"),
            ("reason", one.reason),
        ]
        lines += [Line(((f"   {name.rjust(7)}  ", "dim"), (plain(text), ""))) for name, text in facts if text]
        notes = wrap(plain(one.note), width - 12) if one.note else []
        lines += [Line((("   " + "note".rjust(7) * (not n) + " " * 7 * bool(n) + "  ", "dim"), (piece, "")))
                  for n, piece in enumerate(notes)]  # fmt: skip
        lines += [Line((("   effect  ", "dim"), (plain(effect), "notice"))) for effect in one.effects]
        return lines


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


class OperationsScreen(BaseScreen):
    """Operations of all hosts, or of one."""

    AUTO_FOCUS = "OperationsTable"
    DEFAULT_CSS = (
        "OperationsScreen OperationsTable { height: 3fr; } OperationsScreen StepsPane { height: 2fr; min-height: 8; }"
    )

    def __init__(self, hosts: list[str] | None = None) -> None:
        super().__init__()
        self.only = hosts
        self._filter = ""
        self._counts = (0, 0)

    def body(self) -> Iterable[Widget]:
        empty = [Line(), Line((("   nothing has been changed yet", "dim"),))]
        yield OperationsTable(OPERATIONS, empty=lambda _: empty)
        yield StepsPane()

    @property
    def table(self) -> OperationsTable:
        return self.query_one(OperationsTable)

    def show(self) -> None:
        app = self.console_app
        views = [view for view in app.fleet.hosts.values() if not self.only or view.name in self.only]
        rows = [OperationRow(view, one) for view in views for one in view.operations]
        query = parse(self._filter)
        shown = [row for row in rows if query.matches(_words(row))]
        # Open ones first: they are what one looks for here.
        shown.sort(key=lambda row: (row.operation.state in ENDED, -row.operation.created_ns))
        self._counts = (len(shown), len(rows))
        self.table.columns = without_host(OPERATIONS) if len(views) == 1 else OPERATIONS
        self.table.set_rows([Row(row.operation.id, row) for row in shown])
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

    def path(self) -> tuple[str, ...]:
        return ("fleet", *(self.only or ()), "operations")

    def facts(self) -> Spans:
        shown, total = self._counts
        return (
            ((f"/{self._filter}", "match"), (f"  {shown} of {total}", "dim"))
            if self._filter
            else ((f"{total}", "dim"),)
        )

    def filter_text(self) -> str:
        return self._filter

    def set_filter(self, text: str) -> None:
        self._filter = text
        self.refresh_view()

    def focus_back(self) -> None:
        self.table.focus()

    def on_table_moved(self) -> None:
        self.query_one(StepsPane).show(self.table.selected)
        self.refresh_footer()

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


def _words(row: OperationRow) -> str:
    one = row.operation
    words = (row.host.name, one.kind, *one.targets, one.state, one.actor.name, one.reason, one.id, one.error)
    return " ".join(words)
