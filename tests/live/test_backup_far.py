"""Repositories on S3 and SFTP through the whole product: what stock restic reads, and what is told of faults."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.agent.rooms.backup.restic.storage.places import BUCKET, CREDENTIALS, s3_server
from tests.agent.rooms.backup.restic.storage.proxy import Proxy
from tests.folders import open_folder, secret_file
from tests.live import require
from tests.live.home import Home, home
from tests.live.hosts import TestHosts, have_sshd, need

PASSWORD = "secret"
CONFIG = """
services:
  job: {command: [sleep, "1000"], data: [FOLDER/data]}
backup:
  storage: STORAGE
  password_file: FOLDER/password
"""
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Rig:
    def __init__(self, made: Home, folder: Path) -> None:
        self.home, self.folder, self.data = made, folder, folder / "data"

    def cli(self, *words: str, code: int = 0) -> str:
        return self.home.cli("backup", *words, code=code, timeout=200).stderr

    def snapshots(self) -> list[str]:
        return [each["id"] for each in json.loads(self.home.cli("backup", "list", "--output", "json").stdout)]

    def last(self, kind: str) -> str:
        """What the last event of a kind says."""
        lines = self.home.cli("events", "--output", "json").stdout.splitlines()
        return str([each for each in map(json.loads, lines) if each["kind"] == kind][-1]["message"])

    def failed(self) -> str:
        """What the last event of a backup that failed says."""
        return self.last("backup.failed")

    def work(self) -> None:
        """Everything that is done with backups, once."""
        first = self.data / "first"
        first.write_text("one")
        self.cli("create", "--full")
        first.write_text("two")
        self.cli("create")
        newest, oldest = self.snapshots()
        self.cli("verify", "--read-data")
        self.cli("restore", oldest[:8])
        assert first.read_text() == "one"
        self.cli("restore", "--latest", "--target", str(self.folder / "out"))
        assert (self.folder / f"out{first}").read_text() == "two"
        self.cli("forget", oldest[:8])
        self.cli("prune")
        self.cli("repo", "check", "--read-data")
        assert self.snapshots() == [newest]


@contextmanager
def rig(storage: str, folder: Path, environ: dict[str, str]) -> Iterator[Rig]:
    (folder / "data").mkdir(exist_ok=True)
    secret_file(folder / "password", PASSWORD)
    config = CONFIG.replace("STORAGE", storage).replace("FOLDER", str(folder))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        with home(config) as made:
            made.cli("start")
            yield Rig(made, folder)


def restic(repository: str, *words: str, environ: dict[str, str]) -> str:
    program = require.program("restic")
    done = subprocess.run(
        [program, "--no-cache", "-r", repository, *words], env={**os.environ, "RESTIC_PASSWORD": PASSWORD, **environ},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def test_s3_through_the_whole_product_and_its_faults(folder: Path) -> None:
    (folder / "credentials").write_text(CREDENTIALS)
    with s3_server() as endpoint:
        there = urlsplit(endpoint)
        proxy = Proxy(there.hostname or "", there.port or 0)
        storage = f"{{type: s3, bucket: {BUCKET}, prefix: some/where, endpoint: 'http://127.0.0.1:{proxy.port}', "
        storage += f"credentials_file: {folder}/credentials}}"
        with rig(storage, folder, {}) as made:
            made.work()
            kept = made.snapshots()
            keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
            where = f"s3:{endpoint}/{BUCKET}/some/where"
            assert "no errors were found" in restic(where, "check", "--read-data", environ=keys)

            proxy.answer = FORBIDDEN
            assert "the service refuses these credentials" in made.cli("create", code=5)
            assert "credentials_file" in made.failed()
            assert made.snapshots() == kept, "what is known is still listed"
            proxy.answer = b""

            (made.data / "large").write_bytes(os.urandom(20 << 20))
            proxy.left = 6 << 20
            assert "check the endpoint" in made.cli("create", code=4)
            assert "check the endpoint" in made.failed()
            proxy.left = -1
            assert len(restic(where, "list", "locks", environ=keys).split()) == 1, (
                "what was cut off could not remove it"
            )
            assert "removed the lock of" in made.cli("create")
            assert "removed the lock of" in made.last("backup.unlocked")
            assert restic(where, "list", "locks", environ=keys) == ""
            assert len(made.snapshots()) == 2
            assert "no errors were found" in restic(where, "check", "--read-data", environ=keys)

            proxy.pace = 4 << 20  # so much a second: it takes its time, and goes well
            (made.data / "large").write_bytes(os.urandom(12 << 20))
            made.cli("create")
            proxy.pace = 0
            assert len(made.snapshots()) == 3

            text = made.home.paths.config.read_text()
            made.home.write_config(text.replace(f"bucket: {BUCKET}", "bucket: nowhere"))
            made.home.cli("restart", "--reload-config")
            assert "there is no bucket nowhere" in made.cli("create", code=3)
            made.home.write_config(text.replace("/credentials", "/none"))
            made.home.cli("restart", "--reload-config")
            assert "cannot read the credentials" in made.cli("create", code=5)
        proxy.close()


def test_sftp_through_the_whole_product_and_its_faults(folder: Path) -> None:
    need(have_sshd(), "an OpenSSH server")
    with TestHosts() as hosts:
        far = hosts.loopback("far")
        ssh = folder / "bin" / "ssh"  # as the agent's user has configured it
        ssh.parent.mkdir()
        known = f"-o UserKnownHostsFile={folder}/known"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F /dev/null {known} "$@"\n')
        ssh.chmod(0o755)
        shutil.copy(far.known_hosts, folder / "known")
        proxy = Proxy(far.address, far.port)
        text = (folder / "known").read_text()
        (folder / "known").write_text(text + text.replace(f":{far.port} ", f":{proxy.port} "))
        shutil.copy(folder / "known", folder / "kept")
        storage = f"{{type: sftp, host: {far.address}, port: {proxy.port}, path: {folder}/far, "
        storage += f"identity_file: {far.key}}}"
        with rig(storage, folder, {"PATH": f"{ssh.parent}:{os.environ['PATH']}"}) as made:
            made.work()
            kept = made.snapshots()
            assert "no errors were found" in restic(f"{folder}/far", "check", "--read-data", environ={})

            (folder / "known").write_text("")
            assert "Host key verification failed" in made.cli("create", code=5)
            assert "check its key" in made.failed()
            shutil.copy(folder / "kept", folder / "known")
            far.key.rename(folder / "key")
            assert "Permission denied" in made.cli("create", code=5)
            assert "identity_file" in made.failed()
            (folder / "key").rename(far.key)

            made.cli("create")
            assert kept[0] in made.snapshots()

            (made.data / "large").write_bytes(os.urandom(20 << 20))
            proxy.left = 6 << 20
            said = made.cli("create", code=4)
            assert "because it cannot" in said
            assert f"at sftp:{far.address}:{folder}/far" in said
            assert f"at sftp:{far.address}:{folder}/far" in made.failed()
            assert "no errors were found" in restic(f"{folder}/far", "check", "--no-lock", "--read-data", environ={})
            proxy.left = -1
            assert "removed the lock of" in made.cli("create")
            assert list((folder / "far" / "locks").iterdir()) == []
            assert len(made.snapshots()) == 3
            assert "no errors were found" in restic(f"{folder}/far", "check", "--read-data", environ={})
