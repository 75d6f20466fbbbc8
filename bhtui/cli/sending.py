"""Tables of what is sent elsewhere: log outputs, remote write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bhtui.cli.present import GREEN, GREY, RED, YELLOW, age, shapely, size, table
from bhtui.core.sending import Sending
from bhtui.core.units import format_count

S = TypeVar("S", bound=Sending)
Cell = tuple[str, str]

_STATES = {
    "ok": ("●", "*", GREEN), "idle": ("○", "o", GREY), "lagging": ("↻", "~", YELLOW), "failing": ("✗", "x", RED),
}  # fmt: skip
_LATE = ("lagging", "failing")


def any_late(found: Sequence[tuple[str, Sending]]) -> bool:
    """Whether one fails or lags."""
    return any(one.state in _LATE for _, one in found)


def listed(
    found: Sequence[tuple[str, S]], heads: Sequence[str], row: Callable[[S], list[Cell]], now_ns: int, hosts: bool
) -> str:
    """The table, with the last error below each that has one; `found` is by host."""
    rows = [[*([(host, "")] if hosts else []), *row(one)] for host, one in found]
    below = {at: [_error(one, now_ns)] for at, (_, one) in enumerate(found) if one.last_error}
    return table(["HOST", *heads] if hosts else list(heads), rows, below)


def state_cell(one: Sending) -> Cell:
    """Its state in shape, word and colour."""
    shape, plain, colour = _STATES.get(one.state, ("?", "?", ""))
    return (f"{shape if shapely() else plain} {one.state}", colour)


def waiting_cells(one: Sending, count: int, size_bytes: int) -> tuple[Cell, Cell]:
    """How much waits, and how old the oldest of it is."""
    colour = YELLOW if one.state in _LATE else ""
    return (
        (f"{format_count(count)} {size(size_bytes)}" if size_bytes else "0", colour),
        (age(one.behind_seconds) if one.behind_seconds >= 1 else "-", colour),
    )


def _error(one: Sending, now_ns: int) -> str:
    if one.failing_since_ns:
        return f"for {age((now_ns - one.failing_since_ns) / 1e9)}: {one.last_error}"
    return f"{age((now_ns - one.last_error_ns) / 1e9)} ago: {one.last_error}"
