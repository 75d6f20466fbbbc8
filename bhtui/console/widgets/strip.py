"""The histogram above a log: how many lines when, and how bad. Pure.

With two rows the upper one is all lines and the lower one what is wrong: errors where there are any, else warnings.
With one row a column stands out when it has warnings, more so when it has errors, and most when they are a fifth.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..models.histogram import Column
from ..paint import Line, Spans

_BARS = " ▁▂▃▄▅▆▇█"
LEGEND = 24
"""Columns to the right of the bars."""


def draw_strip(columns: Sequence[Column], seconds: float, rows: int, cursor: int | None, note: str = "") -> list[Line]:
    """The rows; `seconds` is the time over which the columns go, `cursor` the one where the reader is."""
    top = max((column.total for column in columns), default=0)
    each = max(1e-9, seconds / max(1, len(columns)))
    legend = f"peak {rate(top / each)}, {span(seconds)}{note}"
    if rows < 2:
        bars = [(_bar(column.total, top), _blend(column)) for column in columns]
        return [_row(bars, cursor, legend, "dim")]
    lines = [(_bar(column.total, top), "g2" if column.total else "") for column in columns]
    wrong = max((column.errors or column.warnings for column in columns), default=0)
    bad = [(_bar(column.errors or column.warnings, wrong), _worst(column)) for column in columns]
    errors, warnings = sum(column.errors for column in columns), sum(column.warnings for column in columns)
    told = f"{short(errors)} error{'' if errors == 1 else 's'}, {short(warnings)} warn"
    return [
        _row(lines, cursor, legend, "dim"),
        _row(bad, cursor, told, "bad" if errors else "warn" if warnings else "dim"),
    ]


def _bar(value: int, top: int) -> str:
    return _BARS[0 if not value else 1 + value * 7 // max(1, top)]


def _worst(column: Column) -> str:
    return "bad" if column.errors else "warn" if column.warnings else "g2" if column.total else ""


def _blend(column: Column) -> str:
    if column.errors * 5 >= column.total > 0:
        return "bad"
    return "s4" if column.errors else _worst(column)


def _row(bars: Sequence[tuple[str, str]], cursor: int | None, legend: str, style: str) -> Line:
    cells = [
        ("│" if char == " " else char, "accent") if place == cursor else (char, kind)
        for place, (char, kind) in enumerate(bars)
    ]
    spans: Spans = tuple(
        ("".join(char for char, _ in run), kind) for kind, run in groupby(cells, key=lambda cell: cell[1])
    )
    return Line(((" ", ""), *spans, ("  " + legend, style)))


def short(count: int) -> str:
    """A number in at most four characters: `12k`, `3M`."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if count >= unit:
            return f"{count // (1000 if name == 'k' else unit)}{name}"
    return str(count)


def rate(per_second: float) -> str:
    """`12/s`, `3/min`."""
    if per_second >= 1:
        return f"{short(round(per_second))}/s"
    return f"{max(1, round(per_second * 60)) if per_second else 0}/min"


def span(seconds: float) -> str:
    """A length of time in words: `15 min`."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{round(seconds / unit, 1):g} {name}"
    return f"{seconds:.0f} s"
