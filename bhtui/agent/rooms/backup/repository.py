"""The configured repository, and what can be seen of it without its password.

`backup.storage` is `{type: local, path: DIR}`, `{type: sftp, host: H, path: DIR}` or `{type: s3, bucket, region,
prefix, endpoint}`. A restic repository is a folder with a file `config` and one file for each snapshot in `snapshots`,
named by its id (https://restic.readthedocs.io/en/stable/100_references.html#repository-layout).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.core.backup import BackupSnapshot

_SNAPSHOT_ID = re.compile(r"[0-9a-f]{64}")
_EXAMPLE = (
    "backup: {storage: {type: local, path: /var/backups/blackhole}, password_file: /etc/blackhole/backup.password}"
)


def location(backup: Mapping[str, Any]) -> str:
    """The repository as restic is told of it; empty when none is configured."""
    storage = backup.get("storage") or {}
    path = str(storage.get("path", ""))
    match storage.get("type"):
        case "local":
            return path
        case "sftp":
            return f"sftp:{storage.get('host', '')}:{path}"
        case "s3":
            endpoint = storage.get("endpoint") or "s3.amazonaws.com"
            return "s3:" + "/".join(
                str(part).strip("/") for part in (endpoint, storage.get("bucket"), storage.get("prefix")) if part
            )
    return ""


def local_folder(backup: Mapping[str, Any]) -> Path | None:
    """The folder of a local repository; None when it is elsewhere, or none is configured."""
    storage = backup.get("storage") or {}
    return Path(storage["path"]) if storage.get("type") == "local" and storage.get("path") else None


def snapshots(folder: Path) -> tuple[BackupSnapshot, ...]:
    """The snapshots in a local repository, newest first; none when there is no repository. Raises OSError.

    They are of the whole repository: which services one holds cannot be seen from outside.
    """
    try:
        entries = list((folder / "snapshots").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    found = [_snapshot(entry) for entry in entries if _SNAPSHOT_ID.fullmatch(entry.name)]
    return tuple(sorted(found, key=lambda one: (-one.time_ns, one.id)))


def _snapshot(file: Path) -> BackupSnapshot:
    """What is inside is encrypted: of type, host, services and sizes nothing is known without the password."""
    return BackupSnapshot(id=file.name, time_ns=file.stat().st_mtime_ns, type="", host="")


def hint(backup: Mapping[str, Any], paths: Sequence[str], problem: str = "") -> str:
    """One line that says how to make a backup of these paths with stock restic, or what is missing for it."""
    where = location(backup)
    if not paths:
        return "no service declares what a backup should take; add `data: [/path]` to services in blackhole.yaml"
    if not where:
        return f"no repository is configured; add to blackhole.yaml, for example: {_EXAMPLE}"
    if problem:
        return problem
    folder = local_folder(backup)
    restic = ["restic", "-r", where]
    if password := backup.get("password_file"):
        restic += ["--password-file", str(password)]
    elif password := backup.get("password_command"):
        restic += ["--password-command", password if isinstance(password, str) else shlex.join(password)]
    prepare = shlex.join([*restic, "init"]) + " && " if folder is not None and not (folder / "config").exists() else ""
    return prepare + shlex.join([*restic, "backup", *paths])
