"""What is wrong with a configuration, where, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The way to a value: keys and indexes from the top."""
Place = tuple[int, int]
"""Line and column, from 1."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Its place is that of its path, unless it says another."""

    path: Path
    message: str
    hint: str = ""
    place: Place | None = None
    file: str = ""
    """Another file than the configuration itself, such as an env_file."""


def dotted(path: Path) -> str:
    """`services.web.ports[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean 'command'?`, or what is known when it is little, or nothing."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(names)}" if 0 < len(names) <= 12 else ""
