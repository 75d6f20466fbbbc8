import os
import shlex
import shutil
import subprocess

import pytest

from bhtui.agent.rooms.backup import repository, sources
from bhtui.agent.rooms.backup.room import Backup
from bhtui.core.errors import NotFound
from bhtui.core.spec import ServiceSpec, Spec


def spec(data, backup=None):
    services = {name: ServiceSpec(name, ("true",), data=tuple(map(str, paths))) for name, paths in data.items()}
    return Spec(services=services, sections={"backup": backup} if backup else {})


async def listing(data, backup=None, services=(), **kwargs):
    room = Backup(lambda: spec(data, backup), **kwargs)
    try:
        return await room.list(services)
    finally:
        room.close()


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "a").write_bytes(b"x" * 1000)
    (folder / "deep/er/b").write_bytes(b"x" * 500)
    os.link(folder / "a", folder / "deep/same-as-a")
    os.symlink("/etc", folder / "link")
    return folder


async def test_sources_are_counted(data):
    found = await listing({"db": [data, data / "a"], "api": []})
    assert [(one.service, one.path, one.bytes, one.files, one.problem) for one in found.sources] == [
        ("db", str(data), 1504, 4, ""),
        ("db", str(data / "a"), 1000, 1, ""),
    ]
    assert (found.snapshots, found.repository) == ((), "")


async def test_a_source_that_is_not_there_is_named(tmp_path):
    found = await listing({"db": [tmp_path / "none"]})
    assert found.sources[0].problem == f"cannot read {tmp_path}/none: no such file or directory"


async def test_a_folder_that_cannot_be_read_is_named(data, monkeypatch):
    scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("er"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(sources.os, "scandir", refuse)
    found = (await listing({"db": [data]})).sources[0]
    assert (found.files, found.problem) == (3, f"cannot read {data}/deep/er: permission denied")


async def test_counting_ends_in_time(tmp_path):
    for number in range(sources.LOOK_AT_CLOCK + 10):
        (tmp_path / f"{number}").touch()
    found = (await listing({"db": [tmp_path]}, count_seconds=0)).sources[0]
    assert found.problem == "not counted to the end: it took too long"


async def test_services_are_chosen_by_name(tmp_path):
    declared = {"db": [tmp_path], "api": [tmp_path]}
    assert [one.service for one in (await listing(declared)).sources] == ["api", "db"]
    assert [one.service for one in (await listing(declared, services=["db"])).sources] == ["db"]
    with pytest.raises(NotFound, match=r"cannot list the backups of web: .*there are api, db"):
        await listing(declared, services=["web"])


async def test_the_hint_says_what_is_missing(data):
    assert "add `data: [/path]`" in (await listing({"api": []}, {"storage": {"type": "local", "path": "/b"}})).hint
    assert (await listing({"db": [data]})).hint.startswith("no repository is configured; add to blackhole.yaml")


async def test_a_repository_that_cannot_be_read_is_named(data, tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(repository, "snapshots", refuse)
    found = await listing({"db": [data]}, {"storage": {"type": "local", "path": str(tmp_path)}})
    assert found.hint == f"cannot read the repository {tmp_path}: permission denied"


@pytest.mark.parametrize(
    ("storage", "where"),
    [
        ({"type": "local", "path": "/b"}, "/b"),
        ({"type": "sftp", "host": "h", "path": "/b"}, "sftp:h:/b"),
        ({"type": "s3", "bucket": "b", "region": "r", "prefix": "production/"}, "s3:s3.amazonaws.com/b/production"),
        ({"type": "s3", "bucket": "b", "endpoint": "http://127.0.0.1:1/"}, "s3:http://127.0.0.1:1/b"),
        ({}, ""),
    ],
)
def test_the_location_is_written_as_restic_reads_it(storage, where):
    assert repository.location({"storage": storage}) == where


@pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")
async def test_the_hint_makes_a_backup_and_it_is_listed(data, tmp_path):
    password = tmp_path / "a password"
    password.write_text("secret")
    backup = {"storage": {"type": "local", "path": str(tmp_path / "the repository")}, "password_file": str(password)}
    hints = []
    for count in (0, 1, 2):
        found = await listing({"db": [data], "api": [data]}, backup)
        assert len(found.snapshots) == count
        hints.append(found.hint)
        environment = {**os.environ, "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
        subprocess.run(["sh", "-c", found.hint], check=True, env=environment, capture_output=True, timeout=60)
    assert [hint.count("restic") for hint in hints] == [2, 1, 1]
    assert shlex.split(hints[1]) == [
        *("restic", "-r", str(tmp_path / "the repository"), "--password-file", str(password)),
        *("backup", str(data)),
    ]
    found = (await listing({"db": [data]}, backup)).snapshots
    shown = subprocess.run(
        [*shlex.split(hints[1])[:5], "snapshots", "--json"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert all(one.id in shown for one in found)
    assert [one.time_ns for one in found] == sorted((one.time_ns for one in found), reverse=True)
    room = Backup(lambda: spec({}, backup))
    assert await room.last_ns() == found[0].time_ns
    room.close()


async def test_nothing_configured_has_no_last_backup():
    room = Backup(Spec)
    assert await room.last_ns() == 0
    room.close()
