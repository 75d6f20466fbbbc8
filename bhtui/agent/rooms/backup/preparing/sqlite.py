"""SQLite databases among a service's data, copied by SQLite's own online backup while the service uses them.

https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bhtui.core.errors import BlackholeError
from bhtui.core.units import counted

from ..model import Prepared, Work
from . import standins

MAGIC = b"SQLite format 3\0"
"""The first bytes of a database. https://www.sqlite.org/fileformat.html"""
NAMES = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db")
"""How files end that are looked into; others are when one of JOURNALS lies beside them."""
JOURNALS = ("-wal", "-journal", "-shm")
BUSY = 60.0
"""Seconds for which a database that is locked is waited for."""
PAGES = 2048
"""Copied in one go; in between the service may write."""


class Sqlite:
    """Copies every database that is found."""

    name = "copy SQLite databases"

    async def before(self, work: Work) -> Prepared:
        """Raises BlackholeError."""
        stop = threading.Event()
        try:
            copies, excludes = await asyncio.to_thread(_copy_all, work.paths, stop)
        finally:
            stop.set()  # cancelled: the thread ends at the next pages
        note = f"{counted(len(copies), 'SQLite database')} copied while in use" if copies else ""
        return Prepared(excludes=tuple(excludes), learned={"copies": copies}, note=note)

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:  # noqa: ARG002
        """Removes the copies; after a crash those that are found."""
        copies: list[str] = learned["copies"] if learned else await asyncio.to_thread(_left_over, work.paths)
        await asyncio.to_thread(standins.remove, copies)

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:  # noqa: ARG002
        """Puts the copies in place."""
        for folder in dict.fromkeys(staged.values()):
            await asyncio.to_thread(standins.put_in_place, Path(folder))


def databases(paths: Iterable[str]) -> Iterator[Path]:
    """The databases in these folders, and those that are themselves among the paths."""
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112
            if is_database(path):
                yield Path(path)
            continue
        for parent, _, names in os.walk(path):
            there = set(names)
            for name in names:
                looks = name.endswith(NAMES) or not there.isdisjoint(name + end for end in JOURNALS)
                if looks and is_database(full := os.path.join(parent, name)):  # noqa: PTH118
                    yield Path(full)


def is_database(path: str) -> bool:
    """Whether a file begins as a database does; one that cannot be read is none, which its backup will say."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def copy(live: Path, stop: threading.Event) -> Path:
    """Copies one database beside itself, on disk when this returns. Raises BlackholeError."""
    target = standins.beside(live)
    target.unlink(missing_ok=True)

    def look(_status: int, _left: int, _total: int) -> None:
        if stop.is_set():
            raise BlackholeError(f"cannot copy the database {live}: it was cancelled")

    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(live))}?mode=ro", uri=True, timeout=BUSY)) as source,
            closing(sqlite3.connect(target)) as made,
        ):
            source.backup(made, pages=PAGES, progress=look, sleep=0.01)
            made.execute("PRAGMA journal_mode=DELETE")  # so that it is one file, whole by itself
        standins.like(target, live)
        number = os.open(target, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise BlackholeError(
            f"cannot copy the database {live}: {error}; its backup would not be consistent, so it is not made"
        ) from error
    return target


def _copy_all(paths: Iterable[str], stop: threading.Event) -> tuple[list[str], list[str]]:
    copies: list[str] = []
    excludes: list[str] = []
    try:
        for live in databases(paths):
            copies.append(str(copy(live, stop)))
            excludes += [standins.excluded(f"{live}{end}") for end in ("", *JOURNALS)]
    except BlackholeError:
        standins.remove(copies)
        raise
    return copies, excludes


def _left_over(paths: Iterable[str]) -> list[str]:
    return [str(standins.beside(live)) for live in databases(paths)]
