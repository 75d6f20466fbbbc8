"""Backups: what exists, and what one would take."""

from __future__ import annotations

from bhtui.agent.rooms.backup.room import Backup as BackupRoom
from bhtui.rpc.blackhole.v1 import backup_pb2 as pb
from bhtui.rpc.blackhole.v1.backup_pb2_grpc import BackupServicer
from bhtui.rpc.convert.backup import backups_to_message

from .guard import Context


class Backup(BackupServicer):
    """Asks the room."""

    def __init__(self, room: BackupRoom) -> None:
        self._room = room

    async def List(self, request: pb.ListBackupsRequest, context: Context) -> pb.ListBackupsResponse:
        return backups_to_message(await self._room.list(tuple(request.services)))
