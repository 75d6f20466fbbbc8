"""Backups: messages and core types, and the JSON that `blackhole backup` prints."""

from __future__ import annotations

from typing import Any

from bhtui.core.backup import (
    BackupChange,
    BackupDiff,
    BackupEntry,
    BackupFiles,
    BackupProgress,
    Backups,
    BackupSnapshot,
    BackupSource,
    RepositoryKey,
    RepositoryLock,
    RepositoryStats,
    ServiceProtection,
)
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import backup_pb2 as pb

from . import flat

_LISTS = dict.fromkeys(("services", "paths", "tags", "kept"), tuple)


def snapshot_to_message(snapshot: BackupSnapshot) -> pb.BackupSnapshot:
    return flat.encode(snapshot, pb.BackupSnapshot)


def snapshot_from_message(message: pb.BackupSnapshot) -> BackupSnapshot:
    return flat.decode(message, BackupSnapshot, _LISTS)


def backups_to_message(backups: Backups) -> pb.ListBackupsResponse:
    return flat.encode(
        backups,
        pb.ListBackupsResponse,
        snapshots=map(snapshot_to_message, backups.snapshots),
        sources=[flat.encode(each, pb.BackupSource) for each in backups.sources],
        services=[flat.encode(each, pb.ServiceProtection) for each in backups.services],
        running=[flat.encode(each, pb.BackupProgress) for each in backups.running],
    )


def backups_from_message(message: pb.ListBackupsResponse) -> Backups:
    return flat.decode(
        message,
        Backups,
        {
            "snapshots": lambda all_: tuple(map(snapshot_from_message, all_)),
            "sources": lambda all_: tuple(flat.decode(each, BackupSource) for each in all_),
            "services": lambda all_: tuple(flat.decode(each, ServiceProtection) for each in all_),
            "running": lambda all_: tuple(flat.decode(each, BackupProgress) for each in all_),
        },
    )


def files_to_message(files: BackupFiles) -> pb.BackupFiles:
    return flat.encode(files, pb.BackupFiles, entries=[flat.encode(each, pb.BackupEntry) for each in files.entries])


def files_from_message(message: pb.BackupFiles) -> BackupFiles:
    entries = {"entries": lambda all_: tuple(flat.decode(each, BackupEntry) for each in all_)}
    return flat.decode(message, BackupFiles, entries)


def diff_to_message(diff: BackupDiff) -> pb.BackupDiff:
    return flat.encode(diff, pb.BackupDiff, changes=[flat.encode(each, pb.BackupChange) for each in diff.changes])


def diff_from_message(message: pb.BackupDiff) -> BackupDiff:
    changes = {"changes": lambda all_: tuple(flat.decode(each, BackupChange) for each in all_)}
    return flat.decode(message, BackupDiff, changes)


def stats_to_message(stats: RepositoryStats) -> pb.RepositoryStats:
    return flat.encode(
        stats,
        pb.RepositoryStats,
        locks=[flat.encode(each, pb.RepositoryLock) for each in stats.locks],
        keys=[flat.encode(each, pb.RepositoryKey) for each in stats.keys],
    )


def stats_from_message(message: pb.RepositoryStats) -> RepositoryStats:
    return flat.decode(
        message,
        RepositoryStats,
        {
            "locks": lambda all_: tuple(flat.decode(each, RepositoryLock) for each in all_),
            "keys": lambda all_: tuple(flat.decode(each, RepositoryKey) for each in all_),
        },
    )


def snapshot_to_json(snapshot: pb.BackupSnapshot, host: str = "") -> dict[str, Any]:
    """The object of `backup list` and `backup show --output json`; its keys and their order are fixed.

    `host` is the one that was asked, when several are; `origin` the one that the backup was made on.
    """
    return {
        "id": snapshot.id,
        "type": snapshot.type,
        "time": _time(snapshot.time_ns),
        "host": host or snapshot.host,
        "origin": snapshot.host,
        "services": list(snapshot.services),
        "bytes_added": snapshot.bytes_added,
        "bytes_total": snapshot.bytes_total,
        "files": snapshot.files,
        "verified": snapshot.verified,
        "verified_at": _time(snapshot.verified_ns),
        "verified_how": snapshot.verified_how or None,
        "problem": snapshot.problem or None,
        "drilled_at": _time(snapshot.drilled_ns),
        "drill_problem": snapshot.drill_problem or None,
        "drill_seconds": snapshot.drill_seconds if snapshot.drilled_ns else None,
        "run": snapshot.run or None,
        "parent": snapshot.parent or None,
        "paths": list(snapshot.paths),
        "tags": list(snapshot.tags),
        "kept": list(snapshot.kept),
        "program": snapshot.program or None,
    }


def entry_to_json(entry: pb.BackupEntry) -> dict[str, Any]:
    """An object of `backup files --output json`."""
    return {
        "path": entry.path,
        "type": entry.type,
        "mode": f"{entry.mode & 0o7777:04o}",
        "size": entry.size,
        "modified": _time(entry.mtime_ns),
        "user": entry.user,
        "group": entry.group,
        "target": entry.linktarget or None,
    }


def change_to_json(change: pb.BackupChange) -> dict[str, Any]:
    """An object of `backup diff --output json`."""
    return {"path": change.path, "kind": change.kind, "size_a": change.size_a, "size_b": change.size_b}


def stats_to_json(stats: pb.RepositoryStats, host: str = "") -> dict[str, Any]:
    """The object of `backup repo stats --output json`."""
    return {
        "host": host,
        "repository": stats.repository,
        "snapshots": stats.snapshots,
        "blobs": stats.blobs,
        "packs": stats.packs,
        "bytes": stats.bytes,
        "bytes_raw": stats.bytes_raw,
        "unused_bytes": stats.unused_bytes,
        "locks": [
            {
                "host": each.host,
                "pid": each.pid,
                "time": _time(each.time_ns),
                "exclusive": each.exclusive,
                "user": each.user,
            }
            for each in stats.locks
        ],
        "keys": [
            {
                "id": each.id,
                "host": each.host,
                "user": each.user,
                "created": _time(each.created_ns),
                "current": each.current,
            }
            for each in stats.keys
        ],
    }


def _time(time_ns: int) -> str | None:
    return format_time(time_ns) if time_ns else None
