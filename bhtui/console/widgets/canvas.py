"""A widget that draws lines. Only rows that differ from what is on the screen are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from ..paint import BLANK, Line, fit
from ..theme import Theme

if TYPE_CHECKING:
    from ..app import Console


def to_strip(line: Line, width: int, theme: Theme) -> Strip:
    """A line as Textual wants it: exactly `width` cells, every one with a background."""
    segments = [Segment(text, theme.style(f"{line.base} {style}")) for text, style in line.spans if text]
    strip = Strip(segments)
    if strip.cell_length > width:
        return to_strip(Line(fit(line.spans, width), line.base), width, theme)
    return strip.adjust_cell_length(width, theme.style(line.base))


class Canvas(Widget):
    """Base of everything drawn here. A subclass says what its lines are; `repaint` shows the difference."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._strips: list[Strip] = []
        self._due = False
        self._drawn_for: tuple[int, Theme | None] = (0, None)

    @property
    def console_app(self) -> Console:
        return cast("Console", self.app)

    @property
    def lines(self) -> Sequence[Line]:
        """What is on the screen."""
        return self._lines

    def draw(self, width: int, height: int) -> list[Line]:  # noqa: ARG002 - for subclasses
        """The lines to show, top first; missing ones are blank."""
        return []

    def repaint(self) -> None:
        """Draws, and asks for the rows that changed to be shown."""
        width, height = self.size
        if not width or not height:
            return
        theme = self.console_app.theme_now
        lines = self.draw(width, height)[:height]
        lines += [BLANK] * (height - len(lines))
        fresh = self._drawn_for != (width, theme) or len(lines) != len(self._lines)
        old = [None] * height if fresh else self._lines
        changed = [y for y, line in enumerate(lines) if line != old[y]]
        if not changed:
            return
        strips = [Strip([])] * height if fresh else self._strips
        for y in changed:
            strips[y] = to_strip(lines[y], width, theme)
        self._lines, self._strips, self._drawn_for = lines, strips, (width, theme)
        if fresh:
            self.refresh()
        else:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def repaint_soon(self) -> None:
        """Repaints within a frame, however often it is asked."""
        if not self._due:
            self._due = True
            self.set_timer(self.console_app.frame, self._repaint_due)

    def _repaint_due(self) -> None:
        self._due = False
        self.repaint()

    def render_line(self, y: int) -> Strip:
        if 0 <= y < len(self._strips):
            return self._strips[y]
        return to_strip(BLANK, self.size.width, self.console_app.theme_now)

    def on_resize(self, _: events.Resize) -> None:
        self.repaint()

    def watch_has_focus(self, has_focus: bool) -> None:
        # Not on the events: those reach a subclass before `has_focus` has changed.
        super().watch_has_focus(has_focus)
        self.repaint()
