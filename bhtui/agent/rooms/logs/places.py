"""How far the lines that were read have been given on, as a place in the files from which the same query goes on. Pure.

Lines that were read may wait for those of others. So a place is the start of the oldest block of which lines wait, and
how many of the lines wanted since then have been given.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from bhtui.core.logs import LogLine


class Mark(NamedTuple):
    """Between two lines of a file, which is known by its inode and the time of its first line (0: it is empty)."""

    file: int
    head_ns: int
    offset: int
    before: tuple[int, ...] = ()
    """Rotated files that come before it, by the time in their names."""


NOWHERE = Mark(0, 0, 0)


class Given:
    """Counts for one instance. Holds a mark for each block of which lines wait."""

    def __init__(self) -> None:
        self._marks: deque[tuple[Mark, int]] = deque()
        """Where blocks begin, and how many wanted lines each has."""
        self._given = 0
        """Lines given since the first mark."""
        self._skip = 0
        """Lines to come that another stream has given."""
        self._end: Mark | None = None
        """Where everything was read to; None: within a line that goes on."""

    def resume(self, given: int) -> None:
        """So many lines from here on were given by another stream."""
        self._given = self._skip = given

    def read(self, lines: list[LogLine], start: Mark | None, end: Mark | None) -> list[LogLine]:
        """Takes note of a block. `start` and `end` are None within a line that goes on. Returns what is to be given."""
        if start is not None or not self._marks:
            self._marks.append((start or NOWHERE, len(lines)))
        else:
            mark, count = self._marks[-1]
            self._marks[-1] = mark, count + len(lines)
        self._end = end
        skipped = min(self._skip, len(lines))
        self._skip -= skipped
        self._trim()
        return lines[skipped:]

    def gave(self, count: int) -> None:
        """So many more were given, in the order in which they were read."""
        self._given += count
        self._trim()

    def _trim(self) -> None:
        while len(self._marks) > 1 and self._given >= self._marks[0][1]:
            self._given -= self._marks.popleft()[1]

    @property
    def place(self) -> tuple[Mark | None, int]:
        """A mark and how many lines were given since; no mark when nothing was read yet."""
        if not self._marks:
            return None, self._given
        mark, count = self._marks[0]
        if len(self._marks) == 1 and self._given == count and not self._skip and self._end is not None:
            return self._end, 0
        return mark, self._given
