"""Marked lines and the notes on them: one set for the whole session, whichever pane shows the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from .entries import Entry
from .logs import LEVELS

Key = tuple[int, str, str, str]
"""Time, host, instance, message: what a line is, however often it is read."""
NOTE_LIMIT = 500
"""Characters of a note."""


def key_of(entry: Entry) -> Key:
    """What tells a line apart from every other."""
    return entry.stamp_ns, entry.host, entry.instance, entry.message


class Marks:
    """Notes by line; an empty one is a mere mark."""

    def __init__(self) -> None:
        self._notes: dict[Key, str] = {}

    def __contains__(self, entry: Entry) -> bool:
        return bool(self._notes) and key_of(entry) in self._notes

    def __len__(self) -> int:
        return len(self._notes)

    def note(self, entry: Entry) -> str:
        """What was written to a line; empty when nothing was."""
        return self._notes.get(key_of(entry), "") if self._notes else ""

    def toggle(self, entry: Entry) -> None:
        """Marks a line, or takes its mark and note away."""
        if self._notes.pop(key_of(entry), None) is None:
            self._notes[key_of(entry)] = ""

    def write(self, entry: Entry, text: str) -> None:
        """Marks a line with a note; an empty one leaves the mark."""
        self._notes[key_of(entry)] = " ".join(text.split())[:NOTE_LIMIT]


def exported(entries: Iterable[Entry], marks: Marks) -> Iterator[str]:
    """Lines of a file: time, host, instance, level, message; a marked line is followed by `# mark` and its note."""
    for entry in entries:
        when = datetime.fromtimestamp(entry.time_ns / 1e9, UTC).isoformat(timespec="microseconds")
        level = LEVELS[entry.rank] or "-"
        yield f"{when.replace('+00:00', 'Z')} {entry.host} {entry.instance} {level} {entry.message}\n"
        if entry in marks:
            yield f"# mark: {marks.note(entry)}".rstrip(": ") + "\n"
