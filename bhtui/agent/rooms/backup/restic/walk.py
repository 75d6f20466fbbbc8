"""Walks over the trees of snapshots: which blobs they need, and which files a blob is in."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

from . import node
from .errors import EngineError
from .index import Marks
from .node import Node
from .repository import Repository
from .snapshot import Snapshot

Problem = Callable[[bytes, EngineError], None]


def mark_used(repository: Repository, roots: Iterable[bytes], used: Marks, problem: Problem | None = None) -> None:
    """Marks every blob that these trees need. A tree that is marked already is not entered again.

    Without `problem` a tree that cannot be read raises EngineError; with it, it is told and not entered.
    """
    for _ in marking(repository, roots, used, problem):
        pass


def marking(
    repository: Repository, roots: Iterable[bytes], used: Marks, problem: Problem | None = None
) -> Iterator[None]:
    """As `mark_used`, one tree each time it is asked to go on."""
    waiting = [root for root in roots if used.add(root)]
    while waiting:
        id = waiting.pop()
        try:
            content, subtrees = node.links(id, repository.read_blob(id))
        except EngineError as error:
            if problem is None or error.code not in ("damaged", "not_found"):
                raise
            problem(id, error)
            continue
        for each in content:
            used.add(each)
        waiting += [each for each in subtrees if used.add(each)]
        yield


@dataclass(slots=True)
class Hurt:
    """What lost blobs do to a folder, or to a whole snapshot."""

    files: list[str]
    """At most `MAX_NAMED`, from the folder; folders end in `/`."""
    blobs: set[bytes]
    """Which lost blobs it needs."""


MAX_NAMED = 1000


def hurt(repository: Repository, snapshots: Iterable[Snapshot], lost: Container[bytes]) -> dict[str, Hurt]:
    """The snapshots that need lost blobs. A tree is looked at once, however many snapshots have it."""
    seen: dict[bytes, Hurt] = {}
    found = {one.id: _hurt(repository, one.tree, lost, seen) for one in snapshots}
    return {id: hurt for id, hurt in found.items() if hurt.blobs}


def _hurt(repository: Repository, id: bytes, lost: Container[bytes], seen: dict[bytes, Hurt]) -> Hurt:
    if (known := seen.get(id)) is not None:
        return known
    if id in lost:
        seen[id] = Hurt(["/"], {id})
        return seen[id]
    found = Hurt([], set())
    for each in node.parse_tree(id, repository.read_blob(id)):
        name = each.name.decode("utf-8", "backslashreplace")
        if each.subtree:
            below = _hurt(repository, each.subtree, lost, seen)
            found.files += [f"/{name}{path}" for path in below.files]
            found.blobs |= below.blobs
        elif missing := [blob for blob in each.content or () if blob in lost]:
            found.files.append(f"/{name}")
            found.blobs.update(missing)
    del found.files[MAX_NAMED:]
    seen[id] = found
    return found


def entries(repository: Repository, tree: bytes, recursive: bool, above: bytes = b"") -> Iterator[tuple[bytes, Node]]:
    """What is in a folder, with paths, in order. Raises EngineError."""
    waiting = [(above, tree)]
    while waiting:
        path, id = waiting.pop()
        below = []
        for each in node.parse_tree(id, repository.read_blob(id)):
            here = path + b"/" + each.name
            yield here, each
            if recursive and each.subtree:
                below.append((here, each.subtree))
        waiting += reversed(below)


def find(repository: Repository, snapshot: Snapshot, path: bytes) -> Node | None:
    """The entry at a path; None for the top. Raises EngineError: not_found."""
    found: Node | None = None
    tree: bytes | None = snapshot.tree
    for part in [part for part in path.split(b"/") if part]:
        nodes = node.parse_tree(tree, repository.read_blob(tree)) if tree else []
        found = next((each for each in nodes if each.name == part), None)
        if found is None:
            raise EngineError(
                "not_found",
                f"cannot find {path.decode('utf-8', 'backslashreplace')} in the snapshot {snapshot.id[:8]}: "
                f"there is none; `blackhole backup files {snapshot.id[:8]}` lists what there is",
            )
        tree = found.subtree
    return found
