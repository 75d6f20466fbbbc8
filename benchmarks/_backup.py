"""Our engine as a program, for the benchmark of backups: `REPO init|backup PATH|restore TARGET`."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from bhtui.agent.rooms.backup.restic.archive import backup
from bhtui.agent.rooms.backup.restic.lock import Lock
from bhtui.agent.rooms.backup.restic.progress import silent
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.restore import restore
from bhtui.agent.rooms.backup.restic.storage.local import Local

PASSWORD = "benchmark"


def main(repo: str, verb: str, *words: str) -> None:
    storage = Local(Path(repo))
    if verb == "init":
        Repository.create(storage, PASSWORD, time.time_ns())
        return
    repository = Repository.open(storage, PASSWORD)
    with Lock(repository, exclusive=False):
        newest = max(repository.snapshots(), key=lambda one: one.time_ns, default=None)
        repository.load_index()
        if verb == "backup":
            backup(
                repository, [os.fsencode(words[0])], parent=newest, force=False, excludes=[], hostname="here", tags=[],
                time_ns=time.time_ns(), virtual=[], progress=silent, note=print, cancelled=threading.Event(),
            )  # fmt: skip
        else:
            assert newest is not None
            restore(
                repository, newest, Path(words[0]), paths=(), strip=b"", overwrite="changed", delete=False,
                dry_run=False, progress=silent, note=print, cancelled=threading.Event(),
            )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
