"""What the backup child does: one handler a verb. Its arguments are the request's, its result is what `done` holds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from . import answers
from .restic import lock as locking
from .restic import walk
from .restic.errors import EngineError
from .restic.lock import Lock
from .restic.progress import Note, Progress
from .restic.repository import Repository
from .restic.snapshot import Snapshot
from .restic.storage import Storage
from .restic.storage.opening import open_storage

Request = dict[str, Any]
Done = dict[str, Any]
LOCK_WAIT = 5.0
"""Seconds for which another's lock is waited for; an operation says then that it waits, and asks again."""
LIMIT = 10_000
"""Entries of a listing, when no other number is asked for."""


class Child(Protocol):
    """The process, as handlers see it."""

    cancelled: threading.Event

    def progress(self, progress: Progress) -> None:
        """How far it is."""

    def note(self, note: Note) -> None:
        """Something about one path."""

    def unlocked(self, lock: str) -> None:
        """A lock was removed behind which nobody stands."""


def _storage(request: Request) -> Storage:
    return open_storage(request["storage"], request.get("cache") or "", int(request.get("bandwidth") or 0))


@contextmanager
def opened(request: Request) -> Iterator[Repository]:
    """The repository of a request."""
    storage = _storage(request)
    try:
        yield Repository.open(storage, request["password"])
    finally:
        storage.close()


@contextmanager
def locked(
    request: Request, child: Child, exclusive: bool = True, meanwhile: Callable[[Repository], object] = lambda _: None
) -> Iterator[tuple[Repository, Lock]]:
    """The repository of a request, locked. `meanwhile` reads what is needed while the lock is taken."""
    with opened(request) as repository:
        wait = request.get("lock_wait", LOCK_WAIT)
        then, told = (lambda: meanwhile(repository)), (lambda gone: child.unlocked(str(gone)))
        with Lock(repository, exclusive, wait, meanwhile=then, removed=told) as lock:
            yield repository, lock


def init(request: Request, _: Child) -> Done:
    """Makes a repository."""
    storage = _storage(request)
    try:
        return {"id": Repository.create(storage, request["password"], time.time_ns()).id}
    finally:
        storage.close()


def backup(request: Request, child: Child) -> Done:
    """Takes paths, and what commands print, into a new snapshot."""
    from .restic.archive import Virtual
    from .restic.archive import backup as run

    parent: Snapshot | None = None

    def read(repository: Repository) -> None:
        nonlocal parent
        parent = _parent(repository, request.get("parent"))  # before the index, which then has all that it needs
        repository.load_index()
        if request.get("force"):
            _distrust(repository, child)

    with locked(request, child, exclusive=False, meanwhile=read) as (repository, _):
        unreadable = 0

        def note(said: Note) -> None:
            nonlocal unreadable
            unreadable += said.is_left_out
            child.note(said)

        began = time.monotonic()
        made = run(
            repository,
            [os.fsencode(path) for path in request["paths"]],
            parent=parent,
            force=bool(request.get("force")),
            excludes=request.get("excludes") or (),
            hostname=request["host"],
            tags=request.get("tags") or (),
            time_ns=int(request["time_ns"]),
            virtual=[
                Virtual(os.fsencode(each["path"]), each["command"], each.get("env") or {})
                for each in request.get("virtual") or ()
            ],
            progress=child.progress,
            note=note,
            cancelled=child.cancelled,
        )
        return (
            answers.of_snapshot(made)
            | answers.of_run(made)
            | {"seconds": time.monotonic() - began, "unreadable": unreadable}
        )


def _distrust(repository: Repository, child: Child) -> None:
    """What the index says of packs that are not there counts for nothing: what they held is stored once more."""
    there = {name for name, _ in repository.storage.list("data")}
    lost = {pack for pack in repository.index.packs() if pack.hex() not in there}
    if lost:
        repository.index = repository.index.without(lost)
        for pack in sorted(lost):
            child.note(
                Note(f"data/{pack.hex()[:8]}", "this pack is lost; what is still here of it is stored once more")
            )


def restore(request: Request, child: Child) -> Done:
    """Puts a snapshot, or some paths of it, into a folder; on trial, says what that would change.

    What is damaged is told, the rest is restored, and then it has failed: nobody takes it for whole.
    """
    from bhtui.core.excludes import compiled

    from .restic.restore import restore as run

    with locked(request, child, exclusive=False, meanwhile=Repository.load_index) as (repository, _):
        snapshot = repository.snapshot(request["id"])
        is_dry = bool(request.get("dry_run"))
        first = ""

        def note(said: Note) -> None:
            nonlocal first
            first = first or f"{said.path}: {said.problem}"
            child.note(said)

        done = run(
            repository,
            snapshot,
            Path(request["target"]),
            paths=[os.fsencode(path) for path in request.get("paths") or ()],
            strip=os.fsencode(request.get("strip") or ""),
            overwrite=request.get("overwrite") or "changed",
            delete=bool(request.get("delete")),
            keep=compiled(request.get("keep") or ()),
            dry_run=is_dry,
            progress=child.progress,
            note=note,
            cancelled=child.cancelled,
        )
        if done.lost and not is_dry:
            raise EngineError(
                "damaged",
                f"cannot restore all of {snapshot.id[:8]}: {done.lost} files could not be, first {first}; the "
                f"rest is in {request['target']}; `blackhole backup verify --read-data` says what else is hurt",
            )
        found = asdict(done)
        changes = found.pop("changes")[: int(request.get("limit") or LIMIT)]
        return found | ({"changes": changes} if is_dry else {})


def _parent(repository: Repository, wanted: str | None) -> Snapshot | None:
    """The snapshot to compare with; one that is gone meanwhile is done without."""
    try:
        return repository.snapshot(wanted) if wanted else None
    except EngineError as error:
        if error.code != "not_found":
            raise
        return None


def snapshots(request: Request, _: Child) -> Done:
    """Lists snapshots, newest first: those of a host, and with all of these tags."""
    with opened(request) as repository:
        found = [
            one
            for one in repository.snapshots()
            if set(request.get("tags") or ()) <= set(one.tags) and request.get("host") in (None, "", one.hostname)
        ]
        return {
            "snapshots": [answers.of_snapshot(one) for one in sorted(found, key=lambda one: (-one.time_ns, one.id))]
        }


def files(request: Request, _: Child) -> Done:
    """Lists what is in a snapshot, below a path."""
    with opened(request) as repository:
        snapshot = repository.snapshot(request["id"])
        repository.load_index()
        path = os.fsencode(request.get("path") or "/")
        at = walk.find(repository, snapshot, path)
        above = b"" if at is None else b"/" + path.strip(b"/")
        if at is not None and at.subtree is None:
            return {"entries": [answers.of_entry(above, at)], "more": False}
        tree = snapshot.tree if at is None or at.subtree is None else at.subtree
        limit = int(request.get("limit") or LIMIT)
        found = list(islice(walk.entries(repository, tree, bool(request.get("recursive")), above), limit + 1))
        return {"entries": [answers.of_entry(path, node) for path, node in found[:limit]], "more": len(found) > limit}


def compare(request: Request, _: Child) -> Done:
    """What differs between two snapshots."""
    from .restic.diff import diff

    with opened(request) as repository:
        a, b = repository.snapshot(request["a"]), repository.snapshot(request["b"])
        repository.load_index()
        limit = int(request.get("limit") or LIMIT)
        changes, added, removed, count = [], 0, 0, 0
        for each in diff(repository, a.tree, b.tree):
            count += 1
            added += each.size_b if each.kind in ("added", "changed") else 0
            removed += each.size_a if each.kind in ("removed", "changed") else 0
            if count <= limit:
                changes.append(
                    {"path": answers.text(each.path), "kind": each.kind, "size_a": each.size_a, "size_b": each.size_b}
                )
        return {"changes": changes, "bytes_added": added, "bytes_removed": removed, "more": count > limit}


def verify(request: Request, child: Child) -> Done:
    """Checks snapshots (none: everything); `read_data`: to the last byte."""
    from .restic.check import check

    with locked(request, child, exclusive=False) as (repository, _):
        found = check(
            repository, request.get("ids") or (), bool(request.get("read_data")), child.progress, child.cancelled
        )
        return {
            "snapshots": [{"id": one.id, "problems": found.files.get(one.id, [])} for one in found.snapshots],
            "problems": [asdict(one) | {"harmless": one.is_harmless} for one in found.problems],
            "packs": found.packs,
            "blobs": found.blobs,
            "bytes_read": found.bytes_read,
        }


def forget(request: Request, child: Child) -> Done:
    """Removes snapshots; what they held stays until pruning."""
    with locked(request, child) as (repository, lock):
        doomed = [repository.snapshot(each) for each in request["ids"]]
        for one in doomed:
            lock.check()
            repository.storage.remove("snapshots", one.id)
        return {"removed": len(doomed)}


def prune(request: Request, child: Child) -> Done:
    """Removes what no snapshot needs."""
    from .restic.prune import MAX_UNUSED
    from .restic.prune import prune as run

    with locked(request, child) as (repository, lock):
        unused = request.get("max_unused_percent")
        is_dry, allowed = bool(request.get("dry_run")), MAX_UNUSED if unused is None else float(unused)
        return asdict(run(repository, lock, is_dry, allowed, child.progress, child.cancelled))


def stats(request: Request, _: Child) -> Done:
    """How much there is, and how much of it nothing needs."""
    from .restic.index import Marks
    from .restic.pack import stored

    with opened(request) as repository:
        found = list(repository.snapshots())
        repository.load_index()
        used = Marks(repository.index)
        walk.mark_used(repository, (one.tree for one in found), used)
        raw = unused = 0
        for blob, place in repository.index:
            raw += place.raw or place.length - 32
            unused += 0 if blob in used else stored(place)
        sizes = [size for _, size in repository.storage.list("data")]
        return {
            "snapshots": len(found),
            "blobs": len(repository.index),
            "packs": len(sizes),
            "bytes": sum(sizes),
            "bytes_raw": raw,
            "unused_bytes": unused,
        }


def unlock(request: Request, child: Child) -> Done:
    """Removes locks: stale ones, or all."""
    with opened(request) as repository:
        gone = locking.unlock(repository, bool(request.get("all")), time.time_ns())
        for each in gone:
            child.unlocked(str(each))
        return {"removed": len(gone), "left": [str(each) for each in locking.locks(repository)]}


def locks(request: Request, _: Child) -> Done:
    """Who works on the repository."""
    with opened(request) as repository:
        now = time.time_ns()
        return {"locks": [asdict(one) | {"stale": one.is_stale(now)} for one in locking.locks(repository)]}


def key_list(request: Request, _: Child) -> Done:
    """The keys of the repository."""
    with opened(request) as repository:
        return {"keys": [asdict(one) | {"current": one.id == repository.key_id} for one in repository.list_keys()]}


def key_add(request: Request, child: Child) -> Done:
    """One more password."""
    with locked(request, child, exclusive=False) as (repository, _):
        return {"id": repository.add_key(request["new_password"], time.time_ns())}


def key_remove(request: Request, child: Child) -> Done:
    """One password less."""
    with locked(request, child) as (repository, _):
        repository.remove_key(request["id"])
        return {}


def key_change(request: Request, child: Child) -> Done:
    """Another password in the place of the one in use."""
    with locked(request, child) as (repository, _):
        new = repository.add_key(request["new_password"], time.time_ns())
        # Only when the new one opens it does the old one go.
        Repository.open(repository.storage, request["new_password"])
        repository.storage.remove("keys", repository.key_id)
        return {"id": new}


def repair(request: Request, child: Child) -> Done:
    """Salvages what is left of a damaged repository."""
    from .restic.repair import repair as run

    with locked(request, child) as (repository, lock):
        done = run(repository, lock, bool(request.get("dry_run")), child.progress, child.cancelled)
        return {
            "snapshots_rewritten": [{"old": old, "new": new} for old, new in done.rewritten],
            "snapshots_removed": done.removed,
            "files_lost": done.files_lost,
            "packs_removed": done.packs_removed,
            "blobs_found": done.blobs_found,
        }


def heal(request: Request, child: Child) -> Done:
    """Puts lost blobs back from live files."""
    from .restic.heal import heal as run

    with locked(request, child) as (repository, lock):
        return asdict(run(repository, lock, child.progress, child.cancelled))


VERBS: dict[str, Callable[[Request, Child], Done]] = {
    "init": init,
    "backup": backup,
    "restore": restore,
    "snapshots": snapshots,
    "files": files,
    "diff": compare,
    "verify": verify,
    "forget": forget,
    "prune": prune,
    "stats": stats,
    "unlock": unlock,
    "locks": locks,
    "key_list": key_list,
    "key_add": key_add,
    "key_remove": key_remove,
    "key_change": key_change,
    "repair": repair,
    "heal": heal,
}
