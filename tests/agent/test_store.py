"""The database: opening, damage, versions, full disks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.agent import store as module
from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store, StoreDamaged, StoreError, StoreUnavailable, clean, headline
from bhtui.core.errors import Refused
from bhtui.core.override import Override


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "agent.db"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Takes every free byte of the file system."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as out:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                continue
    return file


def test_private_and_kept(path: Path) -> None:
    store = Store(path)
    store.save_instance("api-1", {"goal": "up", "restarts": 3})
    store.save_instance("api-2", {"goal": "up"})
    store.save_instance("api-1", {"goal": "down"})
    store.delete_instance("api-2")
    store.set_setting("config", {"services": ["api"]})
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    store.close()
    again = Store(path)
    assert again.load_instances() == {"api-1": {"goal": "down"}}
    assert again.setting("config") == {"services": ["api"]}
    assert again.setting("other") is None
    again.close()


def test_rolls_back_on_any_exception(path: Path) -> None:
    store = Store(path)
    rang: list[object] = []
    store.listeners.append(rang.append)
    with pytest.raises(ZeroDivisionError), store.transaction() as db:
        db.execute("INSERT INTO events (time_ns, kind) VALUES (1, 'x')")
        raise ZeroDivisionError
    assert store.rows("SELECT count(*) FROM events") == [(0,)]
    assert not rang
    store.close()


def test_bugs_are_not_dressed_up(path: Path) -> None:
    store = Store(path)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        store.rows("SELECT * FROM nowhere")
    store.close()


def test_newer_version_is_refused_and_left_alone(path: Path) -> None:
    store = Store(path)
    with store.transaction() as db:
        db.execute("PRAGMA user_version = 99")
    store.close()
    content = path.read_bytes()
    with pytest.raises(Refused, match="newer version"):
        Store(path)
    assert path.read_bytes() == content


def test_migrations_run_in_order(path: Path, tmp_path: Path, monkeypatch) -> None:
    store = Store(path)
    store.save_instance("api-1", {})
    store.close()
    script = tmp_path / "second.sql"
    script.write_text("ALTER TABLE instances ADD COLUMN extra TEXT")
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, str(script)))
    for _ in range(2):
        store = Store(path)
        assert store.rows("SELECT instance, extra FROM instances") == [("api-1", None)]
        assert store.rows("PRAGMA user_version") == [(len(module.MIGRATIONS),)]
        store.close()


def test_a_migration_that_fails_changes_nothing(path: Path, tmp_path: Path, monkeypatch) -> None:
    Store(path).close()
    known = module.MIGRATIONS
    script = tmp_path / "second.sql"
    script.write_text("ALTER TABLE instances ADD COLUMN extra TEXT; SELECT broken FROM nowhere")
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, str(script)))
    with pytest.raises(sqlite3.OperationalError):
        Store(path)
    monkeypatch.setattr(module, "MIGRATIONS", known)
    store = Store(path)
    assert "extra" not in {row[1] for row in store.rows("PRAGMA table_info(instances)")}
    store.close()


@pytest.mark.parametrize("damage", ["garbage", "holes"])
def test_a_damaged_file_is_put_aside(path: Path, damage: str) -> None:
    store = Store(path)
    events = EventLog(store)
    for number in range(2000):
        events.append("instance.state", f"api-{number}")
    store.close()
    content = bytearray(path.read_bytes())
    if damage == "garbage":
        content[:] = b"not a database " * 100
    else:
        for page in range(8, len(content) // 4096, 2):
            content[page * 4096 : page * 4096 + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store = Store(path)
    [event] = EventLog(store).read()
    assert event.kind == "store.damaged"
    [aside] = [file for file in path.parent.iterdir() if ".damaged-" in file.name]
    assert str(aside) in event.message
    assert aside.read_bytes() == content
    store.close()


def test_damage_found_later_is_a_clear_error_and_ends_nothing(path: Path) -> None:
    store = Store(path)
    events = EventLog(store)
    for number in range(2000):
        events.append("instance.state", f"api-{number}")
    store.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    store.rows("PRAGMA cache_size=1")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    with path.open("r+b") as file:
        file.write(content)
    with pytest.raises(StoreDamaged, match=r"cannot read .* damaged"):
        store.rows("SELECT * FROM events")
    assert events.append("instance.state", "api-1").seq == 0
    assert events.append("instance.state", "api-2").seq == 0, "the log is still usable"
    store.close()


def test_unwritable_place(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match=r"cannot open .*agent\.db"):
        Store(file / "agent.db")


def test_a_lock_of_another_process_is_for_now(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    store = Store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.save_instance("api-1", {"goal": "up"})
    assert store.load_instances() == {"api-1": {"goal": "up"}}
    assert not store.save_unsaved()
    with pytest.raises(StoreUnavailable, match="locked"):
        store.set_setting("a", 1)
    other.execute("ROLLBACK")
    other.close()
    assert store.save_unsaved()
    assert store.rows("SELECT instance FROM instances") == [("api-1",)]
    store.close()


def test_closed_is_a_clear_error(path: Path) -> None:
    store = Store(path)
    store.close()
    with pytest.raises(StoreUnavailable, match="the agent is ending"):
        store.rows("SELECT 1")
    with pytest.raises(StoreUnavailable), store.transaction():
        raise AssertionError("never reached")


def test_full_disk_leaves_room_for_operations_then_errors_then_recovers(small_disk: Path) -> None:
    store = Store(small_disk / "agent.db")
    events = EventLog(store)
    events.append("agent.started")
    filler = fill(small_disk)
    written = 0
    while events.append("instance.state", "api-1", "x" * 500).seq:
        written += 1
        assert written < 100_000
    assert written > 500, "the reserve is there"
    with pytest.raises(StoreUnavailable, match="disk is full; free some space"):
        for number in range(100_000):
            store.set_setting(f"key {number}", "x" * 4000)
    for number in range(2000):
        events.append("instance.state", f"late-{number}")
    store.save_instance("api-1", {"goal": "up"})
    stats = events.stats()
    assert stats.pending == 1000 and stats.lost > 1000
    filler.unlink()
    assert events.write_pending() and store.save_unsaved()
    [lost] = events.read(kinds=["events.lost"])
    assert lost.data == {"count": stats.lost}
    assert store.rows("PRAGMA integrity_check") == [("ok",)]
    assert events.append("agent.stopped").seq == events.last_seq
    store.close()
    Store(small_disk / "agent.db").close()
    assert [file.name for file in small_disk.iterdir()] == ["agent.db"], "nothing was put aside"


def test_clean_and_headline(path: Path) -> None:
    assert clean("a\0b\udcff") == "a\ufffdb?"
    names = '["a-1","a-2","a-3","a-4","a-5","a-6","a-7"]'
    assert headline("start", names, "failed", "cannot\nmore") == "start a-1 a-2 a-3 a-4 a-5 and 2 more: failed: cannot"
    assert headline("start", "[]", "running", "") == "start: running"
    assert os.path.exists(path.parent) is False


def test_overrides_are_kept_and_taken_away(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    ada = Override(0.5, "ada", 7)
    store.save_overrides("api", {"limits.cpu": ada, "limits.ionice": Override("idle", "bob", 8)})
    store.save_overrides("api", {"limits.ionice": None, "limits.pids": None})
    store.close()
    again = Store(tmp_path / "agent.db")
    assert again.load_overrides() == {"api": {"limits.cpu": ada}}
    again.close()
