"""Writes what a manager keeps as output into the log file of an instance, and remembers how far it has come.

The log is the one that the keeper writes for processes: the same format, the same rotation. Beside it lies
`<instance>.cursor`: the manager's own mark of a place in its output, and the place in our file that belongs to it. The
mark is written less often than lines are, so after a crash of the agent there may be lines behind that place: `open`
tells how many, whoever goes on leaves out as many, and no line is lost or written twice. How many of them are still to
be left out is written down with the mark: an agent may be killed again before it has come so far.

What is over a rate limit is dropped as the keeper does it, by the times of the lines themselves: what is read late,
after the agent was away, is no flood. The mark is written down after every drop, so that lines and marks fit again.

Everything here blocks for as long as a small write to a disk takes: it is called in a thread.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bhtui.core.spec import RateSpec, RotateSpec
from bhtui.keeper.logfile import CLOCK_STEP_NS, LogFile, stamp
from bhtui.keeper.ratelimit import RateLimit

SAVE_SECONDS = 1.0
NO_LIMIT = RateSpec()
BLOCK = 256 << 10
_OWN, _OWN_AT = b" stderr F [blackhole] ", 30
"""How a line of the agent's own begins behind its time."""


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

    def __init__(self, path: Path, rotate: RotateSpec, rate: RateSpec = NO_LIMIT) -> None:
        self.path, self._note = path, path.with_suffix(".cursor")
        self._log = _Log(str(path), rotate.max_size, rotate.max_age, rotate.max_backups)
        self._rate = rate
        self._cursor: Mapping[str, Any] = {}
        self._behind = 0
        """Lines in the file that come behind the mark."""
        self._saved = 0.0
        self._open_parts: set[str] = set()
        self._dropping: set[str] = set()
        """Streams in the middle of a line that is dropped."""
        self._untold = [0, 0]
        """Lines and bytes that were dropped and are not told of in the log yet."""
        self._turn = threading.RLock()
        """`settle` comes from elsewhere."""
        self._is_open = False

    def open(self) -> tuple[Mapping[str, Any], int]:
        """Opens the file. The manager's mark, empty if there was none, and how many lines were written behind it.

        Raises OSError.
        """
        with self._turn:
            self._log.open()
            kept = _load(self._note)
            self._cursor, self._log.rate, self._untold = kept.cursor, kept.rate, list(kept.untold)
            self._log.rate.set(self._rate.lines, self._rate.bytes, self._rate.per)
            self._is_open = True
            self._behind = kept.behind + (_lines_behind(self.path, kept.place) if kept.place else 0)
            return self._cursor, self._behind

    def limit(self, rotate: RotateSpec, rate: RateSpec = NO_LIMIT) -> None:
        """Sets when the file is rotated, and how much is kept."""
        with self._turn:
            self._rate = rate
            self._log.limit(rotate.max_size, rotate.max_age, rotate.max_backups)
            self._log.rate.set(rate.lines, rate.bytes, rate.per)

    def write(self, lines: Sequence[Line], cursor: Mapping[str, Any], behind: int = 0) -> None:
        """Writes lines; `cursor` is the mark behind the last of them, `behind` how many lines of the file come after
        it. What finds no place is counted in the log."""
        with self._turn:
            before, dropped = self._log.rotations, self._log.rate.dropped_size
            if self._log.rate.ns or self._dropping or any(self._untold):
                self._write_within_limit(lines)
            else:
                self._write(lines)
            self._cursor, self._behind = cursor, behind
            is_changed = self._log.rotations != before or self._log.rate.dropped_size != dropped
            # A rotation changes which file the place is in, and its own name a moment later.
            if is_changed or time.monotonic() - self._saved >= SAVE_SECONDS:
                self.save()

    def _write(self, lines: Sequence[Line]) -> None:
        self._log.take(lines)
        for line in lines:
            (self._open_parts.add if line.partial else self._open_parts.discard)(line.stream)

    def _write_within_limit(self, lines: Sequence[Line]) -> None:
        kept: list[Line] = []
        for line in lines:
            at = line.time_ns or time.time_ns()
            if self._is_kept(line, at):
                if any(self._untold):
                    self._write(kept)
                    kept = []
                    self._tell_dropped(at)
                kept.append(line)
            elif next((it.partial for it in reversed(kept) if it.stream == line.stream), self._is_begun(line)):
                kept.append(Line(line.time_ns, line.stream, b""))  # of this line parts are kept: it ends here
        self._write(kept)

    def _is_begun(self, line: Line) -> bool:
        return line.stream in self._open_parts

    def _is_kept(self, line: Line, at: int) -> bool:
        """Whether a line is within the limit; what is not is counted, and with it the rest of the same line."""
        rate, data = self._log.rate, line.text if line.partial else line.text + b"\n"
        if line.stream not in self._dropping and (not data or rate.take(data, at)):
            return True
        (self._dropping.add if line.partial else self._dropping.discard)(line.stream)
        rate.drop(not line.partial, len(data), at)
        self._untold = [self._untold[0] + (not line.partial), self._untold[1] + len(data)]
        return False

    def _tell_dropped(self, at: int) -> None:
        """Writes into the log how much was dropped here, in the keeper's words; again later when there is no room."""
        limit = f" of {self._log.rate.text}" if self._log.rate.ns else ""
        lines, size = self._untold
        if self._log.tell(at, f"{lines} lines ({size} bytes) dropped here: over the rate limit{limit}"):
            self._untold = [0, 0]

    def settle(self) -> dict[str, Any] | None:
        """What was dropped so far, as the keeper tells it of its logs; None: nothing. Blocks as the others.

        A service that is silent after it wrote too much is told of in its log when the stretch of time is over.
        """
        with self._turn:
            rate = self._log.rate
            if self._is_open and any(self._untold) and not rate.rest_ns(now := time.time_ns()):
                self._tell_dropped(now)
                self.save()
            return rate.stats() if rate.last_ns else None

    def end_parts(self) -> None:
        """Ends lines whose end did not come: what wrote them is gone, and what follows is another's."""
        with self._turn:
            self._dropping.clear()
            self._log.take([Line(0, stream, b"") for stream in sorted(self._open_parts)])
            if self._open_parts:
                self._open_parts.clear()
                self.save()

    def say(self, text: str) -> None:
        """Writes a line of the agent's own."""
        with self._turn:
            self._log.note(text)
            self.save()

    def save(self) -> None:
        """Writes the mark down, so that a next agent goes on there; a disk that is full is no reason to fail."""
        self._saved = time.monotonic()
        kept = {"cursor": dict(self._cursor), **self._log.place, "behind": self._behind}
        if self._log.rate.ns or self._log.rate.last_ns:
            kept |= {"rate": self._log.rate.dump(), "untold": self._untold}
        fresh = self._note.with_suffix(".cursor.new")
        try:
            fresh.write_text(json.dumps(kept))
            fresh.rename(self._note)
        except OSError as error:
            self._log.problem = (error.strerror or str(error)).lower()

    def close(self) -> None:
        """Writes the mark down and closes the file."""
        with self._turn:
            if any(self._untold):
                self._tell_dropped(time.time_ns())
            self.save()
            self._log.close()
            self._is_open = False


class Captures:
    """The logs of all units and containers of this agent."""

    def __init__(self) -> None:
        self._all: dict[Path, Captured] = {}

    def add(self, path: Path, rotate: RotateSpec, rate: RateSpec) -> Captured:
        """One more, not open yet. One that was at this path before is closed."""
        made = self._all[path] = Captured(path, rotate, rate)
        return made

    def limited(self) -> dict[str, dict[str, Any]]:
        """By path what was dropped of those that write too much, as the keeper tells it in its `stats`. Blocks."""
        found = {str(path): each.settle() for path, each in list(self._all.items())}
        return {path: told for path, told in found.items() if told is not None}


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

    def tell(self, time_ns: int, text: str) -> bool:
        """Writes a line of the agent's own, not before the line before it; False when there is no room."""
        self._last = max(time_ns, self._last)
        line = f"{stamp(self._last)} stderr F [blackhole] {text}\n".encode()
        return self.write([line], len(line), 0)

    def rotate(self) -> None:
        super().rotate()
        self.rotations += 1

    @property
    def place(self) -> dict[str, int]:
        """Where its end is, as JSON values."""
        return {"inode": os.fstat(self._fd).st_ino, "offset": self._size} if self._fd >= 0 else {}


@dataclass(frozen=True)
class _Kept:
    """What an earlier agent has written down."""

    cursor: Mapping[str, Any]
    place: Place | None
    behind: int = 0
    """Lines before the place that come after the mark."""
    rate: RateLimit = field(default_factory=RateLimit)
    untold: Sequence[int] = (0, 0)


def _load(note: Path) -> _Kept:
    """The mark and its place; nothing when there is none or it cannot be read: then it is as at the first contact."""
    try:
        kept = json.loads(note.read_text())
        cursor = dict(kept["cursor"])
    except (OSError, ValueError, KeyError, TypeError):
        return _Kept({}, None)
    try:
        place, behind = Place(int(kept["inode"]), int(kept["offset"])), int(kept.get("behind", 0))
    except (KeyError, TypeError, ValueError):
        place, behind = None, 0
    try:
        lines, size = map(int, kept["untold"])
        return _Kept(cursor, place, behind, RateLimit.load([*map(int, kept["rate"])]), (lines, size))
    except (KeyError, TypeError, ValueError):
        return _Kept(cursor, place, behind)


def _lines_behind(path: Path, place: Place) -> int:
    """How many lines of its source were written behind a place, in its file and in those begun after it; 0 when it is
    gone."""
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
            for line in opened:
                lines += not line.startswith(_OWN, _OWN_AT)
    except OSError:
        return lines
    return lines
