"""Looks at the live data of a service from outside: reads every file, asks every SQLite database whether it is whole.

What is read once is known to be readable: a disk that fails says so. What a file means, only its own program knows;
SQLite is the exception that many services share. All of it blocks, and changes nothing but in `salvage`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from bhtui.core.errors import BlackholeError

SQLITE = b"SQLite format 3\0"
CHUNK = 1 << 20
PROBLEMS = 20
"""Of one database; more say nothing new."""


@dataclass
class Found:
    """What a look at data came to."""

    files: int = 0
    bytes: int = 0
    databases: int = 0
    problems: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    """Databases that are not whole."""


def check(paths: tuple[str, ...], is_stopped: Callable[[], bool], say: Callable[[str], None]) -> Found:
    """Reads everything. `is_stopped` is asked between pieces; then what was found so far is all."""
    found = Found()
    for file in _files(paths, found):
        if is_stopped():
            break
        say(f"{found.files} files read, now {file}")
        try:
            is_database = _read(file, found, is_stopped)
        except OSError as error:
            found.problems += (f"cannot read {file}: {(error.strerror or str(error)).lower()}",)
            continue
        if is_database:
            found.databases += 1
            if wrong := whole(file):
                found.problems += tuple(f"{file}: {each}" for each in wrong)
                found.damaged += (str(file),)
    return found


def _files(paths: tuple[str, ...], found: Found) -> Iterator[Path]:
    for path in paths:
        if not os.path.lexists(path):
            found.problems += (f"{path} is not there",)
        elif not Path(path).is_dir():
            yield Path(path)
        for folder, _, names in os.walk(path, onerror=lambda error: _unwalked(error, found)):
            yield from (Path(folder) / name for name in sorted(names))


def _unwalked(error: OSError, found: Found) -> None:
    found.problems += (f"cannot read {error.filename}: {(error.strerror or str(error)).lower()}",)


def _read(file: Path, found: Found, is_stopped: Callable[[], bool]) -> bool:
    """Whether it is an SQLite database. Raises OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC) if _is_file(file) else -1
    if fd < 0:
        return False
    with os.fdopen(fd, "rb", buffering=0) as stream:
        first = piece = stream.read(CHUNK)
        while piece and not is_stopped():
            found.bytes += len(piece)
            piece = stream.read(CHUNK)
    found.files += 1
    return first.startswith(SQLITE)


def _is_file(file: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(file.lstat().st_mode)
    return False


def whole(database: Path) -> tuple[str, ...]:
    """What SQLite finds wrong with a database; empty: nothing. It is opened to be read."""
    try:
        with closing(_opened(database)) as db:
            rows = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({PROBLEMS})")]
    except sqlite3.Error as error:
        return (str(error),)
    # Each says on which of its pages, a line for each.
    lines = [line for row in rows for line in row.splitlines() if not line.startswith("*** in database")]
    return () if rows == ["ok"] else tuple(lines[:PROBLEMS])


def _opened(database: Path) -> sqlite3.Connection:
    quoted = str(database).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{quoted}?mode=ro", uri=True, timeout=10.0)


def salvage(database: Path, keep_as: str) -> str:
    """Writes what can be read of a damaged database into a new one in its place; how much. The old is kept.

    Raises BlackholeError.
    """
    beside = database.with_name(f".{database.name}.blackhole-salvage")
    beside.unlink(missing_ok=True)
    try:
        with closing(_opened(database)) as old, closing(sqlite3.connect(beside)) as new:
            saved, lost = _copied(old, new)
        if wrong := whole(beside):
            raise BlackholeError(f"cannot repair {database}: what was saved of it is not whole either: {wrong[0]}")
        found = database.stat()
        beside.chmod(stat.S_IMODE(found.st_mode))
        with suppress(PermissionError):
            os.chown(beside, found.st_uid, found.st_gid)
        database.rename(keep_as)
        for end in ("-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                database.with_name(database.name + end).rename(keep_as + end)
        beside.rename(database)
    except sqlite3.Error as error:
        raise BlackholeError(
            f"cannot repair {database}: {error}; restore it with `blackhole backup restore --latest`"
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    missing = f", {', '.join(lost)} could not be read to the end" if lost else ""
    return f"{database}: {saved} rows saved{missing}; the damaged one is kept as {keep_as}"


def _copied(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, list[str]]:
    """Rows that were copied, and the tables of which some may be missing. Raises sqlite3.Error without a schema."""
    old.text_factory = lambda raw: raw.decode("utf-8", "replace")  # what is damaged need not be text
    schema = old.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    saved, lost = 0, []
    for kind, name, sql in schema:
        if kind == "table" and not name.startswith("sqlite_"):
            new.execute(sql)
            count, is_all = _copy_table(old, new, name)
            saved += count
            lost += [] if is_all else [name]
    for kind, name, sql in schema:
        if kind != "table" and not name.startswith("sqlite_"):
            with suppress(sqlite3.Error):
                new.execute(sql)
    new.execute(f"PRAGMA user_version = {old.execute('PRAGMA user_version').fetchone()[0]}")
    new.commit()
    return saved, lost


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, name: str) -> tuple[int, bool]:
    """As an index may still have it, then from the front until the damage and from the back until the damage."""
    quoted = '"' + name.replace('"', '""') + '"'
    before = new.total_changes
    for order in ("", " NOT INDEXED", " NOT INDEXED ORDER BY rowid DESC"):
        try:
            for row in old.execute(f"SELECT * FROM {quoted}{order}"):  # noqa: S608 - its own name, quoted
                marks = ", ".join("?" * len(row))
                new.execute(f"INSERT OR IGNORE INTO {quoted} VALUES ({marks})", row)  # noqa: S608
            return new.total_changes - before, not order
        except sqlite3.Error:
            continue
    return new.total_changes - before, False
