"""A real PostgreSQL: a base backup while it works, and a moment in between brought back."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bhtui.agent.command import DEFAULT_PATH, Setting
from bhtui.agent.rooms.backup.preparing import standins
from bhtui.agent.rooms.backup.preparing.postgresql import Postgresql
from bhtui.core.backup import PostgresqlBackup
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec
from tests.folders import open_folder
from tests.live import require
from tests.waiting import until

from .taking import stage, take, work

BIN = Path("/usr/lib/postgresql/15/bin")
PORT = 5499


class Server:
    """In a folder of its own, as the user postgres, reached by a socket there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.archive = folder, folder / "data", folder / "archive"
        self.service = ServiceSpec("db", (str(BIN / "postgres"), "-D", str(self.data)), user="postgres")
        self.spec = PostgresqlBackup(host=str(folder), port=PORT, wal_archive=str(self.archive), dumps=("postgres",))
        self.person = pwd.getpwnam("postgres")

    def run(self, *argv: str) -> str:
        done = subprocess.run(argv, user="postgres", cwd="/", capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make(self) -> None:
        self.run(str(BIN / "initdb"), "-D", str(self.data), "--auth=trust", "-N")
        self.archive.mkdir()
        os.chown(self.archive, self.person.pw_uid, self.person.pw_gid)

    @contextmanager
    def running(self, data: Path) -> Iterator[None]:
        archive = f"test ! -f {self.archive}/%f && cp %p {self.archive}/%f"
        argv = [str(BIN / "postgres"), "-D", str(data), "-p", str(PORT), "-k", str(self.folder)]
        argv += ["-c", "listen_addresses=", "-c", "archive_mode=on", "-c", f"archive_command={archive}"]
        argv += ["-c", "shared_buffers=8MB", "-c", "wal_level=replica"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(argv, user="postgres", cwd="/", stdout=log, stderr=log)
        try:
            until(self._is_open, 60, "PostgreSQL answers")
            yield
        finally:
            process.terminate() if process.poll() is None else None
            subprocess.run(
                [BIN / "pg_ctl", "-D", data, "-m", "immediate", "stop"], user="postgres", cwd="/", check=False
            )
            process.wait(60)

    def _is_open(self) -> bool:
        argv = [BIN / "psql", "-h", self.folder, "-p", str(PORT), "-Atc", "SELECT pg_is_in_recovery()", "postgres"]
        done = subprocess.run(argv, user="postgres", cwd="/", capture_output=True, text=True, check=False)
        return done.stdout.strip() == "f"

    def sql(self, query: str) -> str:
        return self.run(str(BIN / "psql"), "-h", str(self.folder), "-p", str(PORT), "-Atqc", query, "postgres")

    async def here(self) -> Setting:
        return Setting({"PATH": DEFAULT_PATH, "HOME": "/"}, "/", self.person.pw_uid, self.person.pw_gid, ())

    def preparation(self, spec: PostgresqlBackup | None = None) -> Postgresql:
        return Postgresql(self.service, spec or self.spec, 60.0, self.here)


@pytest.fixture
def server() -> Iterator[Server]:
    require.root()
    require.program(str(BIN / "postgres"))
    with open_folder("postgres") as folder:
        made = Server(folder)
        made.make()
        yield made


async def test_a_moment_after_the_base_backup_is_brought_back(server: Server) -> None:
    preparation, job = server.preparation(), work(server.service, server.data)
    with server.running(server.data):
        server.sql("CREATE TABLE t (n int)")
        server.sql("INSERT INTO t VALUES (1)")
        prepared = await preparation.before(job)
        take(prepared, job.paths, server.folder / "snapshot")
        await preparation.after(job, prepared.learned, True)
        assert not standins.beside(server.data).exists()
        assert prepared.note == "base backup of PostgreSQL and 1 dump, log archived"
        (dump,) = prepared.streams
        assert dump.path == "/db.postgres.pgdump"
        assert subprocess.run(dump.command, capture_output=True, check=True, timeout=60).stdout.startswith(b"PGDMP")
        server.sql("INSERT INTO t VALUES (2)")
        moment = time.time_ns()
        until(lambda: time.time_ns() > moment + 50_000_000, 5, "a moment passes")
        server.sql("DROP TABLE t")
        server.sql("SELECT pg_switch_wal()")
        until(
            lambda: server.sql("SELECT last_archived_time > now() - interval '1 minute' FROM pg_stat_archiver") == "t",
            30,
        )
    assert not (server.folder / f"snapshot{server.data}").exists()
    staged = stage(server.data, server.folder / "snapshot", server.folder / "staged")
    server.run("true")
    subprocess.run(["chown", "-R", "postgres:", str(staged)], check=True)
    await preparation.restored(job, {str(server.data): str(staged)}, moment)
    with server.running(staged):
        assert server.sql("SELECT count(*) FROM t") == "2"


async def test_the_base_backup_alone_starts_by_itself(server: Server) -> None:
    plain = PostgresqlBackup(host=str(server.folder), port=PORT)
    preparation, job = server.preparation(plain), work(server.service, server.data)
    with server.running(server.data):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        prepared = await preparation.before(job)
        take(prepared, job.paths, server.folder / "snapshot")
        await preparation.after(job, {}, False)
        assert not standins.beside(server.data).exists()
    staged = stage(server.data, server.folder / "snapshot", server.folder / "staged")
    subprocess.run(["chown", "-R", "postgres:", str(staged)], check=True)
    await preparation.restored(job, {str(server.data): str(staged)}, 0)
    with server.running(staged):
        assert server.sql("SELECT count(*) FROM t") == "1000"


async def test_a_server_that_does_not_answer_fails_the_backup(server: Server) -> None:
    with pytest.raises(BlackholeError, match=r"pg_basebackup of db failed: .*[Cc]onnection"):
        await server.preparation().before(work(server.service, server.data))
    with pytest.raises(BlackholeError, match="no PostgreSQL data folder"):
        await server.preparation().before(work(server.service, server.archive))
