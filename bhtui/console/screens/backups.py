"""Backups of all hosts, or of one: how well each service is protected, its snapshots, and what is known of one."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from typing_extensions import override

from bhtui.core.units import format_age, format_size
from bhtui.rpc.blackhole.v1 import backup_pb2

from ..actions import Action, Target, bindings
from ..columns.backups import PROTECTION, SNAPSHOTS, BackupRow
from ..columns.cells import clock
from ..models.protection import Protected, protected, remaining
from ..paint import Line, Spans, meter, plain
from ..sources.message import Seen
from ..widgets.about import AboutPane, Fact, fact_lines
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title
from .listing import AskedListScreen


class ProtectionTable(Table[Protected]):
    """A row for each service that has data."""

    contexts = ("protection", "table")
    BINDINGS = bindings("protection")


class SnapshotTable(Table[BackupRow]):
    """The snapshots of the selected service."""

    contexts = ("backups", "table")
    BINDINGS = bindings("backups")

    def __init__(self) -> None:
        super().__init__(SNAPSHOTS, empty=lambda _: [Line((("   no backups yet", "dim"),))])
        self.name_of = ""

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        facts: Spans = ((plain(self.name_of), "strong"),) if self.name_of else ()
        return [Line(ruled(title("", "SNAPSHOTS", self.has_focus, facts), (), width)), *super().draw(width, height - 1)]

    @override
    def heads(self) -> int:
        return 2


class ProtectedPane(AboutPane[Protected]):
    """All that is known of a service, or of one of its snapshots."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: BackupRow | None = None

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        now = self.console_app.now()
        if self.snapshot:
            head: Spans = ((self.snapshot.snapshot.id[:8], "strong"),)
            name, facts = "SNAPSHOT", _of_snapshot(self.snapshot, now)
        elif self.about:
            head = ((plain(self.about.key), "strong"),)
            name, facts = "SERVICE", _of_service(self.about, now)
        else:
            return [Line(ruled(title("", "BACKUPS", False), (), width))]
        lines = [Line(ruled(title("", name, False, head), (), width))]
        if self.about and self.about.running:
            lines.append(_progress(self.about.running))
        return lines + fact_lines(facts, width)


def _progress(running: backup_pb2.BackupProgress) -> Line:
    share = running.bytes / running.bytes_total if running.bytes_total else 0.0
    full, empty = meter(share, 20)
    left = remaining(running)
    rest = f", {format_age(left)} left" if left is not None else ""
    of = f" of {format_size(running.bytes_total)}" if running.bytes_total else ""
    text = f" {running.phase} {format_size(running.bytes)}{of}{rest}  "
    return Line((("   ", ""), (full, "link"), (empty, "faint"), (text, ""), (plain(running.current), "dim")))


def _of_service(row: Protected, now: float) -> list[Fact]:
    state, view = row.state, row.host.backups
    assert view is not None
    facts: list[Fact] = []
    if row.problem:
        facts.append(("trouble", row.problem, "bad"))
    good = f"{format_age(row.host.instance_age(state.last_good_ns, now))} ago" if state.last_good_ns else "never"
    promise = f"; at most {format_age(view.rpo_seconds)} promised" if view.rpo_seconds else "; nothing promised"
    facts.append(("last good", good + promise, "bad" if state.late else ""))
    if state.drilled_ns and not state.drill_problem:
        took = (
            f"{state.drill_seconds:.0f} s in the drill {format_age(row.host.instance_age(state.drilled_ns, now))} ago"
        )
        over = bool(view.rto_seconds and state.drill_seconds > view.rto_seconds)
    else:
        took, over = "never drilled: nobody knows how long it takes", False
    promise = f"; at most {format_age(view.rto_seconds)} promised" if view.rto_seconds else ""
    facts.append(("back in", took + promise, "bad" if over else ""))
    due = [(at, name) for at, name in ((view.next_full_ns, "full"), (view.next_incremental_ns, "incremental")) if at]
    when = f"{min(due)[1]} at {clock(min(due)[0])}, in {format_age(min(due)[0] / 1e9 - now)}" if due else "only by hand"
    facts.append(("next", when, "" if due else "warn"))
    facts.append(("kept in", view.repository or "nowhere", ""))
    if view.problem:
        facts.append(("seen", view.problem, "warn"))
    return facts


def _of_snapshot(row: BackupRow, now: float) -> list[Fact]:
    one = row.snapshot
    facts: list[Fact] = [
        ("made", f"{clock(one.time_ns)}, {format_age(row.host.instance_age(one.time_ns, now))} ago, {one.type}", "")
    ]
    for text, name in ((one.problem, "problem"), (one.drill_problem, "drill")):
        if text:
            facts.append((name, text, "bad"))
    facts.append(("holds", f"{one.files:,} files, {format_size(one.bytes_total)}: {' '.join(one.paths)}", ""))
    how = {"data": "every byte", "structure": "that all is there"}.get(one.verified_how, "")
    at = f"{how}, {format_age(row.host.instance_age(one.verified_ns, now))} ago" if one.verified_ns else "not yet"
    facts.append(("checked", at, "ok" if one.verified else "dim"))
    if one.drilled_ns and not one.drill_problem:
        facts.append(("drilled", f"well again after {one.drill_seconds:.1f} s", "ok"))
    facts.append(("kept as", ", ".join(one.kept) or "nothing: the next prune removes it", "" if one.kept else "warn"))
    facts.append(("id", one.id, "dim"))
    return facts


class BackupsScreen(AskedListScreen[Protected]):
    """Of all hosts, or of one."""

    contexts = ("backups-screen",)
    BINDINGS = bindings("backups-screen")
    AUTO_FOCUS = "ProtectionTable"
    DEFAULT_CSS = (
        "BackupsScreen ProtectionTable { height: 2fr; } BackupsScreen SnapshotTable { height: 3fr; }"
        "BackupsScreen ProtectedPane { height: 2fr; min-height: 7; }"
    )
    subject = "backups"
    columns = PROTECTION

    def body(self) -> Iterable[Widget]:
        yield ProtectionTable(PROTECTION, empty=self.why_empty)
        yield SnapshotTable()
        yield ProtectedPane()

    @property
    def snapshots(self) -> SnapshotTable:
        return self.query_one(SnapshotTable)

    async def ask(self, host: str) -> None:
        app = self.console_app
        app.take(Seen(app.now(), host, await app.backend.backups(host)))

    def rows(self) -> list[Row[Protected]]:
        return [Row(row.key, row) for row in protected(self.views)]

    def words(self, item: Protected) -> str:
        return f"{item.host.name} {item.service} {item.problem}"

    def nothing(self) -> str:
        known = [view.backups for view in self.views]
        if all(one is None for one in known):
            return "asking ..."
        hints = [one.hint for one in known if one is not None and one.hint]
        return hints[0] if hints else "no service declares its data; add `data: [PATH]` to services"

    def show_selected(self) -> None:
        row, pane = self.table.selected, self.query_one(ProtectedPane)
        self.snapshots.name_of = row.key if row else ""
        self.snapshots.set_rows([Row(one.id, BackupRow(row.host, one)) for one in row.snapshots] if row else [])
        pane.snapshot = self.snapshots.selected if self.snapshots.has_focus else None
        pane.show(row)

    def targets(self) -> list[Target]:
        """The selected or marked services; in the list below the selected snapshot, by its id."""
        if self.snapshots.has_focus:
            one = self.snapshots.selected
            return [Target(one.host, (one.snapshot.id,), ())] if one else []
        by_host: dict[str, list[Protected]] = {}
        for row in self.table.chosen():
            by_host.setdefault(row.host.name, []).append(row)
        return [Target(rows[0].host, tuple(one.service for one in rows), ()) for rows in by_host.values()]

    def offers(self, action: Action) -> bool:
        if action.id == "compare-backup":
            return self._before() is not None
        return True

    def on_descendant_focus(self) -> None:
        self.show_selected()

    def on_table_opened(self, event: Table.Opened) -> None:
        if event.table is self.table:
            self.snapshots.focus()
        elif one := self.snapshots.selected:
            self.console_app.go_backup_files(one.host.name, one.snapshot.id)

    def action_other_list(self) -> None:
        (self.table if self.snapshots.has_focus else self.snapshots).focus()

    def action_compare_backup(self) -> None:
        one, before = self.snapshots.selected, self._before()
        if one and before:
            self.console_app.go_backup_diff(one.host.name, before.id, one.snapshot.id)

    def _before(self) -> backup_pb2.BackupSnapshot | None:
        """The snapshot of the same service before the selected one."""
        row, one = self.table.selected, self.snapshots.selected
        if row is None or one is None:
            return None
        return next((each for each in row.snapshots if each.time_ns < one.snapshot.time_ns), None)
