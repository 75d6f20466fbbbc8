"""Removes what no snapshot needs, and with it the packs that hold nothing else.

Order: new packs, the new index, the old index, old packs. Killed at any instant, all that snapshots need is in an
index and in a pack; what is left over, the next run removes. Needs the exclusive lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import pack, walk
from .blob import BlobType, Place
from .errors import EngineError
from .index import Marks
from .lock import Lock
from .pack import Packed, PackWriter
from .progress import Flag, Progress, refuse_cancelled
from .repository import Repository

MAX_UNUSED = 5.0
"""Per cent of all bytes that may stay unused, so that not every pack is written anew; as stock restic's default."""


@dataclass(slots=True)
class Pruned:
    """What was, or would be, done. Bytes as they lie in the repository."""

    packs_removed: int = 0
    packs_rewritten: int = 0
    bytes_freed: int = 0
    bytes_left: int = 0


@dataclass(slots=True)
class _Pack:
    id: bytes
    type: BlobType
    size: int
    used: int
    """Bytes of blobs that are kept from here, with their header entries."""


@dataclass(slots=True)
class _Plan:
    keep: set[bytes] = field(default_factory=set)
    rewrite: list[_Pack] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    """Names of packs that nothing is needed of."""


def prune(
    repository: Repository,
    lock: Lock,
    dry_run: bool,
    max_unused_percent: float,
    progress: Callable[[Progress], None],
    cancelled: Flag,
) -> Pruned:
    """Prunes. Raises EngineError: damaged when something that is needed is missing, and then changes nothing."""
    if not dry_run:
        repository.storage.sweep()
    snapshots = list(repository.snapshots())
    indexes = repository.load_index()
    used = Marks(repository.index)
    progress(Progress("prune"))
    walk.mark_used(repository, (one.tree for one in snapshots), used)
    if used.unknown:
        raise EngineError(
            "damaged",
            f"cannot prune: {len(used.unknown)} blobs that snapshots need are in no index; `blackhole backup repo "
            "check` says which snapshots that hurts, `blackhole backup repair` salvages the rest",
        )
    there = dict(repository.storage.list("data"))
    chosen = _Chosen(repository, used)
    packs = [_weigh(id, blobs, chosen, there) for id, blobs in repository.index.by_pack()]
    plan = _plan(packs, there, max_unused_percent)
    done = Pruned(len(plan.remove), len(plan.rewrite))
    done.bytes_freed = sum(there[name] for name in plan.remove) + sum(_unused(one) for one in plan.rewrite)
    done.bytes_left = sum(there.values()) - done.bytes_freed
    if not dry_run and (plan.remove or plan.rewrite):
        _carry_out(repository, lock, plan, chosen, indexes, progress, cancelled)
    return done


class _Chosen:
    """Of a blob that lies in several places one is kept: the first of the index."""

    def __init__(self, repository: Repository, used: Marks) -> None:
        self._index, self._used = repository.index, used

    def __call__(self, id: bytes, place: Place) -> bool:
        return id in self._used and self._index.get(id) == place


def _weigh(id: bytes, blobs: list[tuple[bytes, Place]], chosen: _Chosen, there: dict[str, int]) -> _Pack:
    used = sum(pack.stored(place) for blob, place in blobs if chosen(blob, place))
    if used and id.hex() not in there:
        raise EngineError(
            "damaged",
            f"cannot prune: the pack {id.hex()[:8]} is needed and not there; "
            "`blackhole backup repair` salvages the rest",
        )
    return _Pack(id, blobs[0][1].type, there.get(id.hex(), 0), used)


def _plan(packs: list[_Pack], there: dict[str, int], max_unused_percent: float) -> _Plan:
    """Removes what nothing is needed of; then rewrites by the largest unused share, until the rest is allowed."""
    plan = _Plan()
    needed = {one.id.hex() for one in packs if one.used}
    plan.remove = sorted(name for name in there if name not in needed)
    partly = sorted((one for one in packs if one.used), key=lambda one: (one.used / max(one.size, 1), one.id))
    unused = sum(_unused(one) for one in partly)
    allowed = sum(one.size for one in partly) * max_unused_percent / 100
    for one in partly:
        if unused > allowed and _unused(one):
            plan.rewrite.append(one)
            unused -= _unused(one)
        else:
            plan.keep.add(one.id)
    return plan


def _unused(one: _Pack) -> int:
    return max(one.size - one.used - pack.REST, 0)


def _carry_out(
    repository: Repository,
    lock: Lock,
    plan: _Plan,
    chosen: _Chosen,
    indexes: list[str],
    progress: Callable[[Progress], None],
    cancelled: Flag,
) -> None:
    total = sum(one.used for one in plan.rewrite)
    written = list(_rewrite(repository, plan, chosen, lambda done: progress(Progress("prune", done, total)), cancelled))
    kept = (entry for entry in repository.index.by_pack() if entry[0] in plan.keep)
    lock.check()
    new = set(repository.save_index(_both(written, kept)))
    for name in indexes:
        if name not in new:
            lock.check()
            repository.storage.remove("index", name)
    for name in plan.remove + [one.id.hex() for one in plan.rewrite]:
        lock.check()
        repository.storage.remove("data", name)


def _both(one: list[Packed], other: Iterator[Packed]) -> Iterator[Packed]:
    yield from one
    yield from other


def _rewrite(
    repository: Repository,
    plan: _Plan,
    chosen: _Chosen,
    progress: Callable[[int], None],
    cancelled: Flag,
) -> Iterator[Packed]:
    """Copies what is needed of packs into new ones, as it is sealed, after looking that it is whole."""
    doomed = {one.id for one in plan.rewrite}
    writers: dict[BlobType, PackWriter] = {}
    done = 0
    try:
        for id, blobs in repository.index.by_pack():
            if id not in doomed:
                continue
            for blob, place in blobs:
                if not chosen(blob, place):
                    continue
                refuse_cancelled(cancelled)
                writer = writers.get(place.type) or PackWriter(repository.storage.scratch, place.type)
                writers[place.type] = writer
                sealed = repository.storage.read("data", id.hex(), place.offset, place.length)
                repository.codec.decode(blob, sealed, place.raw)
                writer.add(blob, sealed, place.raw)
                done += pack.stored(place)
                progress(done)
                if writer.is_full:
                    yield repository.store(writers.pop(place.type))
        for type in list(writers):
            yield repository.store(writers.pop(type))
    finally:
        for writer in writers.values():
            writer.abandon()
