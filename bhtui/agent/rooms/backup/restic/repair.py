"""Salvages what is left of a damaged repository: whole blobs out of damaged packs, whole files out of hurt snapshots.

Order: new packs, a new index, new snapshots, then the hurt snapshots, the old index and the bad packs go. Needs the
exclusive lock. A file that lost a part of its content keeps the rest under its name with `.damaged` behind it, so that
nobody takes it for whole; a folder whose listing is lost is empty, and `.damaged` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bhtui.core.backup import REPAIRED

from . import node, snapshot
from .blob import BlobType, Place, name
from .check import Checked, check
from .errors import EngineError
from .lock import Lock
from .node import Node
from .pack import Packed, PackWriter, header
from .progress import Flag, Progress
from .repository import Repository
from .snapshot import Snapshot

SUFFIX = b".damaged"


@dataclass(slots=True)
class Repaired:
    """What was, or would be, done."""

    rewritten: list[tuple[str, str]] = field(default_factory=list)
    """Old and new id of snapshots; the new one empty in a dry run."""
    removed: list[str] = field(default_factory=list)
    """Snapshots that could not be read at all."""
    files_lost: list[str] = field(default_factory=list)
    """`ID:/path` of what is not whole any more."""
    packs_removed: int = 0
    blobs_found: int = 0
    """Whole blobs that no index knew."""


def repair(
    repository: Repository, lock: Lock, dry_run: bool, progress: Callable[[Progress], None], cancelled: Flag
) -> Repaired:
    """Reads all, and mends what can be mended. Raises EngineError."""
    found = _Lost(repository, progress, cancelled)
    checked = found.checked
    done = Repaired(blobs_found=found.blobs_found, packs_removed=len(checked.bad_packs))
    done.removed = [id for one in checked.problems if one.kind == "snapshot_damaged" for id in one.hurts]
    done.files_lost = [f"{id[:8]}:{path}" for id, paths in checked.files.items() for path in paths]
    hurt = [one for one in checked.snapshots if one.id in checked.files]
    if dry_run:
        done.rewritten = [(one.id, "") for one in hurt]
        return done
    if not (hurt or done.removed or checked.bad_packs or found.blobs_found or found.damaged_indexes):
        return done
    salvaged = list(salvage(repository, checked, checked.bad_packs))
    mender = _Mender(repository, checked.lost)
    rewritten = [(one, mender.snapshot(one)) for one in hurt]
    salvaged += mender.finish()
    kept = [entry for entry in repository.index.by_pack() if entry[0] not in checked.bad_packs]
    lock.check()
    new_indexes = set(repository.save_index([*salvaged, *kept]))
    for old, new in rewritten:
        done.rewritten.append((old.id, repository.save("snapshots", snapshot.document(new))))
    for id in [old.id for old in hurt] + done.removed:
        lock.check()
        repository.storage.remove("snapshots", id)
    for id, _ in list(repository.storage.list("index")):
        if id not in new_indexes:
            lock.check()
            repository.storage.remove("index", id)
    for pack in checked.bad_packs:
        lock.check()
        repository.storage.remove("data", pack.hex())
    return done


class _Lost:
    """Everything is read. Packs that no index knows are taken in by their headers: a damaged index hides them."""

    def __init__(self, repository: Repository, progress: Callable[[Progress], None], cancelled: Flag) -> None:
        before = check(repository, (), False, progress, cancelled)
        self.damaged_indexes = sum(one.kind == "index_damaged" for one in before.problems)
        self.blobs_found = 0
        known = {pack.hex() for pack in repository.index.packs()}
        unknown = [(pack, size) for pack, size in repository.storage.list("data") if pack not in known]
        for pack, size in unknown if self.damaged_indexes or before.lost else ():
            try:
                entries = header(repository.storage, repository.key, pack, size)
            except EngineError as error:
                if error.code not in ("damaged", "not_found"):
                    raise
                continue
            self.blobs_found += len(entries)
            for blob, place in entries:
                repository.index.add(blob, place)
        self.checked = check(repository, (), True, progress, cancelled, has_index=True)


def salvage(repository: Repository, checked: Checked, packs: set[bytes]) -> Iterator[Packed]:
    """Copies whole blobs out of bad packs. What cannot be read after all is left out."""
    for pack, blobs in repository.index.by_pack():
        whole = [(id, place) for id, place in blobs if pack in packs and (pack, place.offset) not in checked.bad_places]
        writer: PackWriter | None = None
        for id, place in whole:
            try:
                sealed = repository.storage.read("data", pack.hex(), place.offset, place.length)
                repository.codec.decode(id, sealed, place.raw)
            except EngineError as error:
                if error.code not in ("damaged", "not_found"):
                    raise
                continue
            writer = writer or PackWriter(repository.storage.scratch, place.type)
            writer.add(id, sealed, place.raw)
        if writer:
            yield repository.store(writer)


class _Mender:
    """Writes trees without what is lost."""

    def __init__(self, repository: Repository, lost: set[bytes]) -> None:
        self._repository, self._lost = repository, lost
        self._mended: dict[bytes, bytes] = {}
        self._new: dict[bytes, Place] = {}
        self._writer: PackWriter | None = None
        self._packs: list[Packed] = []

    def snapshot(self, old: Snapshot) -> Snapshot:
        """The same one with a tree that can be restored."""
        tags = (*(tag for tag in old.tags if tag != REPAIRED), REPAIRED)
        return replace(old, tree=self._tree(old.tree), tags=tags, original=old.original or old.id, id="", parent="")

    def finish(self) -> list[Packed]:
        """Stores what is not stored yet; all packs of new trees."""
        if self._writer:
            self._packs.append(self._repository.store(self._writer))
            self._writer = None
        return self._packs

    def _tree(self, id: bytes) -> bytes:
        if (known := self._mended.get(id)) is not None:
            return known
        nodes = [] if id in self._lost else node.parse_tree(id, self._repository.read_blob(id))
        plain = node.tree(map(node.encode, sorted(map(self._node, nodes), key=lambda one: one.name)))
        self._mended[id] = self._stored(plain)
        return self._mended[id]

    def _node(self, old: Node) -> Node:
        if old.subtree:
            lost = old.subtree in self._lost
            return replace(old, subtree=self._tree(old.subtree), name=old.name + SUFFIX if lost else old.name)
        if not any(blob in self._lost for blob in old.content or ()):
            return old
        content = [blob for blob in old.content or () if blob not in self._lost]
        places = map(self._repository.index.get, content)
        size = sum(place.raw or place.length - 32 for place in places if place)
        return replace(old, content=content, size=size, name=old.name + SUFFIX)

    def _stored(self, plain: bytes) -> bytes:
        id = name(plain)
        if (id in self._repository.index and id not in self._lost) or id in self._new:
            return id
        self._writer = self._writer or PackWriter(self._repository.storage.scratch, BlobType.TREE)
        self._writer.add(id, *self._repository.codec.encode(plain))
        self._new[id] = Place(b"", BlobType.TREE, 0, 0, 0)
        if self._writer.is_full:
            self._packs.append(self._repository.store(self._writer))
            self._writer = None
        return id
