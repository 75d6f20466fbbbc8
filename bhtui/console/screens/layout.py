"""Panes in two columns, and how the one with the focus gets more room: half of them, then the whole screen."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from typing_extensions import override

from ..paint import Line
from ..widgets.canvas import Canvas
from .base import BaseScreen


class Rule(Canvas):
    """A line between two columns."""

    DEFAULT_CSS = "Rule { width: 1; height: 1fr; }"

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        return [Line((("│", "rule"),))] * height


class Panes(Horizontal):
    """Two columns of panes. Zoom 0 shows all, 1 the column of the focused pane, 2 that pane alone."""

    DEFAULT_CSS = "Panes { height: 1fr; } Panes Vertical { height: 1fr; } Panes Canvas { height: 1fr; }"

    def __init__(self, left: Iterable[Widget], right: Iterable[Widget]) -> None:
        super().__init__()
        self.columns = [list(left), list(right)]
        self.zoom = 0

    def compose(self) -> ComposeResult:
        for place, panes in enumerate(self.columns):
            if place:
                yield Rule()
            yield Vertical(*panes, classes=f"column-{place}")

    @property
    def panes(self) -> list[Widget]:
        """Every pane, in the order of its number."""
        return sorted(
            (pane for column in self.columns for pane in column), key=lambda pane: getattr(pane, "number", "1")
        )

    @property
    def focused(self) -> Widget:
        """The pane that has the focus, or had it last."""
        return next((pane for pane in self.panes if pane.has_focus), self._last)

    @property
    def _last(self) -> Widget:
        return getattr(self, "_last_pane", self.panes[0])

    def focus_pane(self, number: int) -> None:
        """Gives the focus to a pane; in a zoom it takes the room too."""
        pane = self.panes[number % len(self.panes)]
        self._last_pane = pane
        self.spread()
        pane.focus()

    def change(self, by: int) -> None:
        """More or less zoom."""
        self.zoom = max(0, min(2, self.zoom + by))
        self.spread()

    def spread(self) -> None:
        """Shows what the zoom leaves."""
        pane = self.focused if not hasattr(self, "_last_pane") else self._last_pane
        for column, vertical in zip(self.columns, self.query(Vertical), strict=True):
            vertical.display = self.zoom == 0 or pane in column
            for one in column:
                one.display = self.zoom < 2 or one is pane
        self.query_one(Rule).display = self.zoom == 0

    def on_descendant_focus(self) -> None:
        self._last_pane = next((pane for pane in self.panes if pane.has_focus), self._last)


class PanesScreen(BaseScreen):
    """A screen with panes, one of which has the keys."""

    @property
    def layout_panes(self) -> Panes:
        return self.query_one(Panes)

    def action_pane_1(self) -> None:
        self.layout_panes.focus_pane(0)

    def action_pane_2(self) -> None:
        self.layout_panes.focus_pane(1)

    def action_pane_3(self) -> None:
        self.layout_panes.focus_pane(2)

    def action_pane_4(self) -> None:
        self.layout_panes.focus_pane(3)

    def action_next_pane(self) -> None:
        panes = self.layout_panes
        panes.focus_pane(panes.panes.index(panes.focused) + 1)

    def action_previous_pane(self) -> None:
        panes = self.layout_panes
        panes.focus_pane(panes.panes.index(panes.focused) - 1)

    def action_bigger(self) -> None:
        self.layout_panes.change(1)

    def action_smaller(self) -> None:
        self.layout_panes.change(-1)

    def action_zoom(self) -> None:
        panes = self.layout_panes
        panes.change(-2 if panes.zoom == 2 else 2)

    def action_back(self) -> None:
        if self.layout_panes.zoom and not self.filter_text():
            self.layout_panes.change(-2)
        else:
            super().action_back()
