"""What a snapshot holds, folder by folder; and in what two of them differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from textual.widget import Widget

from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_size
from bhtui.rpc.blackhole.v1 import backup_pb2

from ..actions import bindings
from ..columns.backups import CHANGES, FILES
from ..paint import Spans
from ..widgets.table import Row, Table
from .listing import ListScreen

T = TypeVar("T")

LIMIT = 5000
"""Entries of one list."""
DEEPEST = 100
"""Folders that hold nothing but the next one, and are passed at once."""


class FilesTable(Table[Any]):
    """A row for each entry, or each change."""

    contexts = ("files", "table")
    BINDINGS = bindings("files")


class _FoundScreen(ListScreen[T]):
    """One list that is asked for."""

    AUTO_FOCUS = "FilesTable"
    DEFAULT_CSS = "_FoundScreen FilesTable { height: 1fr; }"

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.is_asking = True
        self._problem = ""

    def on_mount(self) -> None:
        self.ask_again()

    def ask_again(self) -> None:
        """Asks the host for the list."""
        self.is_asking, self._problem = True, ""
        self.run_worker(self._asked(), name="find", exclusive=True)

    async def _asked(self) -> None:
        try:
            await self.ask()
        except BlackholeError as error:
            self._problem = str(error)
        self.is_asking = False
        self.refresh_view()

    async def ask(self) -> None:
        """Fills the list. Raises BlackholeError."""
        raise NotImplementedError

    def problem(self) -> str:
        return self._problem


class BackupFilesScreen(_FoundScreen[backup_pb2.BackupEntry]):
    """One folder of a snapshot at a time; those that hold nothing but another folder are passed."""

    def __init__(self, host: str, snapshot: str) -> None:
        super().__init__(host)
        self.snapshot, self.folder = snapshot, ""
        self.entries: list[backup_pb2.BackupEntry] = []
        self._way: list[str] = []
        """The folders to go back to, the last one first."""

    def body(self) -> Iterable[Widget]:
        yield FilesTable(FILES, empty=self.why_empty)

    async def ask(self) -> None:
        folder = self.folder
        for _ in range(DEEPEST):
            request = backup_pb2.BackupFilesRequest(id=self.snapshot, path=folder, limit=LIMIT)
            said = await self.console_app.backend.backup_files(self.host, request)
            if len(said.entries) != 1 or said.entries[0].type != "dir":
                break
            folder = said.entries[0].path
        self.folder, self.entries, self.more = folder, list(said.entries), said.more

    def rows(self) -> list[Row[backup_pb2.BackupEntry]]:
        return [Row(one.path, one) for one in self.entries]

    def words(self, item: backup_pb2.BackupEntry) -> str:
        return item.path

    def nothing(self) -> str:
        return "asking ..." if self.is_asking else "an empty folder"

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, "backups", self.snapshot[:8], self.folder or "/")

    def on_table_opened(self) -> None:
        one = self.table.selected
        if one is not None and one.type == "dir":
            self._way.append(self.folder)
            self._enter(one.path)

    def action_back(self) -> None:
        if self.filter_text() or not self._way:
            super().action_back()
        else:
            self._enter(self._way.pop())

    def _enter(self, folder: str) -> None:
        self.folder, self.entries, self._filter = folder, [], ""
        self.refresh_view()
        self.ask_again()


class BackupDiffScreen(_FoundScreen[backup_pb2.BackupChange]):
    """From one snapshot to another."""

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

    def rows(self) -> list[Row[backup_pb2.BackupChange]]:
        return [Row(one.path, one) for one in self.said.changes]

    def words(self, item: backup_pb2.BackupChange) -> str:
        return item.path

    def nothing(self) -> str:
        return "asking ..." if self.is_asking else "they hold the same"

    def path(self) -> tuple[str, ...]:
        return ("fleet", self.host, "backups", f"{self.before[:8]} → {self.after[:8]}")

    def facts(self) -> Spans:
        added, removed = format_size(self.said.bytes_added), format_size(self.said.bytes_removed)
        return (*super().facts(), (f"  +{added} -{removed}", "dim"))
