"""A real PostgreSQL under the agent: one database brought back from its dump while the server runs on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import open_folder, secret_file
from tests.live import require
from tests.live.home import Home, home

BIN = "/usr/lib/postgresql/15/bin"
PORT = "5497"
CONFIG = f"""
services:
  pg:
    command: [{BIN}/postgres, -D, FOLDER/data, -p, "{PORT}", -k, FOLDER, -c, listen_addresses=, -c, shared_buffers=8MB]
    user: postgres
    healthcheck: {{test: [CMD, {BIN}/pg_isready, -h, FOLDER, -p, "{PORT}"], interval: 1s}}
    data: [FOLDER/data]
    backup: {{postgresql: {{host: FOLDER, port: {PORT}, dumps: [shop]}}}}
backup: {{storage: {{type: local, path: FOLDER/repo}}, password_file: FOLDER/password}}
"""


class Server:
    def __init__(self, made: Home, folder: Path) -> None:
        self.home, self.folder = made, folder

    def sql(self, query: str, database: str = "shop", code: int = 0) -> str:
        argv = [f"{BIN}/psql", "-h", str(self.folder), "-p", PORT, "-U", "postgres", "-Atqc", query, database]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def restore(self, *words: str, code: int = 0) -> str:
        """Loads the database from the newest backup."""
        words = ("backup", "restore", "--latest", "--service", "pg", "--database", "shop", *words)
        return self.home.cli(*words, code=code).stderr

    def databases(self) -> set[str]:
        return set(self.sql("SELECT datname FROM pg_database", "postgres").split())


@pytest.fixture
def server() -> Iterator[Server]:
    require.root()
    require.program(f"{BIN}/postgres")
    with open_folder("postgres") as folder:
        secret_file(folder / "password")
        argv = [f"{BIN}/initdb", "-D", f"{folder}/data", "--auth=trust", "-N"]
        subprocess.run(argv, user="postgres", cwd="/", check=True, capture_output=True, timeout=60)
        with home(CONFIG.replace("FOLDER", str(folder))) as made:
            found = Server(made, folder)
            made.cli("start")
            found.sql("CREATE ROLE clerk LOGIN", "postgres")
            found.sql("CREATE DATABASE shop OWNER clerk", "postgres")
            found.sql("ALTER DATABASE shop SET work_mem = '5MB'", "postgres")
            found.sql("CREATE TABLE goods AS SELECT generate_series(1, 1000) AS n")
            made.cli("backup", "create")
            yield found


def test_one_database_is_brought_back_while_the_server_runs_on(server: Server) -> None:
    pid = server.home.status()["pg-1"]["pid"]
    server.sql("DROP TABLE goods; CREATE TABLE later (n int)")
    server.sql("CREATE DATABASE other", "postgres")
    server.restore("--keep-old")
    assert server.sql("SELECT count(*) FROM goods") == "1000"
    assert server.sql("SELECT to_regclass('later') IS NULL, current_setting('work_mem')") == "t|5MB"
    assert server.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'") == "clerk"
    (aside,) = server.databases() - {"shop", "other", "postgres", "template0", "template1"}
    assert server.sql("SELECT count(*) FROM later", aside) == "0"
    assert server.home.status()["pg-1"]["pid"] == pid
    server.sql("DROP DATABASE shop", "postgres")
    server.restore()
    assert server.sql("SELECT count(*) FROM goods") == "1000"
    assert not (server.home.paths.state / "drill").exists() or not list((server.home.paths.state / "drill").iterdir())
    events = [json.loads(line) for line in server.home.cli("events", "--output", "json").stdout.splitlines()]
    assert [each for each in events if each["kind"] == "backup.restored"][-1]["message"].startswith(
        "database shop loaded"
    )


def test_what_cannot_be_loaded_leaves_the_database_as_it_was(server: Server) -> None:
    server.sql("INSERT INTO goods VALUES (0)")
    server.sql("ALTER DATABASE shop OWNER TO postgres; DROP ROLE clerk", "postgres")
    said = server.restore(code=1)
    assert 'role "clerk" does not exist' in said
    assert "shop is the one from before" in said
    assert server.sql("SELECT count(*) FROM goods") == "1001"
    assert server.databases() == {"shop", "postgres", "template0", "template1"}
    refused = server.home.cli("backup", "restore", "--latest", "--service", "pg", "--database", "none", code=3).stderr
    assert "the backup holds no dump of it" in refused
