"""The backups of a host: what exists, what would be taken, and how to make one."""

from __future__ import annotations

from typing_extensions import override

from bhtui.core.units import format_age, format_size
from bhtui.rpc.blackhole.v1 import backup_pb2

from ..actions import bindings
from ..columns.backups import SNAPSHOTS, BackupRow
from ..models.host import HostView
from ..paint import Line, Span, Spans, fit, paragraph, plain
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title


class BackupsPane(Table[BackupRow]):
    """A row per snapshot, newest first."""

    contexts = ("backups", "table")
    BINDINGS = bindings("backups")

    def __init__(self, number: str) -> None:
        super().__init__(SNAPSHOTS, empty=self._empty)
        self.number = number
        self._host: HostView | None = None
        self._facts: Spans = ()

    def show(self, host: HostView, now: float) -> None:
        """Shows the host's snapshots."""
        self._host = host
        snapshots = list(host.backups.snapshots) if host.backups else []
        if snapshots:
            age = format_age(host.instance_age(snapshots[0].time_ns, now))
            self._facts = ((f"last {age} ago", "strong"),)
        else:
            self._facts = (("none yet", "warn"),) if host.backups else ()
        if late := [each.service for each in host.backups.services if each.late] if host.backups else []:
            told = late[0] if len(late) == 1 else f"{len(late)} services"
            self._facts = (*self._facts, (f" · {plain(told)} late", "bad"))
        self.set_rows([Row(one.id, BackupRow(host, one)) for one in snapshots])

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        hint = self._host.backups.hint if self._host and self._host.backups else ""
        self.footer_lines = (
            [Line(fit(((" " + plain(hint), "dim"),), width))] if hint and self.rows and height > 6 else []
        )
        return [
            Line(ruled(title(self.number, "BACKUPS", self.has_focus, self._facts), (), width)),
            *super().draw(width, height - 1),
        ]

    def heads(self) -> int:
        return 2

    def _empty(self, width: int) -> list[Line]:
        answer = self._host.backups if self._host else None
        if answer is None:
            return [Line(), Line((("   not known yet", "dim"),))]
        # What is missing stands above what there is.
        lines = paragraph(plain(answer.hint), "link", width) if answer.hint else []
        if answer.repository:
            lines.append(Line((("   kept in ", "dim"), (plain(answer.repository), "strong"))))
        for source in answer.sources:
            lines.append(Line(_source(source)))
            lines += paragraph(plain(source.problem), "bad", width) if source.problem else []
        if not answer.sources and not answer.hint:
            lines.append(Line((("   no service declares data", "dim"),)))
        return lines


def _source(source: backup_pb2.BackupSource) -> Spans:
    sign: Span = ("✗ ", "bad") if source.problem else ("· ", "dim")
    size = format_size(source.bytes) if not source.problem else "-"
    return (
        (" ", ""),
        sign,
        (plain(source.service.ljust(10)), "strong"),
        (size.rjust(8) + "  ", ""),
        (plain(source.path), "dim"),
    )
