"""Verifies a repository: that all is there, and, when asked, that every byte of it is what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from . import pack, walk
from .errors import EngineError
from .index import ENTRY, Marks
from .packcheck import read_packs
from .progress import Flag, Pace, Progress
from .repository import Repository
from .snapshot import Snapshot


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
    records = repository.index.records()
    _sizes(repository, found, records, whole=not wanted)
    progress(Progress("verify"))
    marking = walk.marking(repository, (one.tree for one in snapshots), used, bad_trees.__setitem__)
    if wanted or not read_data:
        for _ in marking:
            pass
    if read_data:
        _read(repository, found, records, used if wanted else None, marking, progress, cancelled)
        for _ in marking:
            pass
    _weigh(repository, found, used, bad_trees)
    return found


def _sizes(repository: Repository, found: Checked, records: list[bytearray], whole: bool) -> None:
    """Compares what the index says of the packs with what is stored."""
    there = dict(repository.storage.list("data"))
    for id, record in zip(repository.index.packs(), records, strict=True):
        found.packs += 1
        found.blobs += len(record) // ENTRY.size
        size, expected = there.pop(id.hex(), None), _size(record)
        if size is None:
            problem = Problem("pack_missing", f"the pack {id.hex()} is not there")
        elif size != expected:
            why = f"the pack {id.hex()} has {size} bytes; {expected} were written"
            problem = Problem("pack_short" if size < expected else "pack_damaged", why)
        else:
            continue
        found.problems.append(problem)
        found.bad_packs.add(id)
        for _, _, offset, length, _, _ in ENTRY.iter_unpack(record):
            if size is None or offset + length > size:
                found.bad_places[id, offset] = problem
    if whole:
        for name in sorted(there):
            why = f"the pack {name} is in no index: a run that was interrupted left it; pruning removes it"
            found.problems.append(Problem("pack_unindexed", why))


def _size(record: bytearray) -> int:
    """Bytes of a pack that holds this."""
    size = pack.REST
    for _, _, _, length, raw, _ in ENTRY.iter_unpack(record):
        size += length + pack.entry_size(raw)
    return size


def _read(
    repository: Repository,
    found: Checked,
    records: list[bytearray],
    used: Marks | None,
    meanwhile: Iterator[None],
    progress: Callable[[Progress], None],
    cancelled: Flag,
) -> None:
    """Reads packs to the last byte; `used`: only those that hold a marked blob."""
    names = repository.index.packs()
    missing = {id for (id, _), problem in found.bad_places.items() if problem.kind == "pack_missing"}
    numbers = [
        number
        for number, record in enumerate(records)
        if names[number] not in missing and (used is None or any(one[0] in used for one in ENTRY.iter_unpack(record)))
    ]
    total = sum(_size(records[number]) for number in numbers)
    pace = Pace(progress)
    for count, read in enumerate(read_packs(repository, records, numbers, meanwhile, cancelled), 1):
        id = names[read.number]
        found.bytes_read += read.size
        if read.fault and id not in found.bad_packs:
            found.bad_packs.add(id)
            found.problems.append(Problem("pack_damaged", f"the pack {id.hex()}: {read.fault}"))
        for blob, offset in read.blobs:
            if (id, offset) not in found.bad_places:
                why = f"the blob {blob.hex()} in the pack {id.hex()} is damaged"
                found.problems.append(Problem("blob_damaged", why))
                found.bad_places[id, offset] = found.problems[-1]
        said = Progress("verify", found.bytes_read, total, count, len(numbers), id.hex()[:8])
        pace.say(said, is_last=count == len(numbers))


def _weigh(repository: Repository, found: Checked, used: Marks, bad_trees: dict[bytes, EngineError]) -> None:
    """Finds out which blobs are lost by all of that, and which snapshots that hurts."""
    lost: dict[bytes, list[Problem]] = {}
    for blob, place in repository.index if found.bad_places else ():
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
