"""Captured output: its lines, what can be asked of them, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("trace", "debug", "info", "warning", "error", "fatal")
"""From the least to the most serious."""


@dataclass(slots=True)
class LogLine:
    """One line of one instance. Never changed once made; it is not frozen because that doubles the time to make one."""

    time_ns: int
    """When it was complete, Unix nanoseconds."""
    service: str
    instance: str
    stream: str
    """`stdout` or `stderr`."""
    level: str
    """One of LEVELS, or empty where none is recognised."""
    message: str
    """Without the newline; bytes that are not UTF-8 are written as \\xNN."""
    partial: bool = False
    """It was cut here and goes on in the next line of this instance and stream."""
    context: bool = False
    """It was not asked for; it stands near one that was."""
    gap: bool = False
    """With context: lines of its instance were left out between the one given before and this."""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Between two lines of an instance's files: where a stream that follows goes on."""

    service: str
    instance: str
    file: int
    """Its inode."""
    head_ns: int
    """The time of its first line; 0: it was empty. With the inode it tells the file from any other."""
    offset: int
    given: int
    """So many of the lines that are wanted from the offset on were given."""
    before: tuple[int, ...] = ()
    """Rotated files that come before it, by the time in their names."""


@dataclass(frozen=True, slots=True)
class LogsQuery:
    """Which lines to read. All conditions must hold."""

    names: tuple[str, ...] = ()
    """Services or instances; none: every service. `agent` is the agent's own log."""
    since_ns: int = 0
    """Lines at or after this time; 0: no bound."""
    until_ns: int = 0
    """Lines before this time; 0: no bound."""
    tail: int = 0
    """Only the newest so many that match; 0: all."""
    follow: bool = False
    grep: str = ""
    """Python regular expression searched in the message. Only `.` and its like match a byte that is not UTF-8."""
    ignore_case: bool = False
    invert: bool = False
    """Only lines in which grep is not found."""
    level: str = ""
    """The lowest level shown; lines without a level are then left out."""
    fields: tuple[str, ...] = ()
    """What must hold of its fields, each as `logfields.Condition` reads it: `status=500`."""
    context: int = 0
    """So many lines before and after each, of the same instance, are given too. `tail` does not count them."""
    after: tuple[LogPlace, ...] = ()
    """Only follows, and goes on at these places of a stream of the same query."""


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Some lines in time order."""

    lines: tuple[LogLine, ...] = ()
    scanned: int = 0
    """Lines looked at so far by this read, matched or not; an estimate where a search engine passed over them."""
    dropped: int = 0
    """At least so many lines were removed by rotation before this read reached them."""
    caught_up: bool = False
    """Everything that was there when the read began has been given; what comes after this batch is new."""
    places: tuple[LogPlace, ...] = ()
    """Where a stream that follows is after it, of the instances where that has changed."""
    clock_ns: int = 0
    """When it was made."""


@dataclass(frozen=True, slots=True)
class LogCount:
    """How many lines of one kind there are in one stretch of time."""

    service: str
    instance: str
    level: str
    """One of LEVELS, or empty where none is recognised."""
    start_ns: int
    """When the stretch begins; a multiple of the bucket."""
    lines: int
    bytes: int
    """Of the messages, without their time and newline."""
    missing: int = 0
    """Lines that are not in the log, as it says itself there: over the rate limit, or no room on the disk."""


@dataclass(frozen=True, slots=True)
class LogCounts:
    """How far a count has come; the last of a stream has the result."""

    counts: tuple[LogCount, ...] = ()
    bucket_ns: int = 0
    """Nanoseconds of a stretch."""
    scanned: int = 0
    done: bool = False


_SECONDS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400, 604800)
BUCKETS = tuple(seconds * 1_000_000_000 for seconds in _SECONDS)
"""Nanoseconds. Each divides those after it, so that finer counts can be added up to coarser ones."""


def bucket_for(span_ns: int, most: int) -> int:
    """The finest bucket of which at most so many cover a time."""
    return next((bucket for bucket in BUCKETS if span_ns // bucket + 2 <= most), BUCKETS[-1])
