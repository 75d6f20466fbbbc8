"""Entries of the journal as `journalctl -o json` prints them, to lines of a log. Pure.

systemd.journal-fields(7). A field is text, a list of numbers (bytes that are no text), a list of several values, or
null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bhtui.agent.foreign.capture import Line

HasLevel = Callable[[bytes], bool]
"""Whether a line says its level itself."""
FIELDS = (
    "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "UNIT", "USER_UNIT",
    "OBJECT_SYSTEMD_UNIT", "OBJECT_SYSTEMD_USER_UNIT", "COREDUMP_UNIT", "COREDUMP_USER_UNIT",
    "N_DROPPED",
)  # fmt: skip
"""What is asked for of an entry."""
UNITS = {"system": ("UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT", "_SYSTEMD_UNIT"),
         "user": ("USER_UNIT", "OBJECT_SYSTEMD_USER_UNIT", "COREDUMP_USER_UNIT", "_SYSTEMD_USER_UNIT")}  # fmt: skip
"""Which unit an entry is about: what a manager says of it comes before who has written it."""
WORDS = {0: "emerg", 1: "alert", 2: "crit", 3: "error", 4: "warning", 7: "debug"}
"""syslog's severities that a line shows; 5 and 6 are what journald gives to all that says nothing of it."""
ERROR = 3
LONGEST = 16 << 10
"""Bytes of one line of a log; what is longer goes on in the next, as the keeper has it."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the journal. Two of one numbering compare by number, others by time."""

    text: str
    numbering: str = ""
    number: int = 0
    time_us: int = 0

    def is_after(self, other: Cursor) -> bool:
        """Whether it is behind the other one."""
        if self.numbering and self.numbering == other.numbering:
            return self.number > other.number
        return (self.time_us, self.text) > (other.time_us, other.text)


def cursor_of(text: str) -> Cursor:
    """From `s=...;i=2b;b=...;m=...;t=...;x=...`; what is not so compares as the earliest."""
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    try:
        return Cursor(text, parts.get("s", ""), int(parts.get("i", "0"), 16), int(parts.get("t", "0"), 16))
    except ValueError:
        return Cursor(text)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: whose, where, and its lines."""

    unit: str
    cursor: Cursor
    lines: tuple[Line, ...]


def parse(data: bytes, scope: str, has_level: HasLevel) -> Entry | None:
    """The entry of one line of JSON; None when it is not one."""
    try:
        fields = json.loads(data)
        time_ns = int(fields["__REALTIME_TIMESTAMP"]) * 1000
        cursor = cursor_of(fields["__CURSOR"])
    except (ValueError, KeyError, TypeError):
        return None
    unit = next((text for name in UNITS[scope] if (text := _text(fields.get(name)))), "")
    priority = _priority(fields)
    is_managers = bool(_text(fields.get(UNITS[scope][0]))) and _text(fields.get("SYSLOG_IDENTIFIER")) == "systemd"
    stream = "stderr" if priority <= ERROR else "stdout"
    if lost := _suppressed(fields):
        return Entry(unit, cursor, (Line(time_ns, "stderr", lost),))
    lines = []
    for message in _messages(fields.get("MESSAGE")):
        said = b"systemd: " + message if is_managers else message
        if priority in WORDS and not has_level(message):
            said = f"[{WORDS[priority]}] ".encode() + said
        lines += list(_cut(time_ns, stream, said))
    return Entry(unit, cursor, tuple(lines))


def _suppressed(fields: Mapping[str, Any]) -> bytes:
    """How many entries of the unit journald itself has left out, in the words that are counted as missing; or empty."""
    count = _text(fields.get("N_DROPPED"))
    if _text(fields.get("SYSLOG_IDENTIFIER")) != "systemd-journald" or not count.isdecimal():
        return b""
    return f"[blackhole] {count} lines lost here: over journald's own rate limit (LogRateLimitBurst=)".encode()


def _messages(value: Any) -> Iterator[bytes]:
    """Line by line. Zero bytes at the end and returns are left out; a text of nothing is one empty line."""
    for each in _values(value):
        for line in each.rstrip(b"\n\0").split(b"\n"):
            yield line.rstrip(b"\r")


def _values(value: Any) -> list[bytes]:
    """The values of a field: one, or several."""
    if isinstance(value, str):
        return [value.encode("utf-8", "surrogatepass")]
    if isinstance(value, list) and value and all(isinstance(each, int) for each in value):
        return [bytes(each & 0xFF for each in value)]
    if isinstance(value, list):
        return [one for each in value for one in _values(each)]
    return []


def _text(value: Any) -> str:
    found = _values(value)
    return found[0].decode(errors="replace") if found else ""


def _priority(fields: Mapping[str, Any]) -> int:
    text = _text(fields.get("PRIORITY"))
    return int(text) if text.isascii() and text.isdigit() and len(text) == 1 else 6


def _cut(time_ns: int, stream: str, text: bytes) -> Iterator[Line]:
    while len(text) > LONGEST:
        yield Line(time_ns, stream, text[:LONGEST], partial=True)
        text = text[LONGEST:]
    yield Line(time_ns, stream, text)
