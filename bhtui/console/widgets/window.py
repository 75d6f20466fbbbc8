"""Which rows of a list are on the screen, where rows may be several lines high. Pure."""

from __future__ import annotations

from collections.abc import Callable


def show(heights: Callable[[int], int], count: int, top: int, cursor: int, height: int) -> int:
    """The first row to draw so that the row `cursor` is wholly visible, moving as little as possible."""
    top = max(0, min(top, count - 1))
    if cursor < top:
        return max(0, cursor)
    used, first = 0, cursor
    while first >= top:
        used += heights(first)
        if used > height:
            return min(cursor, first + 1)
        first -= 1
    return top


def fill_back(heights: Callable[[int], int], count: int, height: int) -> int:
    """The first row to draw so that the last one ends at the bottom."""
    used, first = 0, count
    while first > 0:
        used += heights(first - 1)
        if used > height:
            break
        first -= 1
    return min(first, max(0, count - 1))


def thumb(count: int, top: int, visible: int, height: int) -> range:
    """Lines of the scroll bar's thumb; empty when everything is visible."""
    if count <= visible or height < 1:
        return range(0)
    size = max(1, round(height * visible / count))
    start = round((height - size) * top / max(1, count - visible))
    start = max(0, min(height - size, start))
    return range(start, start + size)
