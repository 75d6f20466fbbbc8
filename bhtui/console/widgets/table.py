"""A list with columns. Draws only what is visible, so that many rows cost what few do; the cursor stays on its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual import events
from textual.message import Message
from typing_extensions import override

from ..actions import bindings
from ..columns.column import GAP, Column, layout
from ..paint import Line, Spans, fit
from . import window
from .canvas import Canvas

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """A row: what it is about, and lines that stand beneath it. Without an item it is a heading."""

    key: str
    item: T | None
    notes: tuple[Spans, ...] = ()
    heading: Spans = ()


class Table(Canvas, Generic[T]):
    """Rows under a title line and column heads. Focusable; the subclass or its owner fills it with `set_rows`."""

    can_focus = True
    contexts: tuple[str, ...] = ("table",)
    BINDINGS = bindings("table")

    class Opened(Message):
        """Enter or a double click on a row."""

        def __init__(self, table: Table[Any], key: str) -> None:
            super().__init__()
            self.table, self.key = table, key

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: Table[Any], key: str) -> None:
            super().__init__()
            self.table, self.key = table, key

    def __init__(
        self,
        columns: Sequence[Column[T]],
        *,
        empty: Callable[[int], list[Line]] = lambda _: [],
    ) -> None:
        super().__init__()
        self.columns = columns
        self.empty = empty
        self.rows: Sequence[Row[T]] = ()
        self.cursor_key = ""
        self.marked: set[str] = set()
        self.sort_column: Column[T] | None = None
        self.footer_lines: list[Line] = []
        """Lines that stand at the bottom, below the rows."""
        self._cursor = 0
        self._top = 0
        self._touched = False

    def set_rows(self, rows: Sequence[Row[T]]) -> None:
        """Shows these rows. The cursor stays on its row, or at its place when the row is gone; until a person has
        moved it, it is on the first one."""
        key = self.cursor_key if self._touched else ""
        moved_to = next((i for i, row in enumerate(rows) if row.key == key), None if self._touched else 0)
        self.rows = rows
        self._cursor = moved_to if moved_to is not None else max(0, min(self._cursor, len(rows) - 1))
        self._cursor = self._selectable(self._cursor, 1)
        self._note_cursor()
        self.repaint()

    def sorted_items(self, items: list[T], now: float) -> list[T]:
        """The items by the chosen column; as they are when none is chosen."""
        sort = self.sort_column.sort if self.sort_column else None
        return sorted(items, key=lambda item: sort(item, now)) if sort else items

    @property
    def selected(self) -> T | None:
        """The item under the cursor."""
        return self.rows[self._cursor].item if self.rows else None

    def chosen(self) -> list[T]:
        """The marked items, or the one under the cursor."""
        marked = [row.item for row in self.rows if row.key in self.marked and row.item is not None]
        return marked or ([self.selected] if self.selected is not None else [])

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        now = self.console_app.now()
        lines = self._head(width)
        body = height - len(lines) - len(self.footer_lines)
        if not self.rows:
            lines += self.empty(width)[:body]
            lines += [Line()] * (height - len(lines) - len(self.footer_lines))
            return lines + self.footer_lines
        self._top = window.show(self._height_of, len(self.rows), self._top, self._cursor, body)
        # Rows that left the end free show what is above instead.
        self._top = min(self._top, window.fill_back(self._height_of, len(self.rows), body))
        shown = layout(self.columns, width - 3)
        rows: list[Line] = []
        index = self._top
        while index < len(self.rows) and len(rows) < body:
            rows += self._draw_row(index, shown, width, now)
            index += 1
        rows = rows[:body]
        self._bar(rows, width, index - self._top)
        rows += [Line()] * (body - len(rows))
        return lines + rows + self.footer_lines

    def heads(self) -> int:
        """Lines above the first row."""
        return 1 if self.rows else 0

    def wanted_height(self) -> int:
        """Lines that would show every row."""
        rows = sum(1 + len(row.notes) for row in self.rows) if self.rows else len(self.empty(self.size.width or 40))
        return self.heads() + rows + len(self.footer_lines) + 1

    def _height_of(self, index: int) -> int:
        return 1 + len(self.rows[index].notes)

    def _head(self, width: int) -> list[Line]:
        lines: list[Line] = []
        if self.rows:
            heads: list[tuple[str, str]] = [("  ", "")]
            for column, size in layout(self.columns, width - 3):
                chosen = column is self.sort_column
                heads += fit(
                    ((column.title + ("▾" if chosen else ""), "accent" if chosen else "head"),), size, column.align
                )
                heads.append((" " * GAP, ""))
            lines.append(Line(tuple(heads[:-1])))
        return lines

    def _draw_row(self, index: int, shown: list[tuple[Column[T], int]], width: int, now: float) -> list[Line]:
        row = self.rows[index]
        if row.item is None:
            return [Line(row.heading)]
        base = ("cursor" if self.has_focus else "rest") if index == self._cursor else ""
        edge = ("▌", "accent" if self.has_focus else "dim") if base else (" ", "")
        mark = ("●", "mark") if row.key in self.marked else (" ", "")
        spans: list[tuple[str, str]] = [edge, mark]
        for column, size in shown:
            spans += fit(column.cell(row.item, now, size), size, column.align)
            spans.append((" " * GAP, ""))
        lines = [Line(fit(tuple(spans[:-1]), width - 1), base)]
        return lines + [Line(fit((edge, *note), width - 1), base) for note in row.notes]

    def _bar(self, rows: list[Line], width: int, visible: int) -> None:
        for y in window.thumb(len(self.rows), self._top, visible, len(rows)):
            rows[y] = Line((*fit(rows[y].spans, width - 1), ("▐", "dim")), rows[y].base)

    def _selectable(self, index: int, step: int) -> int:
        """The nearest row that is no heading."""
        count = len(self.rows)
        candidates: tuple[int, ...] = (
            *range(index, count if step > 0 else -1, step),
            *range(index, -1 if step > 0 else count, -step),
        )
        for candidate in candidates:
            if 0 <= candidate < count and self.rows[candidate].item is not None:
                return candidate
        return 0

    def _note_cursor(self) -> None:
        key = self.rows[self._cursor].key if self.rows else ""
        if key != self.cursor_key:
            self.cursor_key = key
            self.post_message(self.Moved(self, key))

    def move_to(self, index: int, step: int = 1) -> None:
        """Puts the cursor on a row."""
        self._touched = True
        if self.rows:
            self._cursor = self._selectable(max(0, min(index, len(self.rows) - 1)), step)
            self._note_cursor()
            self.repaint()

    def action_up(self) -> None:
        self.move_to(self._cursor - 1, -1)

    def action_down(self) -> None:
        self.move_to(self._cursor + 1)

    def action_page_up(self) -> None:
        self.move_to(self._cursor - max(1, self.size.height - 3), -1)

    def action_page_down(self) -> None:
        self.move_to(self._cursor + max(1, self.size.height - 3))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.rows) - 1, -1)

    def action_mark(self) -> None:
        if self.selected is not None:
            self.marked ^= {self.cursor_key}
            self.action_down()
            self.repaint()

    def action_mark_all(self) -> None:
        every = {row.key for row in self.rows if row.item is not None}
        self.marked = set() if every <= self.marked else every
        self.repaint()

    def action_sort(self) -> None:
        sortable: list[Column[T] | None] = [None, *(column for column in self.columns if column.sort)]
        self.sort_column = sortable[(sortable.index(self.sort_column) + 1) % len(sortable)]
        self.console_app.refresh_soon()

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Opened(self, self.cursor_key))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move_to(self._cursor + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move_to(self._cursor - 3, -1)

    def on_click(self, event: events.Click) -> None:
        y = event.y - self.heads()
        if y == -1 and self.rows:
            self._sort_at(event.x)
        index = self._top
        while y >= 0 and index < len(self.rows):
            if y < self._height_of(index):
                self.move_to(index)
                if event.chain == 2:
                    self.action_open()
                return
            y -= self._height_of(index)
            index += 1

    def _sort_at(self, x: int) -> None:
        left = 2
        for column, size in layout(self.columns, self.size.width - 3):
            if left <= x < left + size and column.sort:
                self.sort_column = None if column is self.sort_column else column
                self.console_app.refresh_soon()
            left += size + GAP
