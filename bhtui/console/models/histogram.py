"""Lines over time by how bad they are: counted at the host for the past, by the view for what came since.

Times are Unix nanoseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bhtui.rpc.blackhole.v1 import logs_pb2

from .logs import ERROR, RANK, WARNING

SECOND = 10**9


class Column(NamedTuple):
    """What one stretch of time has."""

    total: int
    warnings: int
    errors: int
    """Those of warnings and errors are among the total."""


NOTHING = Column(0, 0, 0)
_PARTS, _MOST_PARTS = 4, 64
"""Parts of a column that one bucket is shared out over, at least; parts of a bucket at most."""


def kinds(rank: int) -> tuple[int, int]:
    """What a line of a level adds to warnings and to errors."""
    return (1, 0) if WARNING <= rank < ERROR else (0, 1 if rank >= ERROR else 0)


@dataclass(frozen=True, slots=True)
class Counted:
    """What hosts have counted, between `start` and `end`."""

    start: int
    end: int
    bucket: int
    columns: dict[int, Column]
    """By the time at which a bucket begins."""


def counted(start: int, end: int, answers: Iterable[logs_pb2.LogCounts]) -> Counted:
    """One count of the answers of several hosts; the coarsest bucket is that of all."""
    found = list(answers)
    bucket = max((one.bucket_ns for one in found), default=0) or SECOND
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in found:
        for count in one.counts:
            into = sums[count.start_ns // bucket * bucket]
            warning, error = kinds(RANK.get(count.level, 0))
            into[0] += count.lines
            into[1] += count.lines * warning
            into[2] += count.lines * error
    return Counted(start, end, bucket, {at: Column(*values) for at, values in sums.items()})


def columns(start: int, end: int, width: int, past: Counted | None, seen: Iterable[tuple[int, Column]]) -> list[Column]:
    """`width` stretches from `start` to `end`. Up to the end of `past` its counts are taken; `seen` are seconds that
    the view has itself, and count from there."""
    sums = [[0, 0, 0] for _ in range(width)]
    span = max(1, end - start)

    def put(at: int, bucket: int, column: Column) -> None:
        # Shared out finely: steps that are no multiple of each other would show waves where there are none.
        parts = min(_MOST_PARTS, -(-_PARTS * bucket * width // span))
        for part in range(parts):
            place = (at + bucket * part // parts - start) * width // span
            if 0 <= place < width:
                for kind, value in enumerate(column):
                    sums[place][kind] += value * (part + 1) // parts - value * part // parts

    for at, column in past.columns.items() if past else ():
        put(at, past.bucket if past else SECOND, column)
    for at, column in seen:
        if past is None or not past.start <= at < past.end:
            put(at, SECOND, column)
    return [Column(*values) for values in sums]
