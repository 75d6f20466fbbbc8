"""Writes what a manager keeps as output into the log file of an instance, and remembers how far it has come.

The log is the one that the keeper writes for processes: the same format, the same rotation. Beside it lies
`<instance>.cursor`: the manager's own mark of a place in its output, and the place in our file that belongs to it. The
mark is written less often than lines are, so after a crash of the agent there may be lines behind that place: `open`
tells how many, whoever goes on leaves out as many, and no line is lost or written twice.

Everything here blocks for as long as a small write to a disk takes: it is called in a thread.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bhtui.core.spec import RotateSpec
from bhtui.keeper.logfile import CLOCK_STEP_NS, LogFile, stamp

SAVE_SECONDS = 1.0
BLOCK = 256 << 10


class Line(NamedTuple):
    """One line, or a part of one that goes on in the next line of the same stream."""

    time_ns: int
    stream: str
    """`stdout`, `stderr`."""
    text: bytes
    """Without its end."""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A place in one of the files: which, and how far from its start."""

    inode: int
    offset: int


class Captured:
    """The log of one instance, while its manager's output is written to it."""

    def __init__(self, path: Path, rotate: RotateSpec) -> None:
        self._path, self._note = path, path.with_suffix(".cursor")
        self._log = _Log(str(path), rotate.max_size, rotate.max_age, rotate.max_backups)
        self._cursor: Mapping[str, Any] = {}
        self._saved = 0.0
        self._open_parts: set[str] = set()

    def open(self) -> tuple[Mapping[str, Any], int]:
        """Opens the file. The manager's mark, empty if there was none, and how many lines were written behind it.

        Raises OSError.
        """
        self._log.open()
        self._cursor, place = _load(self._note)
        return self._cursor, _lines_behind(self._path, place) if place else 0

    def limit(self, rotate: RotateSpec) -> None:
        """Sets when the file is rotated."""
        self._log.limit(rotate.max_size, rotate.max_age, rotate.max_backups)

    def write(self, lines: Sequence[Line], cursor: Mapping[str, Any]) -> None:
        """Writes lines; `cursor` is the mark behind the last of them. What finds no place is counted in the log."""
        before = self._log.rotations
        self._log.take(lines)
        for line in lines:
            (self._open_parts.add if line.partial else self._open_parts.discard)(line.stream)
        self._cursor = cursor
        # A rotation changes which file the place is in, and its own name a moment later.
        if self._log.rotations != before or time.monotonic() - self._saved >= SAVE_SECONDS:
            self.save()

    def end_parts(self) -> None:
        """Ends lines whose end did not come: what wrote them is gone, and what follows is another's."""
        self._log.take([Line(0, stream, b"") for stream in sorted(self._open_parts)])
        if self._open_parts:
            self._open_parts.clear()
            self.save()

    def say(self, text: str) -> None:
        """Writes a line of the agent's own."""
        self._log.note(text)
        self.save()

    def save(self) -> None:
        """Writes the mark down, so that a next agent goes on there; a disk that is full is no reason to fail."""
        self._saved = time.monotonic()
        kept = {"cursor": dict(self._cursor), **self._log.place}
        fresh = self._note.with_suffix(".cursor.new")
        try:
            fresh.write_text(json.dumps(kept))
            fresh.rename(self._note)
        except OSError as error:
            self._log.problem = (error.strerror or str(error)).lower()

    def close(self) -> None:
        """Writes the mark down and closes the file."""
        self.save()
        self._log.close()


class _Log(LogFile):
    """The keeper's log file, for lines that bring their own time."""

    def __init__(self, path: str, max_bytes: int, max_age_s: float, keep: int) -> None:
        super().__init__(path, max_bytes, max_age_s, keep)
        self.rotations = 0

    def take(self, lines: Sequence[Line]) -> None:
        """Writes lines at their times, but none before the line before it; many in one call of the system."""
        parts: list[bytes] = []
        first = size = 0
        for line in lines:
            at = line.time_ns or self._last
            is_set_back = at < self._last - CLOCK_STEP_NS
            if parts and (is_set_back or size > BLOCK):
                self._put(parts, first)
                parts, size = [], 0
            if is_set_back:
                self.rotate()
                self._last = at
            self._last = max(at, self._last)
            first = first if parts else self._last
            flag = "P" if line.partial else "F"
            parts.append(f"{stamp(self._last)} {line.stream} {flag} ".encode() + line.text + b"\n")
            size += len(parts[-1])
        if parts:
            self._put(parts, first)

    def _put(self, parts: Sequence[bytes], first: int) -> None:
        """Writes whole lines, the first of which is stamped so: a file that begins with them is named after it."""
        last, self._last = self._last, first
        data = b"".join(parts)
        self.write([data], len(data), len(parts))
        self._last = max(last, self._last)

    def rotate(self) -> None:
        super().rotate()
        self.rotations += 1

    @property
    def place(self) -> dict[str, int]:
        """Where its end is, as JSON values."""
        return {"inode": os.fstat(self._fd).st_ino, "offset": self._size} if self._fd >= 0 else {}


def _load(note: Path) -> tuple[Mapping[str, Any], Place | None]:
    """The mark and its place; nothing when there is none or it cannot be read: then it is as at the first contact."""
    try:
        kept = json.loads(note.read_text())
        cursor = dict(kept["cursor"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, None
    try:
        return cursor, Place(int(kept["inode"]), int(kept["offset"]))
    except (KeyError, TypeError, ValueError):
        return cursor, None


def _lines_behind(path: Path, place: Place) -> int:
    """How many lines were written behind a place, in its file and in those begun after it; 0 when it is gone."""
    names = sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"))
    files = [*(name for name in names if name != path), path]  # rotated ones sort by time, the active one is the last
    for at, file in enumerate(files):
        try:
            if file.stat().st_ino != place.inode:
                continue
        except OSError:
            continue
        return _count(file, place.offset) + sum(_count(later, 0) for later in files[at + 1 :])
    return 0


def _count(file: Path, offset: int) -> int:
    lines = 0
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            while block := opened.read(BLOCK):
                lines += block.count(b"\n")
    except OSError:
        return lines
    return lines
