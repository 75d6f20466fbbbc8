"""What waits to be sent: a file for each request, oldest first, in bounded space.

Names are `<milliseconds>-<part>-<samples>.rw`. They are written beside and renamed, not synced: what was taken outlives
the agent, and a power cut costs the last seconds at most.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple


class Waiting(NamedTuple):
    """One request."""

    name: str
    size: int

    @property
    def time_ms(self) -> int:
        """When its samples were taken, Unix milliseconds."""
        return int(self.name.split("-")[0])

    @property
    def samples(self) -> int:
        """How many are in it."""
        return int(self.name.partition(".")[0].split("-")[2])


class Spool:
    """Used by the thread that writes and the one that sends."""

    def __init__(self, folder: Path, most: int) -> None:
        """`most` bytes at most. Raises OSError."""
        self.most = most
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in folder.glob("*.new"):
            half.unlink(missing_ok=True)
        self._waiting = deque(
            Waiting(path.name, path.stat().st_size) for path in sorted(folder.glob("*-*-*.rw")) if _is_ours(path.name)
        )
        self._size = sum(each.size for each in self._waiting)

    def put(self, time_ms: int, bodies: list[tuple[bytes, int]]) -> int:
        """Keeps requests; how many samples, the oldest, were given up for them. Raises OSError having kept none."""
        made = []
        try:
            for part, (body, count) in enumerate(bodies):
                name = f"{time_ms:015d}-{part:04d}-{count}.rw"
                fresh = self._folder / f"{name}.new"
                made.append((fresh, Waiting(name, len(body))))
                fresh.write_bytes(body)
        except OSError:
            for fresh, _ in made:
                fresh.unlink(missing_ok=True)
            raise
        for fresh, each in made:
            fresh.rename(self._folder / each.name)
            with self._lock:
                self._waiting.append(each)
                self._size += each.size
        return self._fit()

    def _fit(self) -> int:
        lost = 0
        while True:
            with self._lock:
                if self._size <= self.most or len(self._waiting) <= 1:
                    return lost
                oldest = self._waiting[0]
            lost += oldest.samples if self.done(oldest) else 0

    def oldest(self) -> Waiting | None:
        """The next one to be sent."""
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def read(self, one: Waiting) -> bytes:
        """Raises OSError."""
        return (self._folder / one.name).read_bytes()

    def done(self, one: Waiting) -> bool:
        """Forgets one that was sent or is given up; False: it was forgotten already."""
        with self._lock:
            if not self._waiting or self._waiting[0] != one:
                return False
            self._waiting.popleft()
            self._size -= one.size
        (self._folder / one.name).unlink(missing_ok=True)
        return True

    def clear(self) -> None:
        """Forgets all."""
        while (one := self.oldest()) is not None:
            self.done(one)

    @property
    def total(self) -> tuple[int, int]:
        """Samples and bytes that wait."""
        with self._lock:
            return sum(each.samples for each in self._waiting), self._size


def _is_ours(name: str) -> bool:
    return all(part.isascii() and part.isdigit() for part in name.removesuffix(".rw").split("-"))
