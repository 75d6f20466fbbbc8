"""Seven days in steps of ten seconds, with mean, least and greatest: a small database beside the agent's own.

One row holds one series for one hour: three columns of 360 single-precision numbers (gaps are NaN), each rounded to 12
binary digits (0.02 %), their bytes sorted by significance, and all of it compressed by zlib. It is a file of its own so
that whatever happens to it never touches operations and events: a damaged one is put aside and a new one begun.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from .points import NAN, Key, Points, step_end

log = logging.getLogger(__name__)
T = TypeVar("T")

SECOND = 1_000_000_000
HOUR_NS = 3600 * SECOND
STEP_NS = 10 * SECOND
STEPS = HOUR_NS // STEP_NS
VERSION = 1
_ROUND, _MASK = 0x800, 0xFFFFF000
_POINTS = "SELECT data FROM points JOIN series ON series.id = points.series WHERE name = ? AND metric = ? AND hour = ?"
_TABLES = """
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL, metric TEXT NOT NULL, UNIQUE (name, metric));
CREATE TABLE points (
  series INTEGER NOT NULL, hour INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (series, hour)
) WITHOUT ROWID;
CREATE INDEX points_by_hour ON points(hour);
-- Hours that were looked at, also those of which there was nothing.
CREATE TABLE hours (hour INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
"""


class Archive:
    """Hours of points. Used by one thread at a time. What cannot be written or read is told in the log, never raised.

    `keep_ns` is how far back it goes, `space` the bytes of points after which the oldest hours go sooner.
    """

    def __init__(self, path: Path, keep_ns: int, space: int) -> None:
        self.path, self.keep_ns, self.space = path, keep_ns, space
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Closes the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def missing(self, hours: Collection[int]) -> list[int]:
        """Those of the hours (their beginnings, Unix nanoseconds) that are not in it, oldest first."""
        there = self._use(lambda db: {hour for (hour,) in db.execute("SELECT hour FROM hours")}, set(hours))
        return sorted(set(hours) - there)

    def reopen(self, now_ns: int) -> None:
        """The clock was set back: hours that end after that are not over, and are put in again when they are."""
        self._use(lambda db: db.execute("DELETE FROM hours WHERE hour + ? > ?", (HOUR_NS, now_ns)), None)

    def save(self, hour: int, series: Mapping[Key, Points]) -> None:
        """Keeps an hour, as one transaction, and lets go of what is too old or too much."""
        packed = {key: pack(points, hour) for key, points in series.items()}
        self._use(lambda db: self._save(db, hour, packed), None)

    def _save(self, db: sqlite3.Connection, hour: int, packed: Mapping[Key, bytes]) -> None:
        with _transaction(db):
            for (name, metric), data in packed.items():
                db.execute("INSERT OR IGNORE INTO series (name, metric) VALUES (?, ?)", (name, metric))
                if before := db.execute(_POINTS, (name, metric, hour)).fetchone():  # the clock was set back
                    with contextlib.suppress(zlib.error):  # it is damaged, and is replaced
                        data = overlaid(before[0], data)
                db.execute(
                    "INSERT OR REPLACE INTO points SELECT id, ?, ? FROM series WHERE name = ? AND metric = ?",
                    (hour, data, name, metric),
                )
            db.execute("INSERT OR REPLACE INTO hours VALUES (?, ?)", (hour, sum(map(len, packed.values()))))
            self._forget(db, hour + HOUR_NS - self.keep_ns)

    def _forget(self, db: sqlite3.Connection, before: int) -> None:
        total, oldest = 0, before
        for hour, size in db.execute("SELECT hour, bytes FROM hours WHERE hour >= ? ORDER BY hour DESC", (before,)):
            total += size
            if total > self.space:
                oldest = max(oldest, hour + 1)
                break
        db.execute("DELETE FROM points WHERE hour < ?", (oldest,))
        db.execute("DELETE FROM hours WHERE hour < ?", (oldest,))
        db.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM points)")

    def keys(self, since_ns: int) -> list[Key]:
        """The series of which there is something after a time."""
        sql = "SELECT name, metric FROM series WHERE id IN (SELECT series FROM points WHERE hour + ? > ?)"
        return self._use(lambda db: sorted(db.execute(sql, (HOUR_NS, since_ns)).fetchall()), [])

    def read(self, key: Key, since_ns: int, until_ns: int) -> Points:
        """The points after since and up to until, ten seconds apart."""
        sql = """SELECT hour, data FROM points JOIN series ON series.id = points.series
            WHERE name = ? AND metric = ? AND hour + ? > ? AND hour < ? ORDER BY hour"""
        where = (*key, HOUR_NS, since_ns, until_ns)
        rows: list[tuple[int, bytes]] = self._use(lambda db: db.execute(sql, where).fetchall(), [])
        found = Points()
        for hour, data in rows:
            found += unpack(data, hour, since_ns, until_ns)
        return found

    @property
    def size_bytes(self) -> int:
        """The space of the file."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _use(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            if self._db is None:
                self._db = _connect(self.path)
            return work(self._db)
        except (sqlite3.OperationalError, OSError) as error:  # a full disk, say: the next hour may do better
            log.warning("cannot use the history of samples %s now: %s", self.path, error)
        except sqlite3.DatabaseError as error:
            self._put_aside(error)
        return otherwise

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        self.close()
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        log.error("the history of samples is damaged (%s); it is put aside as %s", error, aside.name)
        with contextlib.suppress(OSError):
            self.path.rename(aside)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        db.execute("PRAGMA journal_mode = TRUNCATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.OperationalError(f"it is of version {version}, made by a newer agent")
        if not version:
            with _transaction(db):
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def pack(points: Points, hour: int) -> bytes:
    """The points of one hour, ten seconds apart, as they are kept; those of other hours are left out."""
    columns = [array("f", (NAN,)) * STEPS for _ in range(3)]
    for at, time_ns in enumerate(points.times_ns):
        place = (step_end(time_ns, STEP_NS) - hour) // STEP_NS - 1
        if 0 <= place < STEPS:
            for column, values in zip(columns, (points.means, points.lows, points.highs), strict=True):
                column[place] = values[at]
    whole = array("I", b"".join(column.tobytes() for column in columns))
    # NaN has all bits of its exponent set, and rounding would carry into its sign.
    rounded = array("I", [bits if bits & 0x7F800000 == 0x7F800000 else (bits + _ROUND) & _MASK for bits in whole])
    return _compressed(rounded.tobytes())


def overlaid(before: bytes, data: bytes) -> bytes:
    """The points of an hour, those of before in its gaps. Raises zlib.error."""
    old, new = (array("f", _decompressed(each)) for each in (before, data))
    return _compressed(array("f", [one if two != two else two for one, two in zip(old, new, strict=True)]).tobytes())


def unpack(data: bytes, hour: int, since_ns: int, until_ns: int) -> Points:
    """The points that lie after since and up to until; without the gaps at its ends. Raises zlib.error."""
    whole = array("f", _decompressed(data))
    places = [at for at in range(STEPS) if since_ns < hour + (at + 1) * STEP_NS <= until_ns]
    while places and whole[places[0]] != whole[places[0]]:
        places.pop(0)
    while places and whole[places[-1]] != whole[places[-1]]:
        places.pop()
    times = [hour + (at + 1) * STEP_NS for at in places]
    return Points(times, *([whole[column * STEPS + at] for at in places] for column in range(3)))


def _compressed(raw: bytes) -> bytes:
    return zlib.compress(b"".join(raw[at::4] for at in range(4)), 6)


def _decompressed(data: bytes) -> bytes:
    sorted_ = zlib.decompress(data)
    raw = bytearray(len(sorted_))
    quarter = len(sorted_) // 4
    for at in range(4):
        raw[at::4] = sorted_[at * quarter : (at + 1) * quarter]
    return bytes(raw)


def hours_between(first_ns: int, last_ns: int) -> list[int]:
    """The hours that began at or after the one of first and have ended by last."""
    return list(range(first_ns // HOUR_NS * HOUR_NS, last_ns // HOUR_NS * HOUR_NS, HOUR_NS))
