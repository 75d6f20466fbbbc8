"""Backups that exist: messages and core types."""

from __future__ import annotations

from bhtui.core.backup import Backups, BackupSnapshot, BackupSource
from bhtui.rpc.blackhole.v1 import backup_pb2 as pb

from . import flat


def backups_to_message(backups: Backups) -> pb.ListBackupsResponse:
    return flat.encode(
        backups,
        pb.ListBackupsResponse,
        snapshots=[flat.encode(each, pb.BackupSnapshot) for each in backups.snapshots],
        sources=[flat.encode(each, pb.BackupSource) for each in backups.sources],
    )


def backups_from_message(message: pb.ListBackupsResponse) -> Backups:
    return flat.decode(
        message,
        Backups,
        {
            "snapshots": lambda all_: tuple(flat.decode(each, BackupSnapshot, {"services": tuple}) for each in all_),
            "sources": lambda all_: tuple(flat.decode(each, BackupSource) for each in all_),
        },
    )
