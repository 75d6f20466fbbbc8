"""What differs between two snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import node
from .node import Node
from .repository import Repository


@dataclass(frozen=True, slots=True)
class Change:
    """One path. Sizes in bytes; 0 where it is not."""

    path: bytes
    kind: str
    """`added removed changed meta`; `meta`: the content is the same."""
    size_a: int
    size_b: int


def diff(repository: Repository, a: bytes, b: bytes) -> Iterator[Change]:
    """Changes from one tree to another, in the order of paths. Folders with the same tree are not entered."""
    yield from _diff(repository, a, b, b"")


def _diff(repository: Repository, a: bytes | None, b: bytes | None, above: bytes) -> Iterator[Change]:
    if a == b:
        return
    before, after = _nodes(repository, a), _nodes(repository, b)
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        path = above + b"/" + name
        if (kind := _kind(old, new)) is not None:
            yield Change(path, kind, old.size if old else 0, new.size if new else 0)
        yield from _diff(repository, old.subtree if old else None, new.subtree if new else None, path)


def _nodes(repository: Repository, tree: bytes | None) -> dict[bytes, Node]:
    return {each.name: each for each in node.parse_tree(tree, repository.read_blob(tree))} if tree else {}


def _kind(old: Node | None, new: Node | None) -> str | None:
    if old is None or new is None:
        return "added" if old is None else "removed"
    if (old.type, old.content, old.linktarget, old.device) != (new.type, new.content, new.linktarget, new.device):
        return "changed"
    same = (old.mode, old.mtime_ns, old.uid, old.gid, old.xattrs) == (
        new.mode,
        new.mtime_ns,
        new.uid,
        new.gid,
        new.xattrs,
    )
    return None if same else "meta"
