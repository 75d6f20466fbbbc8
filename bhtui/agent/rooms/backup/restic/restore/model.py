"""What a restore is asked for, and what it says it did."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..node import Node

Overwrite = Literal["never", "changed", "always"]
"""What is there already: is left as it is; is written anew when size or time differ; is written anew."""
Kind = Literal["add", "change", "remove", "same"]
MAX_CHANGES = 10_000
"""Changes that are named; the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a restore does, or would do, to one path below the target."""

    path: str
    kind: Kind
    bytes: int


@dataclass(slots=True)
class Restored:
    """What was done; of a dry run, what would be."""

    files: int = 0
    """Entries that are no folders and were written."""
    bytes: int = 0
    """Of the files that were written."""
    skipped: int = 0
    """Entries left as they were: they are the same, or nothing may be overwritten."""
    removed: int = 0
    """Entries that are not in the snapshot."""
    lost: int = 0
    """Entries that could not be restored; each has its note."""
    changes: list[Change] = field(default_factory=list)
    """Of a dry run."""
    more: bool = False
    """Whether there are changes that are not named."""


_FIELDS = tuple(field.name for field in fields(Node))


def told(node: Node) -> tuple[Any, ...]:
    """A node in plain values, for another process: `Node(*said)` is the node."""
    return tuple(getattr(node, name) for name in _FIELDS)


def shown(parts: list[bytes]) -> str:
    """A path below the target, for people."""
    return b"/".join(parts).decode("utf-8", "replace")
