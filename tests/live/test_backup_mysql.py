"""A real MariaDB under the agent: dumped while it works, brought back in place and on trial, or left as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import open_folder, secret_file
from tests.live import require
from tests.live.home import Home, home

CONFIG = """
services:
  shop:
    command: [mariadbd, --no-defaults, --datadir=FOLDER/data, --socket=FOLDER/socket, --skip-networking,
              --innodb-buffer-pool-size=16M, --innodb-log-file-size=8M, --pid-file=FOLDER/pid]
    user: USER
    healthcheck: {test: [CMD, sh, FOLDER/well], interval: 1s, ready_timeout: 10s}
    data: [FOLDER/data]
    backup: {mysql: {socket: FOLDER/socket}}
backup:
  storage: {type: local, path: FOLDER/repo}
  password_file: FOLDER/password
  promise: {rpo: 24h, rto: 30m}
"""


WELL = """mariadb --no-defaults --socket=FOLDER/socket --user=root -N > $0.$$ \\
  -e "SELECT Host FROM mysql.user WHERE User = 'bad'"
code=$?; test $code = 0 -a ! -s $0.$$; code=$?; rm $0.$$; exit $code
"""
"""Well is a server that answers, and has no account `bad`."""


class Server:
    def __init__(self, made: Home, folder: Path) -> None:
        self.home, self.folder = made, folder

    def sql(self, query: str) -> str:
        argv = ["mariadb", "--no-defaults", f"--socket={self.folder}/socket", "--user=root", "-N", "-B", "-e", query]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def backup(self) -> str:
        self.home.cli("backup", "create")
        return str(json.loads(self.home.cli("backup", "list", "--output", "json").stdout)[0]["id"])[:8]

    def beside(self) -> list[str]:
        return [each.name for each in self.folder.iterdir() if each.name.startswith(".")]


@pytest.fixture
def server() -> Iterator[Server]:
    require.root()
    require.program("mariadbd", "/usr/sbin/mariadbd")
    with open_folder("nobody") as folder:
        secret_file(folder / "password")
        (folder / "well").write_text(WELL.replace("FOLDER", str(folder)))
        argv = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--skip-test-db"]
        argv += ["--auth-root-authentication-method=normal"]
        subprocess.run(argv, user="nobody", cwd="/", check=True, capture_output=True, timeout=60)
        with home(CONFIG.replace("FOLDER", str(folder)).replace("USER", "nobody")) as made:
            found = Server(made, folder)
            made.cli("start", timeout=60)
            found.sql(
                "CREATE USER shop@localhost IDENTIFIED BY 'shop'; CREATE DATABASE shop; USE shop;"
                "CREATE TABLE goods (n INT PRIMARY KEY, name VARCHAR(20)) ENGINE=InnoDB;"
                "INSERT INTO goods VALUES (1, 'lamp'), (2, 'rope');"
                "CREATE TABLE log (n INT);"
                "CREATE TRIGGER told AFTER INSERT ON goods FOR EACH ROW INSERT INTO log VALUES (NEW.n);"
                "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN 2 * n;"
                "GRANT ALL ON shop.* TO shop@localhost"
            )
            made.wait_state("shop-1", "running", 60)
            yield found


def test_it_is_brought_back_in_place_with_accounts_on_trial_and_when_all_is_lost(server: Server) -> None:
    snapshot = server.backup()
    server.sql("DROP TABLE shop.goods; CREATE DATABASE later; DROP USER shop@localhost")
    plan = server.home.cli("backup", "restore", snapshot, "--dry-run").stdout
    assert "load /shop.sql into a new data folder" in plan
    server.home.cli("backup", "restore", snapshot)
    server.home.wait_state("shop-1", "running", 30)
    assert server.sql("SELECT GROUP_CONCAT(name ORDER BY n) FROM shop.goods") == "lamp,rope"
    assert server.sql("INSERT INTO shop.goods VALUES (3, 'bell'); SELECT n, shop.twice(n) FROM shop.log") == "3\t6"
    assert "later" not in server.sql("SHOW DATABASES").split()
    assert server.sql("SHOW GRANTS FOR shop@localhost").endswith("TO `shop`@`localhost`")
    assert server.beside() == []
    assert ": well" in server.home.cli("backup", "drill", timeout=90).stderr
    (listed,) = json.loads(server.home.cli("backup", "list", "--output", "json").stdout)
    assert listed["drill_seconds"] > 0

    server.home.cli("stop", "shop")
    shutil.rmtree(server.folder / "data")
    server.home.cli("backup", "restore", snapshot)
    server.home.cli("start", "shop")
    assert server.sql("SELECT COUNT(*) FROM shop.goods") == "2"


def test_a_server_that_does_not_start_with_it_gets_its_data_back(server: Server) -> None:
    server.sql("CREATE USER bad")
    snapshot = server.backup()
    server.sql("DROP USER bad; CREATE DATABASE kept")
    server.home.wait_state("shop-1", "running", 60)
    failed = server.home.cli("backup", "restore", snapshot, code=1, timeout=120)
    assert "the data from before was put back: shop" in failed.stderr
    server.home.wait_state("shop-1", "running", 60)
    assert "kept" in server.sql("SHOW DATABASES").split()
    assert server.beside() == []
