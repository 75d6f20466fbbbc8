"""Verifies a repository: that all is there, and, when asked, that every byte of it is what was written."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from . import pack, walk
from .blob import Place
from .crypto import Unauthentic
from .errors import EngineError
from .index import Marks
from .progress import Flag, Pace, Progress, refuse_cancelled
from .repository import Repository
from .snapshot import Snapshot
from .workers import parallel


@dataclass(slots=True)
class Problem:
    """One fault of a repository."""

    kind: str
    """`pack_missing pack_short pack_damaged pack_unindexed blob_damaged blob_missing tree_damaged index_damaged`
    `snapshot_damaged`"""
    what: str
    hurts: list[str] = field(default_factory=list)
    """Ids of the snapshots that cannot be restored whole."""

    @property
    def is_harmless(self) -> bool:
        """Whether nothing is lost: space is taken by what nothing needs."""
        return self.kind == "pack_unindexed"


@dataclass(slots=True)
class Checked:
    """What was found. `files` says for each snapshot that is hurt what of it."""

    snapshots: list[Snapshot]
    problems: list[Problem] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    packs: int = 0
    blobs: int = 0
    bytes_read: int = 0
    bad_packs: set[bytes] = field(default_factory=set)
    """Packs that are not what they must be."""
    bad_places: dict[tuple[bytes, int], Problem] = field(default_factory=dict)
    """Pack and offset of blobs that are known to be damaged, and by what."""
    lost: set[bytes] = field(default_factory=set)
    """Blobs that a snapshot needs and that are whole nowhere."""


def check(
    repository: Repository,
    ids: Iterable[str],
    read_data: bool,
    progress: Callable[[Progress], None],
    cancelled: Flag,
    has_index: bool = False,
) -> Checked:
    """Checks these snapshots (none: all, and all else that is stored). Raises EngineError: not_found, cancelled.

    `has_index`: the index is loaded, and stays as it is.
    """
    found = Checked(snapshots := [])
    wanted = list(ids)
    for name in wanted or [name for name, _ in list(repository.storage.list("snapshots"))]:
        try:
            snapshots.append(repository.snapshot(name))
        except EngineError as error:
            if error.code != "damaged":
                raise
            found.problems.append(Problem("snapshot_damaged", str(error), [name]))
    if not has_index:
        repository.load_index(lambda _, error: found.problems.append(Problem("index_damaged", str(error))))
    used = Marks(repository.index)
    bad_trees: dict[bytes, EngineError] = {}
    _sizes(repository, found, whole=not wanted)
    progress(Progress("verify"))
    walk.mark_used(repository, (one.tree for one in snapshots), used, bad_trees.__setitem__)
    if read_data:
        _read(repository, found, used if wanted else None, progress, cancelled)
    _weigh(repository, found, used, bad_trees)
    return found


def _sizes(repository: Repository, found: Checked, whole: bool) -> None:
    """Compares what the index says of the packs with what is stored."""
    there = dict(repository.storage.list("data"))
    for id, blobs in repository.index.by_pack():
        found.packs += 1
        found.blobs += len(blobs)
        size = there.pop(id.hex(), None)
        expected = pack.REST + sum(pack.stored(place) for _, place in blobs)
        if size is None:
            problem = Problem("pack_missing", f"the pack {id.hex()} is not there")
        elif size != expected:
            why = f"the pack {id.hex()} has {size} bytes; {expected} were written"
            problem = Problem("pack_short" if size < expected else "pack_damaged", why)
        else:
            continue
        found.problems.append(problem)
        found.bad_packs.add(id)
        for _, place in blobs:
            if size is None or place.offset + place.length > size:
                found.bad_places[id, place.offset] = problem
    if whole:
        for name in sorted(there):
            why = f"the pack {name} is in no index: a run that was interrupted left it; pruning removes it"
            found.problems.append(Problem("pack_unindexed", why))


@dataclass(slots=True)
class _Read:
    """What reading one pack found: a fault of the pack, or the blobs of it that are damaged."""

    pack: bytes
    size: int
    fault: str = ""
    blobs: list[tuple[bytes, int]] = field(default_factory=list)


def _read(
    repository: Repository,
    found: Checked,
    used: Marks | None,
    progress: Callable[[Progress], None],
    cancelled: Flag,
) -> None:
    """Reads packs to the last byte; `used`: only those that hold a marked blob."""
    missing = {id for (id, _), problem in found.bad_places.items() if problem.kind == "pack_missing"}
    packs = [
        (id, blobs)
        for id, blobs in repository.index.by_pack()
        if id not in missing and (used is None or any(blob in used for blob, _ in blobs))
    ]
    total = sum(pack.REST + sum(pack.stored(place) for _, place in blobs) for _, blobs in packs)
    pace = Pace(progress)
    for number, read in enumerate(parallel(_Reader(repository), _Files(repository)(packs)), 1):
        found.bytes_read += read.size
        if read.fault and read.pack not in found.bad_packs:
            found.bad_packs.add(read.pack)
            found.problems.append(Problem("pack_damaged", f"the pack {read.pack.hex()}: {read.fault}"))
        for blob, offset in read.blobs:
            if (read.pack, offset) not in found.bad_places:
                why = f"the blob {blob.hex()} in the pack {read.pack.hex()} is damaged"
                found.problems.append(Problem("blob_damaged", why))
                found.bad_places[read.pack, offset] = found.problems[-1]
        pace.say(
            Progress("verify", found.bytes_read, total, number, len(packs), read.pack.hex()[:8]), number == len(packs)
        )
        refuse_cancelled(cancelled)


class _Files:
    """Packs as local files: the storage's own, or copies that the reader removes."""

    def __init__(self, repository: Repository) -> None:
        self._storage = repository.storage

    def __call__(
        self, packs: Iterable[tuple[bytes, list[tuple[bytes, Place]]]]
    ) -> Iterator[tuple[bytes, list[tuple[bytes, Place]], Path, bool]]:
        for id, blobs in packs:
            if (path := self._storage.local("data", id.hex())) is not None:
                yield id, blobs, path, False
                continue
            with NamedTemporaryFile("wb", prefix="pack-", delete=False) as file:
                file.write(self._storage.read("data", id.hex()))
            yield id, blobs, Path(file.name), True


class _Reader:
    """In a child: reads one pack, compares it with its name, its header and its blobs' names."""

    def __init__(self, repository: Repository) -> None:
        self._key, self._codec = repository.key, repository.codec

    def __call__(self, item: tuple[bytes, list[tuple[bytes, Place]], Path, bool]) -> _Read:
        id, blobs, path, is_copy = item
        try:
            content = path.read_bytes()
        except OSError as error:
            return _Read(id, 0, f"cannot be read: {(error.strerror or str(error)).lower()}")
        finally:
            if is_copy:
                path.unlink(missing_ok=True)
        read = _Read(id, len(content))
        if hashlib.sha256(content).digest() == id:
            read.fault = self._header(id, blobs, content)
        else:
            read.fault = "its content does not match its name"
        view = memoryview(content)
        for blob, place in blobs:
            try:
                self._codec.decode(blob, view[place.offset : place.offset + place.length], place.raw)
            except EngineError:
                read.blobs.append((blob, place.offset))
        return read

    def _header(self, id: bytes, blobs: list[tuple[bytes, Place]], content: bytes) -> str:
        length = int.from_bytes(content[-4:], "little")
        try:
            plain = self._key.open(content[-4 - length : -4])
            entries = pack.entries(id, plain, len(content) - 4 - length)
        except (Unauthentic, ValueError, struct.error) as error:
            return f"its header is damaged: {error}"
        return "" if entries == blobs else "its header and the index say different things"


def _weigh(repository: Repository, found: Checked, used: Marks, bad_trees: dict[bytes, EngineError]) -> None:
    """Finds out which blobs are lost by all of that, and which snapshots that hurts."""
    lost: dict[bytes, list[Problem]] = {}
    for blob, place in repository.index:
        if blob in used and (place.pack, place.offset) in found.bad_places:
            faults = [found.bad_places.get((each.pack, each.offset)) for each in repository.index.all(blob)]
            if all(faults):
                lost[blob] = [fault for fault in faults if fault]
    for blob in sorted(used.unknown):
        lost[blob] = [Problem("blob_missing", f"the blob {blob.hex()} is in no index")]
        found.problems += lost[blob]
    for blob, error in bad_trees.items():
        if blob not in lost:
            lost[blob] = [Problem("tree_damaged", f"the folder {blob.hex()}: {error}")]
            found.problems += lost[blob]
    found.lost = set(lost)
    if not lost:
        return
    for snapshot, hurt in walk.hurt(repository, found.snapshots, found.lost).items():
        found.files[snapshot] = hurt.files
        for problem in {id(problem): problem for blob in hurt.blobs for problem in lost[blob]}.values():
            problem.hurts.append(snapshot)
