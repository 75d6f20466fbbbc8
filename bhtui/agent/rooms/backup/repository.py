"""What can be seen of a local repository without its password, and what to do next.

A restic repository is a folder with a file `config` and one file for each snapshot in `snapshots`, named by its id
(https://restic.readthedocs.io/en/stable/100_references.html#repository-layout).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bhtui.core.backup import BackupSnapshot
from bhtui.core.spec import Spec

_SNAPSHOT_ID = re.compile(r"[0-9a-f]{64}")
_EXAMPLE = "backup: {storage: {type: local, path: /srv/backups}, password_file: /etc/backup-password}"
"""Short: it stands in a pane of seven rows, too."""


def visible(folder: str) -> tuple[BackupSnapshot, ...]:
    """The snapshots in a local repository; none where there is none, or it may not be read.

    Of type, host, services and sizes nothing is known: what is inside is encrypted.
    """
    found: list[BackupSnapshot] = []
    if folder:
        with suppress(OSError):
            for entry in (Path(folder) / "snapshots").iterdir():
                if _SNAPSHOT_ID.fullmatch(entry.name):
                    found.append(BackupSnapshot(id=entry.name, time_ns=entry.stat().st_mtime_ns, type="", host=""))  # noqa: PERF401
    return tuple(found)


def hint(spec: Spec, known: Sequence[BackupSnapshot], is_missing: bool) -> str:
    """What is missing before there is a backup, one line; empty when there are some."""
    if not any(each.data for each in spec.services.values()):
        return "no service declares what a backup should take; add `data: [/path]` to services in blackhole.yaml"
    if spec.backup.storage is None:
        return f"no repository is configured; in blackhole.yaml: {_EXAMPLE}"
    if is_missing or not known:
        return "there is no backup yet; make one with `blackhole backup create --full`"
    if not spec.backup.schedule.is_set:
        return 'nothing makes backups by itself; add `schedule: {incremental: "0 2 * * *"}` to backup in blackhole.yaml'
    return ""
