"""Backups: files of this host, and what commands print, into a snapshot. (Design, "Snapshots" and "Trees and Data".)"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from bhtui.core.errors import UsageError
from bhtui.core.excludes import compiled

from .. import keyfile
from ..errors import EngineError
from ..pool import Pool, Send
from ..progress import Flag, Note, Pace, Progress
from ..repository import Repository
from ..snapshot import PROGRAM, Snapshot, Summary, document
from ..storage.scratch import Scratch
from ..trees import Trees
from .claims import Claims
from .counts import FIELDS
from .layout import Virtual, checked, laid_out
from .run import Run
from .scan import Scan
from .sink import Sink
from .uploads import Uploads
from .worker import Worker

__all__ = ["Virtual", "backup"]

LOCAL_UPLOADS, REMOTE_UPLOADS = 2, 5
"""Packs that are stored at once."""
REMOTE_TREES = 8
"""Trees of the parent snapshot that are fetched at once."""


def backup(
    repository: Repository,
    paths: Sequence[bytes],
    *,
    parent: Snapshot | None,
    force: bool,
    excludes: Sequence[str],
    hostname: str,
    tags: Sequence[str],
    time_ns: int,
    virtual: Sequence[Virtual],
    progress: Callable[[Progress], None],
    note: Callable[[Note], None],
    cancelled: Flag,
    workers: int = 0,
) -> Snapshot:
    """Takes the paths and stores a snapshot of them. Raises EngineError.

    The caller holds a lock and has loaded the index; `parent` was read before that. With `force` every byte is read,
    else a file is read when its times, size or inode differ from the parent's. `workers`: processes; 0: one a core.
    """
    started = time.monotonic()
    try:
        is_out = compiled(excludes)
    except UsageError as error:
        raise EngineError("refused", str(error)) from error
    taken = checked(paths)
    top = laid_out(taken, virtual)
    count = workers or len(os.sched_getaffinity(0))
    claims = Claims(count + 1)
    before = parent.summary if parent else None
    with Scratch(repository.storage) as scratch:
        is_local = repository.storage.scratch is not None

        def worker(number: int, send: Send) -> Worker:
            claims.own(number + 1)
            return Worker(repository, claims, scratch, is_out, force, send)

        with ExitStack() as stack:
            # Processes first, threads after: a fork copies only the thread that asks for it.
            pool = stack.enter_context(Pool(count, worker))
            scan = stack.enter_context(closing(Scan(taken, is_out))) if before is None else None
            uploads = stack.enter_context(closing(Uploads(repository, LOCAL_UPLOADS if is_local else REMOTE_UPLOADS)))
            trees = stack.enter_context(closing(Trees(repository, 0 if is_local else REMOTE_TREES)))
            sink = Sink(repository.index, repository.key, repository.codec, claims, scratch, uploads.put)
            totals = (before.total_files_processed, before.total_bytes_processed) if before else (0, 0)
            run = Run(repository, pool, sink, uploads, trees, scan, totals, time_ns, Pace(progress), note, cancelled)
            try:
                tree = run.go(top, parent.tree if parent else b"")
            except EngineError as error:
                if error.code == "cancelled":  # what has arrived is found by the next run
                    uploads.settle(wait=True)
                    uploads.save()
                raise
    claims.close()
    made = Snapshot(
        time_ns=time_ns,
        tree=tree,
        paths=tuple(path.decode("utf-8", "replace") for path in (*taken, *(one.path for one in virtual))),
        hostname=hostname,
        username=keyfile.username(),
        uid=os.getuid(),
        gid=os.getgid(),
        excludes=tuple(excludes),
        tags=tuple(tags),
        parent=parent.id if parent and not force else "",
        program=PROGRAM,
        summary=_summary(run, time_ns, time_ns + int((time.monotonic() - started) * 1e9)),
    )
    return replace(made, id=repository.save("snapshots", document(made)))


def _summary(run: Run, start_ns: int, end_ns: int) -> Summary:
    said = dict(zip(FIELDS, run.counts.all, strict=True))
    data_blobs, tree_blobs, added, packed = run.stored
    return Summary(
        start_ns=start_ns,
        end_ns=end_ns,
        data_blobs=data_blobs,
        tree_blobs=tree_blobs,
        data_added=added,
        data_added_packed=packed,
        total_files_processed=said.pop("files"),
        total_bytes_processed=said.pop("bytes"),
        bytes_read=said.pop("bytes_read"),
        **said,
    )
