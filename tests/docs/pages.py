"""The hand-written and generated pages, and what stands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$? ?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?blackhole (?P<words>.*)$")
_PLACEHOLDER = re.compile(r"\[OPTIONS\]|COMMAND|\[ARGS\]|\.\.\.")


def commands(page: Path) -> Iterator[list[str]]:
    """The words after `blackhole` of each such line in a code block; usage lines with placeholders are none."""
    for block in _FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if (match := _COMMAND.match(line)) and not _PLACEHOLDER.search(line):
                yield _words(match["words"])


def _words(text: str) -> list[str]:
    """Up to a pipe, a redirection, or another command."""
    words = []
    for word in shlex.split(text, comments=True):
        if word in ("|", ">", ">>", "&&", "||", ";", "2>"):
            break
        words.append(word)
    return words


def links(page: Path) -> Iterator[str]:
    """Relative targets of the links and pictures of a page."""
    text = re.sub(r"`[^`]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            yield target.partition("#")[0]
