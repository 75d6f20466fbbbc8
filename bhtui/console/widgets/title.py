"""The title line of a pane: its number and name, facts, and a rule to its end. The focused one stands out."""

from __future__ import annotations

from ..paint import Spans, fit, width_of


def title(number: str, name: str, focused: bool, facts: Spans = ()) -> Spans:
    """The left part of a title line."""
    label = f" {number} {name} " if number else f" {name} "
    return ((label, "title-on" if focused else "title"), (" ", ""), *facts)


def ruled(left: Spans, right: Spans, width: int) -> Spans:
    """Left and right part with a rule between them, `width` columns in all."""
    room = width - width_of(right) - (1 if right else 0)
    if width_of(left) + 1 >= room:
        return (*fit(left, max(0, room)), (" " if right else "", ""), *fit(right, min(width_of(right), width)))
    rule = "─" * (room - width_of(left) - 1)
    return (*left, (" ", ""), (rule, "rule"), (" " if right else "", ""), *right)
