"""How a log line is drawn, and what is inside one that has fields (JSON, logfmt). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

from bhtui.core.logfields import parse, text_of

from ..columns.cells import clock
from ..models.entries import Entry
from ..models.logs import LEVELS
from ..models.match import Query
from ..paint import Span, Spans, plain, width_of, wrap

LETTERS = " TDIWEF"
_STYLES = ("", "faint", "dim", "", "warn", "bad", "bad")
_STAMP = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\]?[ \t]+")
_SAME_MOMENT = 5.0
"""Seconds within which a time that begins a line is when it was written."""
LATE = "~"
"""Behind the time of a line that came when later ones had been shown."""
_NARROW = 60
"""Columns below which fields are unfolded from the left edge."""


@dataclass(frozen=True, slots=True)
class LineLayout:
    """What stands before the message, and how the message is shown."""

    host_width: int = 0
    instance_width: int = 0
    millis: bool = False
    wrap: bool = False
    shift: int = 0
    """Columns the messages are moved to the left."""


def series_style(name: str) -> str:
    """One of six colours, the same for a name wherever it appears."""
    return f"s{1 + crc32(name.encode()) % 6}"


def folded(message: str) -> tuple[str, str]:
    """What a line says, and the fields behind it as `key=value`. A text with fields in it stays as it was written."""
    found = parse(message)
    if found is None or found.message == message:
        return plain(message), ""
    return plain(found.message), plain(" ".join(f"{key}={text_of(value)}" for key, value in found.rest.items()))


def without_stamp(message: str, time_ns: int) -> str:
    """A line without the time it begins with, when that only repeats when it was written. Without a zone it may be
    the time of this machine or UTC."""
    found = _STAMP.match(message)
    if found is None:
        return message
    try:
        stamp = datetime.fromisoformat(found[1].replace(",", "."))
    except ValueError:
        return message
    moments = [stamp] if stamp.tzinfo else [stamp.replace(tzinfo=UTC), stamp.astimezone()]
    repeats = any(abs(moment.timestamp() - time_ns / 1e9) < _SAME_MOMENT for moment in moments)
    return message[found.end() :] if repeats else message


def fields(entry: Entry) -> list[tuple[str, str]]:
    """Everything a line holds, by name: its own fields when it has some, then where it is from."""
    found = parse(entry.message)
    when = datetime.fromtimestamp(entry.time_ns / 1e9).astimezone().isoformat(" ", "milliseconds")
    own = [(key, text_of(value)) for key, value in found.values.items()] if found else []
    if found is None or found.message == entry.message:  # the text around the fields is told too
        own.insert(0, ("message", entry.message))
    ours = [
        ("written", when),
        ("from", f"{entry.instance} on {entry.host}"),
        ("level", LEVELS[entry.rank] or "not known"),
    ]
    if entry.late:
        ours.append(("late", "it came when later lines had been shown"))
    if entry.offset_ns:
        theirs = datetime.fromtimestamp(entry.stamp_ns / 1e9).astimezone().isoformat(" ", "milliseconds")
        ours.append(("its clock", f"said {theirs}; shown by ours"))
    return own + [field for field in ours if found is None or field[0] not in found.values]


def prefix(entry: Entry, how: LineLayout) -> Spans:
    """Time, host, instance and level of a line."""
    spans: list[Span] = [(clock(entry.time_ns, how.millis), "time"), (LATE, "warn") if entry.late else (" ", "")]
    for name, width in ((entry.host, how.host_width), (entry.instance, how.instance_width)):
        if width:
            spans += [(plain(name)[:width].ljust(width), series_style(name)), (" ", "")]
    spans += [(LETTERS[entry.rank], _STYLES[entry.rank]), (" ", "")]
    return tuple(spans)


@lru_cache(maxsize=1024)
def draw_entry(
    entry: Entry, how: LineLayout, query: Query, width: int, unfolded: bool, note: str = ""
) -> tuple[Spans, ...]:
    """The lines of the screen that a log line takes."""
    head = prefix(entry, how)
    indent = width_of(head)
    text, rest = folded(without_stamp(entry.message, entry.time_ns))
    style = _STYLES[entry.rank]
    whole = f"{text} {rest}" if text and rest else text or rest
    marked = _marked(whole, len(text), style, query)
    if how.wrap:
        pieces = wrap(whole, max(8, width - indent))
        lines, at = [], 0
        for number, piece in enumerate(pieces):
            lines.append((head if not number else ((" " * indent, ""),)) + _cut(marked, at, at + len(piece)))
            at += len(piece)
    else:
        lines = [head + _cut(marked, how.shift, how.shift + max(0, width - indent) + 1)]
    if note:
        pieces = wrap(f"note: {plain(note)}", max(8, width - indent - 2))
        lines += [((" " * indent + "│ ", "mark"), (piece, "mark")) for piece in pieces]
    if unfolded:
        lines += _unfolded(entry, indent if width >= _NARROW else 1, width)
    return tuple(lines)


def _unfolded(entry: Entry, indent: int, width: int) -> list[Spans]:
    found = fields(entry)
    name_width = min(20, max(len(name) for name, _ in found))
    room = max(10, width - indent - name_width - 5)
    lines: list[Spans] = []
    for name, value in found:
        for number, piece in enumerate(wrap(plain(value), room)):
            label = plain(name)[:name_width] if not number else ""
            lines.append(((" " * indent + "│ ", "faint"), (label.rjust(name_width) + "  ", "dim"), (piece, "strong")))
    return lines


def _marked(whole: str, text_length: int, style: str, query: Query) -> list[Span]:
    """The message in pieces of one style each: what it says, its fields, and the hits of the filter."""
    hits = query.spans(whole)
    edges = sorted({0, text_length, len(whole), *(edge for hit in hits for edge in hit)})
    out: list[Span] = []
    for start, end in pairwise(edges):
        hit = any(low <= start and end <= high for low, high in hits)
        out.append((whole[start:end], "match" if hit else style if end <= text_length else "dim"))
    return out


def _cut(spans: list[Span], start: int, end: int) -> Spans:
    out: list[Span] = []
    at = 0
    for text, style in spans:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            out.append((piece, style))
        at += len(text)
    return tuple(out)
