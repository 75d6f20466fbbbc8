"""Looking into a snapshot: the way down to what it holds, and back."""

from bhtui.console.screens.backupfiles import BackupFilesScreen
from bhtui.console.screens.fleet import FleetScreen
from bhtui.rpc.blackhole.v1 import backup_pb2

from .test_app import session  # noqa: F401 - the fixture

TREE = {
    "": [("/srv", "dir")],
    "/srv": [("/srv/api", "dir")],
    "/srv/api": [("/srv/api/spool", "dir"), ("/srv/api/app.db", "file")],
    "/srv/api/spool": [("/srv/api/spool/deep", "dir")],
    "/srv/api/spool/deep": [("/srv/api/spool/deep/one", "file")],
}


async def test_folders_that_hold_only_another_are_passed_on_the_way_down_and_back(session, monkeypatch):  # noqa: F811
    async def files(_host: str, request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:
        entries = [backup_pb2.BackupEntry(path=path, type=kind) for path, kind in TREE[request.path]]
        return backup_pb2.BackupFiles(id=request.id, entries=entries)

    monkeypatch.setattr(session.world, "backup_files", files)
    session.app.go_backup_files("web-01", "0123456789")
    await session.on(BackupFilesScreen)
    screen = session.app.screen
    await session.until(lambda: screen.folder == "/srv/api" and len(screen.table.rows) == 2, "it is not there")
    await session.press("enter")
    await session.until(lambda: screen.folder == "/srv/api/spool/deep" and not screen.is_asking, "it is not deeper")
    await session.press("escape")
    await session.until(lambda: screen.folder == "/srv/api" and not screen.is_asking, "it is not back")
    await session.press("escape")
    await session.on(FleetScreen)
