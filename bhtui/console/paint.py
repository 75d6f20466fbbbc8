"""Lines of styled text, before any toolkit: what panes and columns produce and what a canvas puts on the screen.

A style is words from a theme (`bad`, `dim`, `cursor bad`), never a colour. Everything that comes from outside passes
`plain`, so that no escape sequence of a log line reaches the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""Text and the words of its style."""
Spans = tuple[Span, ...]
Align = Literal["left", "right"]


class Line(NamedTuple):
    """One row of the screen: spans, and the style that lies beneath them to the end of the row."""

    spans: Spans = ()
    base: str = ""


BLANK = Line()
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROLS = dict.fromkeys(
    (*range(32), *range(127, 160), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)), "·"
)
"""Those of ASCII and Latin-1, and those that turn the direction of writing or end a line."""
_SPARKS = "▁▂▃▄▅▆▇█"


def plain(text: str) -> str:
    """Text safe to draw: escape sequences removed, tabs spaced out, other control characters shown as `·`."""
    if text.isascii() and text.isprintable():
        return text
    return _ESCAPES.sub("", text.expandtabs(4)).translate(_CONTROLS)


def width_of(spans: Iterable[Span]) -> int:
    """Columns of the terminal that the spans take."""
    return sum(cell_len(text) for text, _ in spans)


def crop(text: str, width: int) -> str:
    """Text in at most `width` columns; what was cut is told by an ellipsis."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 1 else "…"[:width]


def fit(spans: Spans, width: int, align: Align = "left") -> Spans:
    """Spans in exactly `width` columns, cut or padded."""
    used = width_of(spans)
    if used == width:
        return spans
    if used < width:
        pad = (" " * (width - used), "")
        return (pad, *spans) if align == "right" else (*spans, pad)
    out: list[Span] = []
    left = width
    for text, style in spans:
        size = cell_len(text)
        if size >= left:
            cut = crop(text if size > left else text + " ", left)
            out.append((cut, style))
            left -= cell_len(cut)
            break
        out.append((text, style))
        left -= size
    return (*out, (" " * left, "")) if left else tuple(out)


def justify(left: Spans, right: Spans, width: int) -> Spans:
    """`left` and `right` at the two ends of `width` columns; the left one gives way."""
    room = width - width_of(right)
    if room <= 0:
        return fit(right, width)
    return (*fit(left, room), *right)


def spark(values: Sequence[float], width: int, top: float = 100.0) -> str:
    """The newest `width` values as bars, right-aligned; `top` is a full bar."""
    newest = values[-width:] if width > 0 else ()
    bars = "".join(_SPARKS[min(7, max(0, int(value / top * 8)))] for value in newest)
    return bars.rjust(width)


def meter(share: float, width: int) -> tuple[str, str]:
    """A filled and an empty part, together `width` columns, for a share of 0 to 1."""
    filled = min(width, max(0, round(share * width)))
    return "■" * filled, "·" * (width - filled)


def paragraph(text: str, style: str, width: int) -> list[Line]:
    """Text over the whole width of a pane, a little indented."""
    return [Line((("   " + piece.strip(), style),)) for piece in wrap(text, max(10, width - 5))]


def wrap(text: str, width: int) -> list[str]:
    """Text in pieces of at most `width` columns, after a space where there is one in the later half. Together the
    pieces are the text."""
    if width < 1 or cell_len(text) <= width:
        return [text]
    pieces: list[str] = []
    while text:
        piece = set_cell_size(text, width) if cell_len(text) > width else text
        # A wide character that does not fit is replaced by a space; it belongs to the next piece.
        taken = len(piece) if text.startswith(piece) else len(piece) - 1
        if taken < len(text) and text[taken] != " ":
            space = text.rfind(" ", taken // 2, taken)
            taken = space + 1 if space >= 0 else taken
        pieces.append(text[:taken])
        text = text[max(1, taken) :]
    return pieces
