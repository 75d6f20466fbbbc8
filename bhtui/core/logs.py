"""Captured output: its lines and what can be asked of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One captured line. `level` is one of LEVELS, or empty where none is recognised."""

    time_ns: int
    service: str
    instance: str
    stream: str
    """`stdout` or `stderr`."""
    level: str
    message: str
    """As written, without the newline; bytes that are not UTF-8 are escaped as \\xNN."""
    partial: bool = False
    """The line was cut here and goes on in the next of this instance and stream."""


LEVELS = ("trace", "debug", "info", "warning", "error", "fatal")
"""Lowest first."""


@dataclass(frozen=True, slots=True)
class LogsQuery:
    """Which lines. Times are Unix nanoseconds, 0: no bound."""

    names: tuple[str, ...] = ()
    """Services or instances; none: all. `agent` is the agent's own log."""
    since_ns: int = 0
    until_ns: int = 0
    tail: int = 0
    """Only the newest so many that match; 0: all."""
    follow: bool = False
    grep: str = ""
    """Python regular expression searched in the message."""
    ignore_case: bool = False
    invert: bool = False
    level: str = ""
    """Lowest level shown; empty: all, also lines without a known level."""


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Some lines of an answer, in time order."""

    lines: tuple[LogLine, ...] = ()
    scanned: int = 0
    """Lines read so far, matched or not."""
    dropped: int = 0
    """Lines that were lost for this reader since the last batch."""
    caught_up: bool = False
    """Everything that was there at the question has been sent."""
