"""Packs on their way into the storage, and the index of those that have arrived.

The order that keeps a repository valid at every instant: a pack, synced and under its name; then an index that tells of
it; then a snapshot that needs it.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from ..blob import BlobType
from ..index import MAX_BLOBS
from ..repository import Repository
from .sink import BLOB, Packed

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

CHECKPOINT = 180.0
"""Seconds after which the index of what has arrived is stored, so that a run that is killed loses no more."""


class Uploads:
    """A pool of threads that stores packs. `threads` packs are under way at once, and as many may wait."""

    def __init__(self, repository: Repository, threads: int) -> None:
        self._repository, self._threads = repository, threads
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: deque[tuple[Packed, Future[None]]] = deque()
        self._arrived: list[Packed] = []
        self._stored = time.monotonic()

    def put(self, pack: Packed) -> None:
        """Stores a pack, later."""
        if self._pool is None:  # a run that finds nothing new does without
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="upload")
        future = self._pool.submit(self._repository.storage.put, "data", pack.id.hex(), Path(pack.file))
        self._under_way.append((pack, future))

    @property
    def is_busy(self) -> bool:
        """Whether no more work that makes packs should be given out."""
        return len(self._under_way) >= 2 * self._threads

    def settle(self, wait: bool = False) -> None:
        """Notes what has arrived (`wait`: all), and stores the index when it is time. Raises EngineError."""
        while self._under_way and (wait or self._under_way[0][1].done()):
            pack, future = self._under_way[0]
            future.result()
            self._under_way.popleft()
            self._arrived.append(pack)
        blobs = sum(len(pack.blobs) for pack in self._arrived) // BLOB.size
        if blobs >= MAX_BLOBS or time.monotonic() - self._stored > CHECKPOINT:
            self.save()

    def save(self) -> None:
        """Stores the index of what has arrived. Raises EngineError."""
        self._stored = time.monotonic()
        while self._arrived:
            part: list[Packed] = []
            blobs = 0
            while self._arrived and (not part or blobs + len(self._arrived[0].blobs) // BLOB.size <= MAX_BLOBS):
                part.append(self._arrived.pop(0))
                blobs += len(part[-1].blobs) // BLOB.size
            self._repository.save_text("index", '{"packs":[' + ",".join(map(_pack, part)) + "]}")

    def close(self) -> None:
        """Waits for what is being written, and forgets the rest."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _pack(pack: Packed) -> str:
    type = BlobType(pack.type).word
    blobs = (
        f'{{"id":"{id.hex()}","type":"{type}","offset":{offset},"length":{length}'
        + (f',"uncompressed_length":{raw}}}' if raw else "}")
        for id, offset, length, raw in BLOB.iter_unpack(pack.blobs)
    )
    return f'{{"id":"{pack.id.hex()}","blobs":[{",".join(blobs)}]}}'
