"""Restores: a snapshot, or some paths of it, into a folder of this host, and never outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError
from ..node import Node, parse_tree
from ..pool import Pool, Send
from ..progress import Flag, Note, Pace, Progress
from ..repository import Repository
from ..snapshot import Snapshot
from ..storage import is_local
from ..storage.scratch import Scratch
from ..trees import Trees
from .blobs import Blobs
from .model import Change, Overwrite, Restored, told
from .run import Folder, Run
from .select import Selection, below, selected
from .worker import Worker

if TYPE_CHECKING:
    from .fetch import Fetch

__all__ = ["Change", "Overwrite", "Restored", "restore"]

FETCHES = 8
"""Stretches of packs, and trees, that are fetched at once where the storage is not of this host."""


def restore(
    repository: Repository,
    snapshot: Snapshot,
    target: Path,
    *,
    paths: Sequence[bytes],
    strip: bytes,
    overwrite: Overwrite,
    delete: bool,
    dry_run: bool,
    progress: Callable[[Progress], None],
    note: Callable[[Note], None],
    cancelled: Flag,
    workers: int = 0,
    keep: Callable[[bytes], bool] | None = None,
) -> Restored:
    """Puts a snapshot's paths (none: all of it) below the target, without `strip` at their beginning. EngineError.

    The caller holds a lock and has loaded the index. With `delete`, what is not in the snapshot is removed from folders
    that are restored whole, never from those above. A file with a damaged blob is not touched and told by a note, and
    the rest is restored. `workers`: processes; 0: one a core. `keep`: paths below the target that are never removed.
    """
    selection = selected(repository, snapshot, paths)
    tree, part, node = _stripped(repository, snapshot.tree, selection, strip)
    is_new = _made(target, dry_run)
    is_here = is_local(repository.storage)
    with ExitStack() as stack:
        scratch = None if is_here else stack.enter_context(Scratch(repository.storage))
        top = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if not dry_run or target.is_dir() else -1
        if top >= 0:
            stack.callback(os.close, top)

        def worker(_: int, send: Send) -> Worker:
            blobs = Blobs(repository, scratch)
            return Worker(repository, blobs, top, overwrite, delete, dry_run, send, keep)

        # Processes first, threads after: a fork copies only the thread that asks for it.
        pool = stack.enter_context(Pool(workers or len(os.sched_getaffinity(0)), worker))
        trees = stack.enter_context(closing(Trees(repository, 0 if is_here else FETCHES)))
        fetch = stack.enter_context(closing(_fetch(repository, scratch))) if scratch else None
        summary = snapshot.summary if not paths else None
        totals = (summary.total_files_processed, summary.total_bytes_processed) if summary else (0, 0)
        run = Run(pool, trees, fetch, repository.index, totals, dry_run, Pace(progress), note, cancelled)
        is_dressed = not dry_run and node is not None and (is_new or (part is None and overwrite != "never"))
        return run.go(Folder([], tree, part, top >= 0, is_new, None, told(node) if is_dressed and node else None))


def _fetch(repository: Repository, scratch: Path) -> Fetch:
    from .fetch import Fetch

    return Fetch(repository, scratch, FETCHES)


def _made(target: Path, dry_run: bool) -> bool:
    """Makes the target; whether it was not there. Raises EngineError."""
    try:
        if target.is_dir():
            return False
        if not dry_run:
            target.mkdir(mode=0o700, parents=True)
        return True
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise EngineError("permission", f"cannot restore into {target}: {why}; give another target") from error


def _stripped(
    repository: Repository, tree: bytes, selection: Selection | None, strip: bytes
) -> tuple[bytes, Selection | None, Node | None]:
    """The tree that is put into the target itself, what of it, and its node. Raises EngineError: refused, damaged."""
    node: Node | None = None
    for part in (part for part in strip.split(b"/") if part):
        others = set(selection or ()) - {part, b""}
        is_in, selection = below(selection, part)
        found = {each.name: each for each in parse_tree(tree, repository.read_blob(tree))}.get(part)
        if others or not is_in or found is None or not found.subtree:
            raise EngineError(
                "refused", f"cannot leave {os.fsdecode(strip)} out of the paths: not all that is restored is below it"
            )
        node, tree = found, found.subtree
    if selection is not None and b"" in selection:
        selection = None
    return tree, selection, node
