"""What a storage far away needs around it: another try, a limit to its bandwidth, and a cache."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..errors import EngineError
from . import Kind, Storage, path

T = TypeVar("T")
DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further try."""
PARTS = 3
"""Reads of parts of one pack after which the whole pack is fetched."""
CACHE_PACKS = 64
"""Packs that are kept; about 1 GiB."""


class Patient:
    """Tries again what failed because the storage could not be reached, and keeps within a bandwidth.

    `bandwidth` in bytes a second, both ways together; 0: as fast as it goes.
    """

    def __init__(
        self,
        storage: Storage,
        bandwidth: int = 0,
        delays: tuple[float, ...] = DELAYS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage, self._bandwidth, self._delays = storage, bandwidth, delays
        self._sleep, self._clock = sleep, clock
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._is_away = False
        """Whether the last call was given up: what follows (a lock to be removed) does not wait as long once more."""

    @property
    def place(self) -> str:
        """Of the storage."""
        return self._storage.place

    @property
    def scratch(self) -> Path | None:
        """Of the storage."""
        return self._storage.scratch

    def create(self) -> None:
        """Of the storage."""
        self._again(self._storage.create)

    def list(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Of the storage, whole, so that it can be asked for again."""
        yield from self._again(lambda: [*self._storage.list(kind)])

    def read(self, kind: Kind, name: str, offset: int = 0, length: int = -1) -> bytes:
        """Of the storage."""
        content = self._again(lambda: self._storage.read(kind, name, offset, length))
        self._pay(len(content))
        return content

    def write(self, kind: Kind, name: str, content: bytes) -> None:
        """Of the storage."""
        self._pay(len(content))
        self._again(lambda: self._storage.write(kind, name, content))

    def put(self, kind: Kind, name: str, file: Path) -> None:
        """Of the storage."""
        self._pay(file.stat().st_size)
        self._again(lambda: self._storage.put(kind, name, file))

    def local(self, kind: Kind, name: str) -> Path | None:
        """Of the storage."""
        return self._storage.local(kind, name)

    def remove(self, kind: Kind, name: str) -> None:
        """Of the storage."""
        self._again(lambda: self._storage.remove(kind, name))

    def sweep(self) -> int:
        """Of the storage."""
        return self._storage.sweep()

    def close(self) -> None:
        """Of the storage."""
        self._storage.close()

    def _again(self, call: Callable[[], T]) -> T:
        for delay in (*(() if self._is_away else self._delays), -1.0):
            try:
                answer = call()
            except EngineError as error:
                if error.code != "unreachable" or delay < 0:
                    self._is_away = error.code == "unreachable"
                    raise
                self._sleep(delay)
            else:
                self._is_away = False
                return answer
        raise AssertionError("the last try returns or raises")

    def _pay(self, size: int) -> None:
        """Waits until what was moved before has had its time."""
        if not self._bandwidth:
            return
        with self._lock:
            now = self._clock()
            wait = max(self._free_at - now, 0.0)
            self._free_at = max(self._free_at, now) + size / self._bandwidth
        if wait:
            self._sleep(wait)


class Cached:
    """Keeps on this host what is read again and again: indexes, snapshots, and packs of which many parts are read."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._reads: Counter[str] = Counter()

    @property
    def place(self) -> str:
        """Of the storage."""
        return self._storage.place

    @property
    def scratch(self) -> Path | None:
        """Of the storage."""
        return self._storage.scratch

    def create(self) -> None:
        """Of the storage."""
        self._storage.create()

    def list(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Of the storage; what it does not have any more is dropped from the cache."""
        found = dict(self._storage.list(kind))
        if kind in ("index", "snapshots", "data"):
            for file in (self._folder / kind).glob("*"):
                if file.name not in found:
                    file.unlink(missing_ok=True)
        yield from found.items()

    def read(self, kind: Kind, name: str, offset: int = 0, length: int = -1) -> bytes:
        """From the cache, when it is there."""
        if kind not in ("index", "snapshots", "data"):
            return self._storage.read(kind, name, offset, length)
        file = self._folder / kind / name
        with suppress(OSError), file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(length)
        if kind == "data":
            self._reads[name] += 1
            if length < 0 or self._reads[name] < PARTS:
                return self._storage.read(kind, name, offset, length)
        content = self._storage.read(kind, name)
        self._keep(kind, name, content)
        return content[offset : offset + length] if length >= 0 else content[offset:]

    def write(self, kind: Kind, name: str, content: bytes) -> None:
        """Of the storage."""
        self._storage.write(kind, name, content)

    def put(self, kind: Kind, name: str, file: Path) -> None:
        """Of the storage."""
        self._storage.put(kind, name, file)

    def local(self, kind: Kind, name: str) -> Path | None:
        """Of the storage: what is checked is what lies there, not the copy."""
        return self._storage.local(kind, name)

    def remove(self, kind: Kind, name: str) -> None:
        """Of the storage, and of the cache."""
        self._storage.remove(kind, name)
        (self._folder / kind / name).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Of the storage."""
        return self._storage.sweep()

    def close(self) -> None:
        """Of the storage."""
        self._storage.close()

    def _keep(self, kind: Kind, name: str, content: bytes) -> None:
        """A disk that is full makes it slower, no more."""
        with suppress(OSError):
            target = self._folder / path(kind, name).replace(f"/{name[:2]}/", "/", 1)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = target.with_suffix(".new")
            beside.write_bytes(content)
            beside.rename(target)
            if kind == "data":
                kept = sorted(target.parent.iterdir(), key=lambda file: file.stat().st_mtime)
                for old in kept[:-CACHE_PACKS]:
                    old.unlink(missing_ok=True)
