"""A pane that tells all that is known of the selected row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from ..paint import Line, plain, wrap
from .canvas import Canvas

T = TypeVar("T")

Fact = tuple[str, str, str]
"""Its name, the text, and the words of the text's style."""


class AboutPane(Canvas, Generic[T]):
    """The subclass draws `about`."""

    def __init__(self) -> None:
        super().__init__()
        self.about: T | None = None

    def show(self, about: T | None) -> None:
        """Shows one."""
        self.about = about
        self.repaint()


def fact_lines(facts: Iterable[Fact], width: int) -> list[Line]:
    """Names in a column, texts beside them, wrapped; a fact without text is left out."""
    lines = []
    for name, text, style in facts:
        pieces = wrap(plain(text), max(10, width - 15)) if text else []
        lines += [Line(((f"   {'' if n else name:>9}  ", "dim"), (piece, style))) for n, piece in enumerate(pieces)]
    return lines
