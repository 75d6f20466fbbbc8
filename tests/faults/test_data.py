"""An emergency stop in the middle of writes: every write that was acknowledged is there afterwards, all is sound."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.folders import open_folder
from tests.live import require
from tests.live.home import Home, home
from tests.ports import free_port
from tests.waiting import until

SQLITE = """
    import itertools, sqlite3, sys
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, text TEXT)")
    begin = db.execute("SELECT coalesce(max(n), 0) FROM t").fetchone()[0]
    print("begins after", begin, flush=True)
    for n in itertools.count(begin + 1):
        db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 200))
        print("wrote", n, flush=True)
"""


def acknowledged(made: Home, service: str) -> int:
    """The last number that the service said it has written."""
    text = (made.paths.logs / service / f"{service}-1.log").read_text()
    return max((int(n) for n in re.findall(r"wrote (\d+)$", text, re.MULTILINE)), default=0)


def test_sqlite_has_every_write_it_has_told(tmp_path: Path) -> None:
    database, program = tmp_path / "data.db", tmp_path / "writer.py"
    program.write_text(textwrap.dedent(SQLITE))
    config = f"services:\n  writer:\n    command: [{sys.executable}, {program}, {database}]\n    restart: always\n"
    with home(config) as made:
        for turn in range(3):
            made.cli("start")
            before = acknowledged(made, "writer")
            until(lambda before=before: acknowledged(made, "writer") > before + 200, 30, "it writes")
            made.cli("stop", "--emergency")
            written = acknowledged(made, "writer")
            with sqlite3.connect(database) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                [(count, last)] = db.execute("SELECT count(*), max(n) FROM t")
            assert count == last >= written > before, turn
            assert last <= written + 1, "at most the one whose word was cut off"


class Writer:
    """A client that writes 1, 2, 3, ... until the server is gone; `written` is the last that was acknowledged."""

    def __init__(self, write: Callable[[int], None]) -> None:
        self.written = 0
        self._write, self._stop = write, Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                self._write(number)
            except (OSError, subprocess.SubprocessError):
                return
            self.written = number

    def end(self) -> int:
        """The last number that was acknowledged."""
        self._stop.set()
        self._thread.join(60)
        return self.written


def redis(connection: socket.socket, *words: str) -> str:
    connection.sendall((" ".join(words) + "\r\n").encode())
    answer = connection.recv(4096).decode().strip()
    if not answer:
        raise ConnectionResetError
    return answer


def test_redis_has_every_write_it_has_acknowledged() -> None:
    # With `everysec` Redis acknowledges before it writes while an fsync takes long.
    server, port = require.program("redis-server"), free_port()
    with open_folder() as folder:
        config = f"""
services:
  redis:
    command: {server} --port {port} --bind 127.0.0.1 --dir {folder} --appendonly yes --appendfsync always --save ""
    healthcheck: {{tcp: {port}}}
"""
        with home(config) as made:
            made.cli("start")
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                writer = Writer(lambda n: assert_is(redis(connection, "SET", f"k{n}", str(n)), "+OK"))
                until(lambda: writer.written > 500, 30, "it writes")
                made.cli("stop", "--emergency")
                written = writer.end()
            made.cli("start")
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                until(lambda: redis(connection, "PING") == "+PONG", 30, "it has loaded what it kept")
                there = int(redis(connection, "DBSIZE").removeprefix(":"))
                assert written <= there <= written + 1
                assert redis(connection, "GET", f"k{written}").endswith(str(written))


def assert_is(answer: str, wanted: str) -> None:
    assert answer == wanted


PG = Path("/usr/lib/postgresql/15/bin")


def as_postgres(*argv: str, timeout: float = 60) -> str:
    done = subprocess.run(
        ["runuser", "-u", "postgres", "--", *argv], capture_output=True, text=True, timeout=timeout, check=True, cwd="/"
    )
    return done.stdout.strip()


@pytest.mark.timeout(240)
def test_postgresql_recovers_every_commit() -> None:
    require.root()
    require.program(str(PG / "postgres"))
    port = free_port()
    with open_folder() as folder:
        data = folder / "data"
        data.mkdir(mode=0o700)
        shutil.chown(folder, "postgres")
        shutil.chown(data, "postgres")
        as_postgres(str(PG / "initdb"), "-D", str(data), "-A", "trust", "-k", "--no-sync")
        psql = (str(PG / "psql"), "-h", str(folder), "-p", str(port), "-XAtqc")
        config = f"""
services:
  postgresql:
    command: {PG}/postgres -D {data} -p {port} -k {folder} -c listen_addresses= -c shared_buffers=16MB
    user: postgres
    healthcheck: {{test: [CMD, {PG}/pg_isready, -h, {folder}, -p, "{port}"], ready_timeout: 60s}}
"""
        with home(config) as made:
            made.cli("start")
            as_postgres(*psql, "CREATE TABLE t (n int PRIMARY KEY); CREATE TABLE sums (n int)", "postgres")
            writer = Writer(lambda n: assert_is(as_postgres(*psql, f"INSERT INTO t VALUES ({n})", "postgres"), ""))
            until(lambda: writer.written >= 20, 60, "it writes")
            made.cli("stop", "--emergency")
            written = writer.end()
            made.cli("start")
            count, last = map(int, as_postgres(*psql, "SELECT count(*), max(n) FROM t", "postgres").split("|"))
            assert count == last
            assert written <= last <= written + 1
            assert "database system was not properly shut down" in made.cli("logs", "postgresql").stdout
            made.cli("stop", "postgresql")
            assert "Bad checksums:  0" in as_postgres(str(PG / "pg_checksums"), "--check", "-D", str(data))
