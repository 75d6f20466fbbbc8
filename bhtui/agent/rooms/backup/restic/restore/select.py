"""Which parts of a snapshot are restored: a tree of names, in which None is everything below."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import EngineError
from ..node import Node, parse_tree
from ..repository import Repository
from ..snapshot import Snapshot

Selection = dict[bytes, Any]
"""By name: a Selection, or None."""


def selected(repository: Repository, snapshot: Snapshot, paths: Sequence[bytes]) -> Selection:
    """What these paths are; none: what the snapshot was made of. Raises EngineError: not_found, damaged.

    The folders above a path are not "everything below": what else is there in the target is not the snapshot's.
    """
    if paths:
        return chosen(_checked(repository, snapshot.tree, path) for path in paths)
    try:
        if snapshot.paths:
            return chosen(_checked(repository, snapshot.tree, os.fsencode(path)) for path in snapshot.paths)
    except EngineError as error:
        if error.code not in ("not_found", "refused"):
            raise
    # Stock restic stores a relative path by its last parts, and a path with other bytes than UTF-8 is not told.
    return dict.fromkeys(_nodes(repository, snapshot.tree))


def chosen(paths: Iterable[list[bytes]]) -> Selection:
    """Paths as parts, as a tree."""
    top: dict[bytes, Any] | None = {}
    for parts in paths:
        if not parts:
            return {b"": None}
        at: Any = top
        for part in parts[:-1]:
            at = at.setdefault(part, {})
            if at is None:
                break
        else:
            at[parts[-1]] = None
    return top or {}


def below(selection: Selection | None, name: bytes) -> tuple[bool, Selection | None]:
    """Whether an entry is selected, and what of it."""
    if selection is None or b"" in selection:
        return True, None
    return name in selection, selection.get(name)


def _checked(repository: Repository, tree: bytes, path: bytes) -> list[bytes]:
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise EngineError("refused", f"cannot restore {os.fsdecode(path)}: write the path without `..`")
    at: bytes | None = tree
    for part in parts:
        node = _nodes(repository, at).get(part) if at else None
        if node is None:
            raise EngineError(
                "not_found", f"cannot restore {os.fsdecode(path)}: it is not in the snapshot; "
                "`blackhole backup files` lists what is",
            )  # fmt: skip
        at = node.subtree
    return parts


def _nodes(repository: Repository, tree: bytes) -> dict[bytes, Node]:
    return {node.name: node for node in parse_tree(tree, repository.read_blob(tree))}
