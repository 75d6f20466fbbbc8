"""Backups: what exists, what is in it, and what one would take."""

from __future__ import annotations

from bhtui.agent.rooms.backup.room import Backup as BackupRoom
from bhtui.core.backup import Backups
from bhtui.rpc.blackhole.v1 import backup_pb2 as pb
from bhtui.rpc.blackhole.v1.backup_pb2_grpc import BackupServicer
from bhtui.rpc.convert import backup as convert

from .guard import Context

DEFAULT_LIMIT = 10_000


class Backup(BackupServicer):
    """Asks the room."""

    def __init__(self, room: BackupRoom) -> None:
        self._room = room

    async def List(self, request: pb.ListBackupsRequest, context: Context) -> pb.ListBackupsResponse:
        return convert.backups_to_message(await self._look(request))

    async def _look(self, request: pb.ListBackupsRequest) -> Backups:
        return await self._room.list(
            tuple(request.services), request.repository, request.cached, request.without_sources
        )

    async def Get(self, request: pb.GetBackupRequest, context: Context) -> pb.BackupSnapshot:
        return convert.snapshot_to_message(await self._room.get(request.id, request.repository))

    async def Files(self, request: pb.BackupFilesRequest, context: Context) -> pb.BackupFiles:
        limit = request.limit or DEFAULT_LIMIT
        found = await self._room.files(request.id, request.path, request.recursive, limit, request.repository)
        return convert.files_to_message(found)

    async def Diff(self, request: pb.BackupDiffRequest, context: Context) -> pb.BackupDiff:
        limit = request.limit or DEFAULT_LIMIT
        return convert.diff_to_message(await self._room.diff(request.a, request.b, limit, request.repository))

    async def Stats(self, request: pb.RepositoryStatsRequest, context: Context) -> pb.RepositoryStats:
        return convert.stats_to_message(await self._room.stats(request.repository))

    async def Deposit(self, request: pb.DepositRequest, context: Context) -> pb.DepositResponse:
        if request.for_repository:
            self._room.repositories.keep_password(request.secret)
            return pb.DepositResponse()
        return pb.DepositResponse(ticket=self._room.repositories.deposit(request.secret))
