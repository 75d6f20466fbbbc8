"""The Kubernetes CRI log format, as the keeper writes it: `RFC3339Nano stdout|stderr F|P text`, UTC, nine digits.

F ends a line, P is a part of one that goes on in the next line of the same stream.
https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md

Stamps have one width, so they compare as bytes, and every field has a fixed place.
"""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache
from typing import NamedTuple

STAMP_LENGTH = 30
TEXT_AT = 40
"""Where the text begins: stamp, space, stream, space, flag, space."""
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z; later years would not have four digits
_CLOCK = re.compile(rb"T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)")
WHOLE_LINES = (b" stdout F ", b" stderr F ")
"""What stands between the stamp of a whole line and its text."""
_SEPARATORS = {b" F ": False, b" P ": True}
_STREAMS = {b" stdout": "stdout", b" stderr": "stderr"}


class Record(NamedTuple):
    """One line of a file, taken apart."""

    time_ns: int
    stream: str
    """`stdout` or `stderr`; empty: the line is not in the format, so somebody else wrote it."""
    partial: bool
    text: bytes


def stamp(time_ns: int) -> bytes:
    """The time as it stands at the head of a line. Times outside the years 1970 to 9999 are brought to the nearest."""
    seconds, rest = divmod(max(0, time_ns), 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(seconds, _LAST_SECOND)))
    return f"{text}.{rest:09d}Z".encode()


@lru_cache(maxsize=64)
def _day(text: bytes) -> int:
    """Seconds from 1970 to the day `2026-01-02`, or -1."""
    try:
        return calendar.timegm(time.strptime(text.decode("ascii", "replace"), "%Y-%m-%d"))
    except ValueError:
        return -1


@lru_cache(maxsize=1024)
def _seconds(text: bytes) -> int:
    """Seconds since 1970 of `2026-01-02T03:04:05`, or -1."""
    day, match = _day(text[:10]), _CLOCK.fullmatch(text, 10)
    return day + int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) if day >= 0 and match else -1


def time_of(line: bytes) -> int:
    """The time at the head of a line in nanoseconds, or -1 when there is none."""
    digits = line[20:29]
    if line[19:20] != b"." or line[29:31] != b"Z " or len(digits) != 9 or not digits.isdigit():
        return -1
    seconds = _seconds(line[:19])
    return seconds * 1_000_000_000 + int(digits) if seconds >= 0 else -1


def parse(line: bytes) -> Record | None:
    """The parts of one line without its newline, or None when it is not in the format."""
    partial = _SEPARATORS.get(line[37:40])
    stream = _STREAMS.get(line[30:37])
    if partial is None or stream is None:
        return None
    time_ns = time_of(line)
    return Record(time_ns, stream, partial, line[TEXT_AT:]) if time_ns >= 0 else None


def text_of(line: bytes) -> bytes:
    """What the service wrote; of a line that is not in the format, all of it."""
    return line[TEXT_AT:] if line[37:40] in _SEPARATORS and line[30:37] in _STREAMS else line
