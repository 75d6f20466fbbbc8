"""SQLite databases that are written to while they are copied."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bhtui.agent.rooms.backup.preparing import standins
from bhtui.agent.rooms.backup.preparing.sqlite import Sqlite, databases
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec

from .taking import stage, take, work

SERVICE = ServiceSpec("ledger", ("true",))
TOTAL = 1000


def bank(file: Path) -> None:
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE account (name TEXT, amount INT, filler TEXT)")
        made.executemany(
            "INSERT INTO account VALUES (?, ?, ?)", [(str(n), TOTAL // 100, "x" * 5000) for n in range(100)]
        )
        made.commit()


def transfer(file: Path, ended: threading.Event) -> None:
    """Moves money about; the sum is always the same."""
    with closing(sqlite3.connect(file, timeout=30)) as made:
        at = 0
        while not ended.is_set():
            at = (at + 7) % 100
            made.execute("UPDATE account SET amount = amount - 1 WHERE name = ?", (str(at),))
            made.execute("UPDATE account SET amount = amount + 1 WHERE name = ?", (str((at + 31) % 100),))
            made.commit()


async def test_a_database_in_use_is_copied_whole_and_put_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    live = data / "deep" / "bank *[x].db"
    bank(live)
    live.chmod(0o640)
    (data / "plain.txt").write_text("as it is")
    ended = threading.Event()
    writer = threading.Thread(target=transfer, args=(live, ended))
    writer.start()
    try:
        preparation, job = Sqlite(), work(SERVICE, data)
        prepared = await preparation.before(job)
        take(prepared, job.paths, tmp_path / "snapshot")
        await preparation.after(job, prepared.learned, True)
    finally:
        ended.set()
        writer.join()
    assert prepared.note == "1 SQLite database copied while in use"
    assert not list(data.rglob(f"*{standins.SUFFIX}"))
    taken = {path.name for path in (tmp_path / "snapshot").rglob("*") if path.is_file()}
    assert taken == {"plain.txt", live.name + standins.SUFFIX}
    staged = stage(data, tmp_path / "snapshot", tmp_path / "staged")
    await preparation.restored(job, {str(data): str(staged)}, 0)
    back = staged / "deep" / live.name
    assert back.stat().st_mode & 0o777 == 0o640
    with closing(sqlite3.connect(back)) as made:
        assert made.execute("SELECT sum(amount) FROM account").fetchone() == (TOTAL,)
        assert made.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    bank(tmp_path / "a.db")
    preparation, job = Sqlite(), work(SERVICE, tmp_path)
    await preparation.before(job)
    assert standins.beside(tmp_path / "a.db").exists()
    await preparation.after(job, {}, False)
    assert not standins.beside(tmp_path / "a.db").exists()


async def test_a_database_that_cannot_be_copied_fails_the_backup(tmp_path: Path) -> None:
    bank(tmp_path / "a.db")
    bank(tmp_path / "b.db")
    content = (tmp_path / "b.db").read_bytes()
    (tmp_path / "b.db").write_bytes(content[:20] + b"\xff" * 4000)
    with pytest.raises(BlackholeError, match=r"cannot copy the database .*b\.db"):
        await Sqlite().before(work(SERVICE, tmp_path))
    assert not list(tmp_path.rglob(f"*{standins.SUFFIX}"))


def test_databases_are_told_by_what_they_hold(tmp_path: Path) -> None:
    bank(tmp_path / "real.db")
    bank(tmp_path / "strange-name")
    (tmp_path / "strange-name-journal").touch()
    (tmp_path / "no.db").write_text("text")
    (tmp_path / "link.db").symlink_to("real.db")
    assert {path.name for path in databases([str(tmp_path)])} == {"real.db", "strange-name"}
    assert [path.name for path in databases([str(tmp_path / "real.db")])] == ["real.db"]
