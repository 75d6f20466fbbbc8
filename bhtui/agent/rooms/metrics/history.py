"""What is kept of the samples: seconds in memory and on a tape beside it, tens of seconds in the archive.

The ring answers for the recent past, the archive for what is older. Whatever touches the disk runs in two threads of
its own, one that writes and one that reads, so that a disk that hangs holds up neither the agent nor sampling.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bhtui.core.spec import MetricsSpec

from .archive import HOUR_NS, SECOND, STEP_NS, Archive, hours_between
from .points import Key, Points, Steps
from .ring import Ring
from .tape import Tape, replay

log = logging.getLogger(__name__)

SLACK = 300
"""Ticks that the ring has more than an hour, so that an hour is whole when it is put into the archive."""
BREATH = 0.001
"""Seconds between two series of an hour that is archived, for the other threads."""


class History:
    """`folder` is the agent's own; `kept` says how far back each part goes."""

    def __init__(self, folder: Path, kept: MetricsSpec) -> None:
        self.lost = 0
        """Ticks that are not on disk, because it was full or too slow."""
        self._folder = folder
        self._ring = Ring(_ticks(kept))
        self._tape = Tape(folder, _ticks(kept) * SECOND)
        self._archive = self._open_archive(kept)
        self._past = self._open_archive(kept)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="metrics-write")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="metrics-read")
        self._writing: Future[None] | None = None
        self._hour = self._written_ns = 0

    def _open_archive(self, kept: MetricsSpec) -> Archive:
        return Archive(self._folder / "archive.db", round(kept.coarse * SECOND), kept.space)

    def follow(self, kept: MetricsSpec) -> None:
        """Another configuration: holds from now on; what is more than it allows goes with the next hour."""
        if _ticks(kept) != self._ring.ticks:
            self._ring = self._ring.resized(_ticks(kept))
        self._tape.keep_ns = _ticks(kept) * SECOND
        self._archive.keep_ns, self._archive.space = round(kept.coarse * SECOND), kept.space

    async def close(self) -> None:
        """Ends the threads; waits for what they are doing."""
        await asyncio.to_thread(self._writer.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._reader.shutdown, wait=True, cancel_futures=True)
        self._tape.close()
        self._archive.close()
        self._past.close()

    # ---- writing -------------------------------------------------------------------------------------------------

    async def load(self, now_ns: int) -> None:
        """Takes up what an earlier agent had on tape. Called once, before the first tick."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._load, now_ns)

    def _load(self, now_ns: int) -> None:
        try:
            for reel in replay(self._folder, now_ns - self._ring.ticks * SECOND, now_ns):
                self._ring.extend(reel.times_ns, reel.columns())
        except OSError as error:
            log.warning("cannot read the samples of before from %s: %s", self._folder, error)

    def append(self, time_ns: int, values: Mapping[Key, float]) -> None:
        """Takes a tick; never waits."""
        self._ring.append(time_ns, values)
        if self._writing is not None and not self._writing.done():
            self.lost += 1
            return
        self._writing = self._writer.submit(self._write, time_ns, dict(values))

    def _write(self, time_ns: int, values: Mapping[Key, float]) -> None:
        before = self._tape.lost
        self._tape.append(time_ns, values)
        self.lost += self._tape.lost - before
        if time_ns < self._written_ns:
            self._archive.reopen(time_ns)
        self._written_ns = time_ns
        if time_ns // HOUR_NS != self._hour:
            self._hour = time_ns // HOUR_NS
            self._archive_hours(time_ns)

    def _archive_hours(self, now_ns: int) -> None:
        """Every hour that has ended and is still in the ring, once."""
        ring = self._ring
        hours = [] if ring.first_ns is None else hours_between(ring.first_ns, now_ns)
        for hour in self._archive.missing(hours):
            points_of = ring.reader(hour, hour + HOUR_NS, STEP_NS)
            series = {}
            for key in ring.keys:
                if (points := points_of(key)).times_ns:
                    series[key] = points
                time.sleep(BREATH)
            self._archive.save(hour, series)

    # ---- reading -------------------------------------------------------------------------------------------------

    async def keys(self, since_ns: int) -> list[Key]:
        """The series of which there is something after a time."""
        recent = self._ring.keys
        if not self._is_older(since_ns):
            return recent
        older = await asyncio.get_running_loop().run_in_executor(self._reader, self._past.keys, since_ns)
        return sorted({*recent, *older})

    async def read(self, keys: Sequence[Key], since_ns: int, until_ns: int, step_ns: int) -> dict[Key, Points]:
        """The points of series after since and up to until; what is older than the ring is ten seconds apart at
        least."""
        if not self._is_older(since_ns):
            return dict(zip(keys, map(self._ring.reader(since_ns, until_ns, step_ns), keys), strict=True))
        edge = until_ns if self._ring.first_ns is None else self._ring.first_ns
        recent = self._ring.reader(max(since_ns, edge - 1), until_ns, 0)
        work = asyncio.get_running_loop().run_in_executor
        return {
            key: await work(self._reader, self._joined, key, since_ns, min(edge - 1, until_ns), recent(key), step_ns)
            for key in keys
        }

    def _is_older(self, since_ns: int) -> bool:
        return self._ring.first_ns is None or since_ns < self._ring.first_ns

    def _joined(self, key: Key, since_ns: int, until_ns: int, recent: Points, step_ns: int) -> Points:
        older = self._past.read(key, since_ns, until_ns)
        if not step_ns:
            return older + recent
        whole = older + recent
        return Steps(whole.times_ns, step_ns).summarised(whole.means, whole.lows, whole.highs)

    @property
    def memory_bytes(self) -> int:
        """The memory that the recent past takes."""
        return self._ring.size_bytes

    @property
    def disk_bytes(self) -> int:
        """The space of its files."""
        total = 0
        for path in self._folder.glob("*"):
            with contextlib.suppress(FileNotFoundError):  # A file is written under another name, or too old and gone.
                total += path.stat().st_size
        return total


def _ticks(kept: MetricsSpec) -> int:
    return round(kept.fine) + SLACK
