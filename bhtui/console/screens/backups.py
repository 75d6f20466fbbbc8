"""Backups of all hosts, or of one: how well each service is protected, its snapshots, and what is known of one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual.widget import Widget
from typing_extensions import override

from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_age, format_size
from bhtui.rpc.blackhole.v1 import backup_pb2

from ..actions import Action, Target, bindings
from ..columns.backups import PROTECTION, SNAPSHOTS, BackupRow
from ..columns.cells import clock
from ..columns.operations import without_host
from ..models.match import parse
from ..models.protection import Protected, protected, remaining
from ..paint import Line, Spans, meter, paragraph, plain, wrap
from ..sources.message import Seen
from ..widgets.canvas import Canvas
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title
from .base import BaseScreen

PERIOD = 3.0
"""Seconds between two looks while something runs, and until the next try after one that failed."""


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


class AboutPane(Canvas):
    """All that is known of what is selected."""

    def __init__(self) -> None:
        super().__init__()
        self._service: Protected | None = None
        self._snapshot: BackupRow | None = None

    def show(self, service: Protected | None, snapshot: BackupRow | None) -> None:
        """Shows a snapshot, or a service."""
        self._service, self._snapshot = service, snapshot
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        now = self.console_app.now()
        if self._snapshot:
            head: Spans = ((self._snapshot.snapshot.id[:8], "strong"),)
            name, facts = "SNAPSHOT", _of_snapshot(self._snapshot, now)
        elif self._service:
            head = ((plain(self._service.key), "strong"),)
            name, facts = "SERVICE", _of_service(self._service, now)
        else:
            return [Line(ruled(title("", "BACKUPS", False), (), width))]
        lines = [Line(ruled(title("", name, False, head), (), width))]
        if self._service and self._service.running:
            lines.append(_progress(self._service.running))
        for key, text, style in facts:
            pieces = wrap(plain(text), max(10, width - 15))
            lines += [Line(((f"   {'' if n else key:>9}  ", "dim"), (piece, style))) for n, piece in enumerate(pieces)]
        return lines


def _progress(running: backup_pb2.BackupProgress) -> Line:
    share = running.bytes / running.bytes_total if running.bytes_total else 0.0
    full, empty = meter(share, 20)
    left = remaining(running)
    rest = f", {format_age(left)} left" if left is not None else ""
    of = f" of {format_size(running.bytes_total)}" if running.bytes_total else ""
    text = f" {running.phase} {format_size(running.bytes)}{of}{rest}  "
    return Line((("   ", ""), (full, "link"), (empty, "faint"), (text, ""), (plain(running.current), "dim")))


Facts = list[tuple[str, str, str]]


def _of_service(row: Protected, now: float) -> Facts:
    state, view = row.state, row.host.backups
    assert view is not None
    facts: Facts = []
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


def _of_snapshot(row: BackupRow, now: float) -> Facts:
    one = row.snapshot
    facts: Facts = [
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


class BackupsScreen(BaseScreen):
    """Of all hosts, or of one."""

    contexts = ("backups-screen",)
    BINDINGS = bindings("backups-screen")
    AUTO_FOCUS = "ProtectionTable"
    DEFAULT_CSS = (
        "BackupsScreen ProtectionTable { height: 2fr; } BackupsScreen SnapshotTable { height: 3fr; }"
        "BackupsScreen AboutPane { height: 2fr; min-height: 7; }"
    )

    def __init__(self, hosts: list[str] | None = None) -> None:
        super().__init__()
        self.only = hosts
        self.problems: dict[str, str] = {}
        self._filter = ""
        self._counts = (0, 0)

    def body(self) -> Iterable[Widget]:
        yield ProtectionTable(PROTECTION, empty=self._why_empty)
        yield SnapshotTable()
        yield AboutPane()

    @property
    def services(self) -> ProtectionTable:
        return self.query_one(ProtectionTable)

    @property
    def snapshots(self) -> SnapshotTable:
        return self.query_one(SnapshotTable)

    @property
    def hosts(self) -> list[str]:
        return self.only or list(self.console_app.fleet.hosts)

    def on_mount(self) -> None:
        self.refresh_view()
        self.run_worker(self._look(), name="backups", exclusive=True)

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
            app.take(Seen(app.now(), host, await app.backend.backups(host)))
            self.problems.pop(host, None)
        except BlackholeError as error:
            self.problems[host] = str(error)

    def _why_empty(self, width: int) -> list[Line]:
        known = [self.console_app.host(host).backups for host in self.hosts]
        hints = [one.hint for one in known if one is not None and one.hint]
        if self._counts[1]:
            text = "nothing passes the filter; esc clears it"
        elif self.problems:
            text = next(iter(self.problems.values()))
        elif all(one is None for one in known):
            text = "asking ..."
        else:
            text = hints[0] if hints else "no service declares its data; add `data: [PATH]` to services"
        return [Line(), *paragraph(plain(text), "dim", width)]

    def show(self) -> None:
        views = [self.console_app.host(name) for name in self.hosts]
        rows = protected(views)
        query = parse(self._filter)
        shown = [row for row in rows if query.matches(f"{row.host.name} {row.service} {row.problem}")]
        self._counts = (len(shown), len(rows))
        self.services.columns = without_host(PROTECTION) if len(views) == 1 else PROTECTION
        self.services.set_rows([Row(row.key, row) for row in shown])
        self._show_snapshots()

    def _show_snapshots(self) -> None:
        row = self.services.selected
        self.snapshots.name_of = row.key if row else ""
        self.snapshots.set_rows([Row(one.id, BackupRow(row.host, one)) for one in row.snapshots] if row else [])
        self.query_one(AboutPane).show(row, self.snapshots.selected if self.snapshots.has_focus else None)

    def targets(self) -> list[Target]:
        """The selected or marked services; in the list below the selected snapshot, by its id."""
        if self.snapshots.has_focus:
            one = self.snapshots.selected
            return [Target(one.host, (one.snapshot.id,), ())] if one else []
        by_host: dict[str, list[Protected]] = {}
        for row in self.services.chosen():
            by_host.setdefault(row.host.name, []).append(row)
        return [Target(rows[0].host, tuple(one.service for one in rows), ()) for rows in by_host.values()]

    def offers(self, action: Action) -> bool:
        if action.id == "compare-backup":
            return self._before() is not None
        return True

    def path(self) -> tuple[str, ...]:
        return ("fleet", *(self.only or ()), "backups")

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
        self.services.focus()

    def on_table_moved(self, event: Table.Moved) -> None:
        if event.table is self.services:
            self._show_snapshots()
        else:
            self.query_one(AboutPane).show(self.services.selected, self.snapshots.selected)
        self.refresh_footer()

    def on_descendant_focus(self) -> None:
        self.query_one(AboutPane).show(
            self.services.selected, self.snapshots.selected if self.snapshots.has_focus else None
        )
        super().on_descendant_focus()

    def on_table_opened(self, event: Table.Opened) -> None:
        if event.table is self.services:
            self.snapshots.focus()
        elif one := self.snapshots.selected:
            self.console_app.go_backup_files(one.host.name, one.snapshot.id)

    def action_other_list(self) -> None:
        (self.services if self.snapshots.has_focus else self.snapshots).focus()

    def action_compare_backup(self) -> None:
        one, before = self.snapshots.selected, self._before()
        if one and before:
            self.console_app.go_backup_diff(one.host.name, before.id, one.snapshot.id)

    def _before(self) -> backup_pb2.BackupSnapshot | None:
        """The snapshot of the same service before the selected one."""
        row, one = self.services.selected, self.snapshots.selected
        if row is None or one is None:
            return None
        return next((each for each in row.snapshots if each.time_ns < one.snapshot.time_ns), None)
