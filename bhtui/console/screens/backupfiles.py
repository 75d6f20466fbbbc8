"""What a snapshot holds, folder by folder; and in what two of them differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.widget import Widget

from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_size
from bhtui.rpc.blackhole.v1 import backup_pb2

from ..actions import bindings
from ..columns.backups import CHANGES, FILES
from ..models.match import parse
from ..paint import Line, Spans, paragraph, plain
from ..widgets.table import Row, Table
from .base import BaseScreen

LIMIT = 5000
"""Entries of one list."""


class FilesTable(Table[Any]):
    """A row for each entry, or each change."""

    contexts = ("files", "table")
    BINDINGS = bindings("files")


class _ListScreen(BaseScreen):
    """One list that is asked for and can be filtered."""

    AUTO_FOCUS = "FilesTable"
    DEFAULT_CSS = "_ListScreen FilesTable { height: 1fr; }"

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.problem = ""
        self.is_asking = True
        self.more = False
        self._filter = ""
        self._counts = (0, 0)

    @property
    def table(self) -> FilesTable:
        return self.query_one(FilesTable)

    def on_mount(self) -> None:
        self.refresh_view()
        self.ask_again()

    def ask_again(self) -> None:
        """Asks the host for the list."""
        self.is_asking, self.problem = True, ""
        self.run_worker(self._asked(), name="find", exclusive=True)

    async def _asked(self) -> None:
        try:
            await self.ask()
        except BlackholeError as error:
            self.problem = str(error)
        self.is_asking = False
        self.refresh_view()

    async def ask(self) -> None:
        """Fills the list. Raises BlackholeError."""
        raise NotImplementedError

    def fill(self, rows: list[tuple[str, Any]]) -> None:
        """Shows what passes the filter."""
        query = parse(self._filter)
        shown = [Row(path, item) for path, item in rows if query.matches(path)]
        self._counts = (len(shown), len(rows))
        self.table.set_rows(shown)

    def why_empty(self, width: int) -> list[Line]:
        """What stands where there are no rows."""
        if self.problem:
            return [Line(), *paragraph(plain(self.problem), "bad", width)]
        text = (
            "asking ..."
            if self.is_asking
            else "nothing passes the filter; esc clears it"
            if self._counts[1]
            else self.nothing
        )
        return [Line(), *paragraph(text, "dim", width)]

    nothing = "nothing"

    def facts(self) -> Spans:
        shown, total = self._counts
        more = "+" if self.more else ""
        found: list[tuple[str, str]] = [(f"{shown} of {total}{more}" if self._filter else f"{total}{more}", "dim")]
        if self._filter:
            found.insert(0, (f"/{self._filter}  ", "match"))
        return tuple(found)

    def filter_text(self) -> str:
        return self._filter

    def set_filter(self, text: str) -> None:
        self._filter = text
        self.refresh_view()

    def focus_back(self) -> None:
        self.table.focus()

    def on_table_moved(self) -> None:
        self.refresh_footer()


class BackupFilesScreen(_ListScreen):
    """One folder of a snapshot at a time."""

    nothing = "an empty folder"

    def __init__(self, host: str, snapshot: str) -> None:
        super().__init__(host)
        self.snapshot, self.folder = snapshot, ""
        self.entries: list[backup_pb2.BackupEntry] = []

    def body(self) -> Iterable[Widget]:
        yield FilesTable(FILES, empty=self.why_empty)

    async def ask(self) -> None:
        request = backup_pb2.BackupFilesRequest(id=self.snapshot, path=self.folder, limit=LIMIT)
        said = await self.console_app.backend.backup_files(self.host, request)
        self.entries, self.more = list(said.entries), said.more

    def show(self) -> None:
        self.fill([(one.path, one) for one in self.entries])

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, "backups", self.snapshot[:8], self.folder or "/")

    def on_table_opened(self) -> None:
        one = self.table.selected
        if one is not None and one.type == "dir":
            self._enter(one.path)

    def action_back(self) -> None:
        if self.filter_text() or not self.folder:
            super().action_back()
        else:
            self._enter(self.folder.rpartition("/")[0])

    def _enter(self, folder: str) -> None:
        self.folder, self.entries, self._filter = folder, [], ""
        self.refresh_view()
        self.ask_again()


class BackupDiffScreen(_ListScreen):
    """From one snapshot to another."""

    nothing = "they hold the same"

    def __init__(self, host: str, before: str, after: str) -> None:
        super().__init__(host)
        self.before, self.after = before, after
        self.said = backup_pb2.BackupDiff()

    def body(self) -> Iterable[Widget]:
        yield FilesTable(CHANGES, empty=self.why_empty)

    async def ask(self) -> None:
        request = backup_pb2.BackupDiffRequest(a=self.before, b=self.after, limit=LIMIT)
        self.said = await self.console_app.backend.backup_diff(self.host, request)
        self.more = self.said.more

    def show(self) -> None:
        self.fill([(one.path, one) for one in self.said.changes])

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, "backups", f"{self.before[:8]} → {self.after[:8]}")

    def facts(self) -> Spans:
        added, removed = format_size(self.said.bytes_added), format_size(self.said.bytes_removed)
        return (*super().facts(), (f"  +{added} -{removed}", "dim"))
