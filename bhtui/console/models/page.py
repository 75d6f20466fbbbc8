"""What a reader has before him: as long as he does not move, no line that comes late is put between those he reads.

Pure. It is there as soon as he moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .entries import Entry
from .logs import LogFilter, LogModel


@dataclass(frozen=True, slots=True)
class Page:
    """The lines on a screen; an empty one holds nothing back."""

    top: int = 0
    cursor: int = 0
    """The numbers of these lines."""
    chosen: LogFilter | None = None
    newest: int = 0
    """Lines with a greater number came later."""
    last: Entry | None = None
    """At the bottom; None until it is drawn."""

    def turned(self, top: Entry, cursor: Entry | None, model: LogModel) -> Page:
        """The page when these are at its top and under the cursor (None: it follows); the same if they were."""
        if cursor is None:
            return Page()
        if (self.top, self.cursor, self.chosen) == (top.order, cursor.order, model.filter):
            return self
        return Page(top.order, cursor.order, model.filter, model.order)

    def ending(self, last: Entry) -> Page:
        """The page with its last line, once that is known."""
        return self if self.chosen is None or self.last is not None else replace(self, last=last)

    def holds_back(self, entry: Entry) -> bool:
        """Whether a line came late and would push others away."""
        return self.last is not None and entry.order > self.newest and entry < self.last
