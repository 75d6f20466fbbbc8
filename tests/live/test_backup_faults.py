"""What may go wrong while a backup is made: each has its exit code, its event and a clear word, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.rooms.backup.restic.lock import Lock
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.storage.local import Local
from tests.agent.rooms.backup.restic.stock import restic
from tests.folders import secret_file
from tests.live import require
from tests.live.home import Home, home
from tests.waiting import until

PASSWORD = "secret"
CONFIG = """
services:
  job: {command: [sleep, "1000"], data: [FOLDER/data]}
backup: {storage: {type: local, path: FOLDER/disk/repo}, password_file: FOLDER/password}
"""


class Rig:
    """One service with data, and a repository on a disk of its own."""

    def __init__(self, made: Home, folder: Path) -> None:
        self.home, self.folder, self.data, self.repo = made, folder, folder / "data", folder / "disk" / "repo"

    def cli(self, *words: str, code: int | None = 0) -> str:
        return self.home.cli("backup", *words, code=code).stderr

    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.home.cli("backup", "list", "--output", "json").stdout)
        return found

    def last_event(self, kind: str) -> str:
        lines = self.home.cli("events", "--output", "json").stdout.splitlines()
        return str([each for each in map(json.loads, lines) if each["kind"] == kind][-1]["message"])

    def details(self) -> str:
        """What the steps of all operations say."""
        lines = self.home.cli("operations", "--output", "json").stdout.splitlines()
        return " ".join(step["detail"] for each in map(json.loads, lines) for step in each["steps"])

    def whole(self, count: int) -> None:
        """Stock restic finds nothing wrong, and all that was made."""
        assert "no errors were found" in restic(self.repo, "check", "--read-data", password=PASSWORD)
        assert len(self.snapshots()) == count


@pytest.fixture
def rig() -> Iterator[Rig]:
    folder = Path(tempfile.mkdtemp(prefix="bh-faults-", dir="/tmp"))
    try:
        for name in ("data", "disk"):
            (folder / name).mkdir()
        (folder / "data" / "file").write_text("content")
        secret_file(folder / "password", PASSWORD)
        with home(CONFIG.replace("FOLDER", str(folder))) as made:
            made.cli("start")
            yield Rig(made, folder)
    finally:
        subprocess.run(["umount", "-q", str(folder / "disk")], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_wrong_password_other_version_and_lost_paths(rig: Rig) -> None:
    rig.cli("create")
    (rig.folder / "password").write_text("another")
    said = rig.cli("create", code=5)
    assert "none of the keys" in said or "password" in said
    assert "password" in rig.last_event("backup.failed")
    for words in (("restore", "--latest"), ("prune",), ("verify",), ("repo", "stats")):
        assert "password" in rig.cli(*words, code=5), words
    (rig.folder / "password").write_text(PASSWORD)

    os.rename(rig.data, rig.folder / "elsewhere")
    assert f"{rig.data}" in rig.cli("create", code=1)
    assert "no such file or directory; check `data`" in rig.last_event("backup.failed")
    os.rename(rig.folder / "elsewhere", rig.data)
    rig.cli("create")
    rig.whole(2)
    own = rig.home.paths.config  # every backup has it, for when the host is lost
    rig.cli("restore", "--latest", "--target", str(rig.folder / "out"), "--path", str(own))
    assert Path(f"{rig.folder}/out{own}").read_text() == own.read_text()

    old = rig.folder / "old"
    restic(old, "init", "--repository-version", "1", password=PASSWORD)
    assert "its format is version 1" in rig.cli("create", "--destination", str(old), code=5)


def test_a_repository_in_use_is_waited_for_and_said_so(rig: Rig) -> None:
    rig.cli("create")
    environ, held = rig.home.environ, Repository.open(Local(rig.repo), PASSWORD)
    words = [sys.executable, "-m", "bhtui.cli.main", "backup", "create"]
    with subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as waiting:
        with Lock(held, exclusive=True, settle=0):
            until(lambda: "waits, because somebody else" in rig.details(), 60, "it says that it waits")
            assert waiting.poll() is None
        assert waiting.wait(60) == 0
    rig.whole(2)


def test_a_restore_in_place_keeps_what_no_backup_holds_and_stays_off_disks_within(rig: Rig) -> None:
    text = rig.home.paths.config.read_text().replace("backup: {", "backup: {excludes: [cache, '*.log'], ")
    rig.home.write_config(text)
    rig.home.cli("restart", "--reload-config")
    rig.cli("create")
    (rig.data / "file").write_text("now")
    (rig.data / "cache").mkdir()
    (rig.data / "cache" / "big").write_text("live")
    (rig.data / "job.log").write_text("live")
    plan = rig.home.cli("backup", "restore", "--latest", "--dry-run").stdout
    assert "is carried over" in plan
    assert "0 removed" in plan
    rig.cli("restore", "--latest")
    assert (rig.data / "file").read_text() == "content"
    assert (rig.data / "cache" / "big").read_text() == "live"
    assert (rig.data / "job.log").read_text() == "live"
    rig.whole(1)

    require.root()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(rig.data / "cache")], check=True)
    try:
        said = rig.cli("restore", "--latest", code=5)
        assert f"{rig.data}/cache within it is a disk of its own" in said
    finally:
        subprocess.run(["umount", str(rig.data / "cache")], check=True)
    rig.home.write_config(text.replace("'*.log'", "'[x'"))
    assert "its `[` is not closed" in rig.home.cli("config", "validate", code=2).stderr


def test_what_is_damaged_is_restored_only_when_it_is_named(rig: Rig) -> None:
    (rig.data / "sub").mkdir()
    (rig.data / "sub" / "file").write_text("content")
    rig.cli("create")
    (rig.data / "file").write_text("now")
    for pack in rig.repo.glob("data/*/*"):
        pack.chmod(0o600)
        content = bytearray(pack.read_bytes())
        for at in range(20, len(content) - 4 - int.from_bytes(content[-4:], "little"), 30):
            content[at] ^= 1  # in every piece of it
        pack.write_bytes(content)
    for words in (("--latest",), ("--latest", "--dry-run")):
        assert "it is damaged (cannot read the blob" in rig.cli("restore", *words, code=1)
    said = rig.cli("verify", "--read-data", code=1)
    assert "is damaged" in said
    assert not re.search("[0-9a-f]{64}", said)
    (one,) = rig.snapshots()
    id_ = one["id"][:8]
    for words in (("--latest",), ("--latest", "--dry-run"), ("--service", "job", "--latest")):
        said = rig.cli("restore", *words, code=5)
        assert f"cannot restore job: its backup has a problem, {id_}: " in said
        assert f"`blackhole backup restore {id_} --target DIR`" in said
    rig.cli("create")
    assert "is damaged, and what this one shares with it may be" in rig.details()
    rig.cli("repair")
    rig.cli("verify", "--read-data")
    assert {each["problem"] for each in rig.snapshots()} == {"files of it were lost when the repository was repaired"}
    assert "incomplete" in rig.home.cli("backup", "list").stdout
    assert "all 2 of its backups have a problem" in rig.cli("restore", "--latest", code=5)
    assert (rig.data / "file").read_text() == "now"
    assert "job has no backup without a problem: all of it is read" in rig.cli("create")
    rig.cli("verify", "--read-data")
    rig.cli("restore", "--latest")
    rig.whole(3)


def test_a_full_disk_fails_the_backup_and_loses_nothing(rig: Rig) -> None:
    require.root()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(rig.folder / "disk")], check=True)
    rig.cli("create")
    (rig.data / "large").write_bytes(os.urandom(12 << 20))
    assert "no space left on device; make room there" in rig.cli("create", code=1)
    assert "no space left on device" in rig.last_event("backup.failed")
    (rig.data / "large").unlink()
    rig.cli("create")
    rig.whole(2)
    subprocess.run(["mount", "-o", "remount,ro", str(rig.folder / "disk")], check=True)
    assert "read-only" in rig.cli("create", code=5)
    assert "read-only" in rig.last_event("backup.failed")
    assert len(rig.snapshots()) == 2
    subprocess.run(["mount", "-o", "remount,rw", str(rig.folder / "disk")], check=True)
    rig.cli("create")
    rig.whole(3)


def test_a_restore_onto_a_mount_goes_within_it_and_without_room_touches_nothing(rig: Rig) -> None:
    require.root()
    (rig.data / "large").write_bytes(os.urandom(12 << 20))
    rig.cli("create")
    for each in rig.data.iterdir():
        each.unlink()
    home = rig.folder / "data"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(home)], check=True)
    try:
        (rig.data / "file").write_text("now")
        said = rig.cli("restore", "--latest", code=1)
        assert "the disk of the target is full" in said
        assert (rig.data / "file").read_text() == "now"
        assert [each.name for each in rig.data.iterdir()] == ["file"]
        rig.home.wait_state("job-1", "running")
        subprocess.run(["mount", "-o", "remount,size=64m", str(home)], check=True)
        rig.cli("restore", "--latest", "--keep-old")  # what is mounted there cannot be renamed: its entries are
        assert (rig.data / "file").read_text() == "content"
        assert (rig.data / "large").stat().st_size == 12 << 20
        (kept,) = rig.data.glob("data.before-restore-*")
        assert (kept / "file").read_text() == "now"
        assert not list(rig.data.glob(".*"))
    finally:
        subprocess.run(["umount", str(home)], check=True)
    assert list(rig.data.iterdir()) == []


def test_what_an_agent_without_rights_may_not(rig: Rig) -> None:
    require.root()
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # of root only the name
    rig.home.cli("agent", "stop")
    words = [*without, sys.executable, "-m", "bhtui.cli.main", "start"]
    subprocess.run(words, env=rig.home.environ, capture_output=True, check=True, timeout=60)
    locked = rig.data / "locked"
    locked.write_text("mine")
    locked.chmod(0o600)
    os.chown(locked, 12345, 12345)
    said = rig.cli("create", code=1)
    assert "was made, and is incomplete: 1 file could not be read: " in said
    assert f"{locked}: permission denied; let the agent's user read it, or leave it out with `excludes`" in said
    assert f"{locked}: permission denied" in rig.last_event("backup.failed")
    assert "is incomplete" in rig.home.cli("status", code=None).stdout
    locked.unlink()
    rig.cli("create")
    rig.whole(2)

    rig.data.chmod(0o700)
    os.chown(rig.data, 12345, 12345)
    assert f"could not be read: {rig.data}: permission denied" in rig.cli("create", code=1)
    os.chown(rig.data, 0, 0)
    for each in (rig.repo, *rig.repo.iterdir()):
        os.chown(each, 12345, 12345)
        each.chmod(0o700)
    said = rig.cli("create", code=5)
    assert f"cannot read config in {rig.repo}: permission denied; run as a user who may, or change its rights" in said
    assert "permission denied" in rig.last_event("backup.failed")
    for each in (rig.repo, *rig.repo.iterdir()):
        os.chown(each, 0, 0)
    rig.cli("create")
    rig.whole(4)
