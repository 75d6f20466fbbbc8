"""Area graphs of braille dots: two samples a column, four heights a row. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..paint import Span, Spans

# Dots of the left and the right half, from the bottom up (Unicode chapter 21.1: dots 7 3 2 1 and 8 6 5 4).
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)


def _dots(heights: tuple[int, int]) -> str:
    code = sum(_LEFT[: heights[0]]) + sum(_RIGHT[: heights[1]])
    return chr(0x2800 + code) if code else " "


CHAR = {(left, right): _dots((left, right)) for left in range(5) for right in range(5)}


def area(
    values: Sequence[float | None],
    rows: int,
    top: float,
    limit: float | None = None,
    cursor: int | None = None,
    peaks: Sequence[float | None] = (),
    full: float | None = None,
) -> list[Spans]:
    """A graph of `rows` rows, top first, and half as many columns as values. `limit` is drawn as a line where it lies
    below `top`, the column `cursor` stands out. A gap is left empty; any real value shows at least one dot. `peaks`, as
    many as values, are single dots above them. Colours say how near a value is to `full`, which is as much as there can
    be; without it nothing is too much, and they stay cool."""
    heights, marks = _heights(values, rows, top), _heights(peaks or values, rows, top)
    limit_row = rows - 1 - min(rows - 1, int(limit / top * rows)) if limit is not None and limit <= top else None
    shades = [_shade((rows - 1 - row) / rows, top, full) for row in range(rows)]
    return [_row(heights, marks, row, rows, shades[row], row == limit_row, cursor) for row in range(rows)]


def _shade(height: float, top: float, full: float | None) -> str:
    """The style of a row that begins at a height of 0 to 1."""
    return f"g{1 + min(5, int(height * top / full * 6))}" if full else f"g{1 + int(height * 3)}"


def _heights(values: Sequence[float | None], rows: int, top: float) -> list[int]:
    return [0 if value is None else max(1, min(rows * 4, round(value / top * rows * 4))) for value in values]


def _row(
    heights: Sequence[int], marks: Sequence[int], row: int, rows: int, shade: str, is_limit: bool, cursor: int | None
) -> Spans:
    floor = (rows - 1 - row) * 4
    dots = [min(4, max(0, height - floor)) for height in heights]
    above = [
        mark - floor if height < mark and 0 < mark - floor <= 4 else 0
        for height, mark in zip(heights, marks, strict=True)
    ]
    cells = [_cell(*pair) for pair in zip(dots[::2], dots[1::2], above[::2], above[1::2], strict=False)]
    spans: list[Span] = []
    styles = [_style(column, *cell, shade, is_limit, cursor) for column, cell in enumerate(cells)]
    for style, run in groupby(zip(styles, cells, strict=True), lambda each: each[0]):
        text = "".join(char for _, (char, _) in run)
        spans.append((_EMPTY.get(style, " ") * len(text) if text.isspace() else text, style))
    return tuple(spans)


def lines(
    tracks: Sequence[Sequence[float | None]],
    styles: Sequence[str],
    rows: int,
    top: float,
    limit: float | None = None,
    cursor: int | None = None,
) -> list[Spans]:
    """Several series as lines, each in its style; where they cross, the later one is seen. Neighbouring values are
    joined, so that a jump is one line."""
    columns = len(tracks[0]) // 2 if tracks else 0
    cells = [[0] * columns for _ in range(rows)]
    owner = [[-1] * columns for _ in range(rows)]
    for number, values in enumerate(tracks):
        before = 0
        for at, height in enumerate(_heights(values, rows, top)):
            low, high = (min(before or height, height), max(before or height, height)) if height else (1, 0)
            for level in range(low, high + 1):
                row, dot = rows - 1 - (level - 1) // 4, (level - 1) % 4
                if at // 2 < columns:
                    cells[row][at // 2] |= (_RIGHT if at % 2 else _LEFT)[dot]
                    owner[row][at // 2] = number
            before = height
    limit_row = rows - 1 - min(rows - 1, int(limit / top * rows)) if limit is not None and limit <= top else None
    out = []
    for row in range(rows):
        pairs = []
        for column in range(columns):
            dots = cells[row][column]
            if column == cursor:
                pairs.append((chr(0x2800 + dots) if dots else "│", "accent"))
            elif dots:
                pairs.append((chr(0x2800 + dots), styles[owner[row][column]]))
            else:
                pairs.append(("┄", "limit") if row == limit_row else (" ", ""))
        runs = groupby(pairs, key=lambda pair: pair[1])
        out.append(tuple(("".join(char for char, _ in run), style) for style, run in runs))
    return out


_EMPTY = {"limit": "┄", "accent": "│"}
"""What stands in a cell without dots."""


def _cell(left: int, right: int, mark_left: int, mark_right: int) -> tuple[str, bool]:
    """The character, and whether it has nothing but marks."""
    if not (mark_left or mark_right):
        return CHAR[left, right], False
    marks = (_LEFT[mark_left - 1] if mark_left else 0) | (_RIGHT[mark_right - 1] if mark_right else 0)
    return chr(0x2800 | sum(_LEFT[:left]) | sum(_RIGHT[:right]) | marks), not (left or right)


def _style(column: int, char: str, is_mark: bool, shade: str, is_limit: bool, cursor: int | None) -> str:
    if column == cursor:
        return "accent"
    if char == " ":
        return "limit" if is_limit else ""
    return "dim" if is_mark else shade
