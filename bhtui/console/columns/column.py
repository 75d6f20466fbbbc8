"""A column, and how columns share the width of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..paint import Align, Spans

T = TypeVar("T")
GAP = 2


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of a table of T."""

    title: str
    width: int
    """Columns of the terminal that it needs."""
    cell: Callable[[T, float, int], Spans]
    """The cell of an item at a time in so many columns."""
    align: Align = "left"
    priority: int = 0
    """0: always there; the highest goes first when there is no room."""
    grow: int = 0
    """Its share of the room that is left."""
    most: int = 40
    """Columns it may grow to."""
    sort: Callable[[T, float], Any] | None = None
    """The value to sort by."""


def layout(columns: Sequence[Column[T]], width: int) -> list[tuple[Column[T], int]]:
    """The columns that fit, in their order, with their widths; together with gaps never more than `width`."""
    kept = list(columns)
    while len(kept) > 1 and sum(one.width + GAP for one in kept) - GAP > width:
        worst = max(kept, key=lambda one: (one.priority, kept.index(one)))
        if not worst.priority:
            break
        kept.remove(worst)
    widths = {id(one): one.width for one in kept}
    spare = width - sum(one.width + GAP for one in kept) + GAP
    while spare > 0:
        growing = [one for one in kept if one.grow and widths[id(one)] < one.most]
        if not growing:
            break
        total = sum(one.grow for one in growing)
        for one in growing:
            share = min(max(1, spare * one.grow // total), one.most - widths[id(one)], spare)
            widths[id(one)] += share
            spare -= share
    return [(one, widths[id(one)]) for one in kept]
