"""Puts blobs back that a repository lost, from the live files that still hold them.

A file's blobs say where in it each one lay. Where the live file still has those bytes, they are stored again and every
snapshot that needs them is whole; no snapshot is changed. A damaged pack of which nothing is lost any more goes: what
was whole in it is stored anew before. Else checking would find it for ever.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import walk
from .blob import BlobType, name
from .check import Checked, check
from .crypto import OVERHEAD
from .errors import EngineError
from .lock import Lock
from .node import Node
from .pack import Packed, PackWriter
from .progress import Flag, Pace, Progress, refuse_cancelled
from .repair import salvage
from .repository import Repository

CHUNK_MAX = 8 << 20
"""Bytes: no blob of a file is longer."""


@dataclass(frozen=True, slots=True)
class Healed:
    """How many blobs came back, and how many are still lost."""

    healed: int
    missing: int
    packs_removed: int = 0
    """Damaged packs of which nothing is lost any more."""


def heal(repository: Repository, lock: Lock, progress: Callable[[Progress], None], cancelled: Flag) -> Healed:
    """Reads all that is stored, then the live files of what is lost. Needs the exclusive lock. Raises EngineError."""
    checked = check(repository, (), True, progress, cancelled)
    lost = set(checked.lost)
    if not checked.bad_packs and not checked.bad_places and not lost:
        return Healed(0, 0)
    writer: PackWriter | None = None
    packs: list[Packed] = []
    pace = Pace(progress)
    try:
        for blob, plain in _live(repository, checked, lambda path: pace.say(Progress("heal", current=path)), cancelled):
            if blob not in lost:
                continue
            lost.discard(blob)
            writer = writer or PackWriter(repository.storage.scratch, BlobType.DATA)
            writer.add(blob, *repository.codec.encode(plain))
            if writer.is_full:
                packs.append(repository.store(writer))
                writer = None
        if writer:
            packs.append(repository.store(writer))
            writer = None
    finally:
        if writer:
            writer.abandon()
    healed = len(checked.lost) - len(lost)
    gone = _replace(repository, lock, checked, packs, lost) if healed or checked.bad_packs else set()
    return Healed(healed, len(lost), len(gone))


def _replace(repository: Repository, lock: Lock, checked: Checked, packs: list[Packed], lost: set[bytes]) -> set[bytes]:
    """A new index with the new packs and without the places that are bad; the damaged packs that it can do without go.

    Order: whole blobs of such packs are stored anew, then the index, and only then they go.
    """
    bad = checked.bad_places
    whole = {
        pack: [(id, place) for id, place in blobs if (pack, place.offset) not in bad]
        for pack, blobs in repository.index.by_pack()
        if pack in checked.bad_packs and not any((pack, place.offset) in bad and id in lost for id, place in blobs)
    }
    salvaged = list(salvage(repository, checked, set(whole)))
    saved = {id for _, blobs in salvaged for id, _ in blobs}
    gone = {pack for pack, blobs in whole.items() if all(id in saved for id, _ in blobs)}
    kept = [
        (pack, rest)
        for pack, blobs in repository.index.by_pack()
        if pack not in gone and (rest := [(id, place) for id, place in blobs if (pack, place.offset) not in bad])
    ]
    lock.check()
    new = set(repository.save_index([*packs, *salvaged, *kept]))
    for id, _ in list(repository.storage.list("index")):
        if id not in new:
            lock.check()
            repository.storage.remove("index", id)
    for pack in gone:
        lock.check()
        repository.storage.remove("data", pack.hex())
    return gone


def _lengths(repository: Repository, node: Node) -> list[int]:
    """Of a file's blobs, before they were sealed. One that no index knows has what is left of the file's size."""
    places = [repository.index.get(blob) for blob in node.content or ()]
    known = [(place.raw or place.length - OVERHEAD) if place else 0 for place in places]
    rest = node.size - sum(known)
    return [length if place else rest for length, place in zip(known, places, strict=True)]


def _live(
    repository: Repository, checked: Checked, progress: Callable[[str], None], cancelled: Flag
) -> Iterator[tuple[bytes, bytes]]:
    """Lost blobs that live files still hold. A blob may come more than once."""
    seen: set[tuple[bytes, ...]] = set()
    for snapshot in checked.snapshots:
        if snapshot.id not in checked.files:
            continue
        for path, node in _files(repository, snapshot.tree, checked.lost):
            refuse_cancelled(cancelled)
            content = tuple(node.content or ())
            if content in seen or not any(blob in checked.lost for blob in content):
                continue
            progress(path.decode("utf-8", "backslashreplace"))
            blobs = list(_read(repository, path, node, checked.lost))
            if blobs:
                seen.add(content)
            yield from blobs


def _files(repository: Repository, tree: bytes, lost: set[bytes], above: bytes = b"") -> Iterator[tuple[bytes, Node]]:
    if tree in lost:
        return
    for path, node in walk.entries(repository, tree, recursive=False, above=above):
        if node.subtree:
            yield from _files(repository, node.subtree, lost, path)
        elif node.type == "file":
            yield path, node


def _read(repository: Repository, path: bytes, node: Node, lost: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The lost blobs of one file: by the lengths of those before them."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # it is not there any more: another snapshot may know another path
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return
        size, offset = os.fstat(number).st_size, 0
        for blob, length in zip(node.content or (), _lengths(repository, node), strict=True):
            if blob in lost and length <= CHUNK_MAX and offset + length <= size:
                plain = os.pread(number, length, offset)
                if name(plain) == blob:
                    yield blob, plain
            offset += length
    except OSError as error:
        raise EngineError("permission", f"cannot read {path!r}: {error.strerror}") from error
    finally:
        os.close(number)
