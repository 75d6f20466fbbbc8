"""Parts of a page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table and an empty line."""
    return [row(*heads), "|" + "---|" * len(heads), *(row(*each) for each in rows), ""]


def made_from(title: str, *sources: str) -> list[str]:
    """The head of a page."""
    return [f"# {title}", "", f"Made by `make docs` from {', '.join(f'`{each}`' for each in sources)}.", ""]


def docstring(thing: Any) -> str:
    """The first paragraph of a docstring, in one line, without what it raises."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.sub(r" Raises [^.]*\.$", "", text)
