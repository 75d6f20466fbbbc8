"""How much a service may write: so many lines and bytes in a stretch of time. What is over it is dropped and counted.

The stretches follow each other without a gap, as with journald's RateLimitIntervalSec= and RateLimitBurst=: what is
kept stays readable, as at most one place in each stretch has something missing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECOND = 1_000_000_000
NO_BOUND = 1 << 62


class RateLimit:
    """The bound of one log, shared by all who write to it: `lines` and `size` (bytes, newlines too) in `seconds`.

    0: no bound. What comes first in a stretch is kept; the size is passed by at most one line, or one chunk of one.
    """

    __slots__ = (
        "_begun", "_left_lines", "_left_size", "dropped_lines", "dropped_size", "last_ns", "lines", "ns", "size",
    )  # fmt: skip

    def __init__(self, lines: int = 0, size: int = 0, seconds: float = 0) -> None:
        self.lines = self.size = self.ns = self._begun = 0
        self.dropped_lines = self.dropped_size = self.last_ns = 0
        self.set(lines, size, seconds)

    def set(self, lines: int, size: int, seconds: float) -> None:
        """Sets the bound; another one begins with a new stretch."""
        bound = (lines, size, int(seconds * SECOND) if lines or size else 0)
        if self._begun and bound == (self.lines, self.size, self.ns):
            return
        self.lines, self.size, self.ns = bound
        self._begin(0)

    def _begin(self, now: int) -> None:
        self._begun = now
        self._left_lines, self._left_size = self.lines or NO_BOUND, self.size or NO_BOUND

    def rest_ns(self, now: int) -> int:
        """Nanoseconds until the next stretch."""
        return min(self.ns, max(0, self._begun + self.ns - now))  # the clock may have been set back

    def take(self, chunk: bytes, now: int) -> int:
        """How many bytes at the start of a chunk are kept: up to the end of a line, or all."""
        if not 0 <= now - self._begun < self.ns:
            self._begin(now)
        if self._left_lines <= 0 or self._left_size <= 0:
            return 0
        cut, count = len(chunk), chunk.count(b"\n")
        if cut > self._left_size:
            cut = chunk.find(b"\n", self._left_size - 1) + 1 or cut
            count = chunk.count(b"\n", 0, cut)
        if count > self._left_lines:
            count = self._left_lines
            cut = len(chunk) - len(chunk.split(b"\n", count)[-1])
        self._left_lines -= count
        self._left_size -= cut
        return cut

    def drop(self, lines: int, size: int, now: int) -> None:
        """Counts what was dropped."""
        self.dropped_lines += lines
        self.dropped_size += size
        self.last_ns = now

    @property
    def text(self) -> str:
        """`1000 lines in 30 s`; empty: there is no limit."""
        if not self.ns:
            return ""
        bounds = [f"{self.lines} lines"] * (self.lines > 0) + [f"{self.size} bytes"] * (self.size > 0)
        return f"{' and '.join(bounds)} in {self.ns / SECOND:g} s"

    def stats(self) -> dict[str, Any]:
        """What was dropped so far, and by which bound."""
        return {"lines": self.dropped_lines, "bytes": self.dropped_size, "last_ns": self.last_ns,
                "limit": self.text, "seconds": self.ns / SECOND}  # fmt: skip

    def dump(self) -> list[int]:
        """What an upgraded keeper needs to go on exactly here."""
        bound, left = (self.lines, self.size, self.ns), (self._begun, self._left_lines, self._left_size)
        return [*bound, *left, self.dropped_lines, self.dropped_size, self.last_ns]

    @classmethod
    def load(cls, state: list[int]) -> RateLimit:
        """The opposite of `dump`."""
        rate = cls()
        rate.lines, rate.size, rate.ns, rate._begun, rate._left_lines, rate._left_size = state[:6]
        rate.dropped_lines, rate.dropped_size, rate.last_ns = state[6:]
        return rate


def sift(rate: RateLimit, chunk: bytes, now: int, is_skipping: bool) -> tuple[int, int, bool]:
    """Where in a chunk that what is kept begins and ends, and whether the next chunk begins in a dropped line.

    `is_skipping`: this one does; what is before the place where something is kept is the rest of that line. What is
    kept ends with a line unless it is the rest of the chunk.
    """
    start = 0
    if is_skipping:
        start = chunk.find(b"\n") + 1
        if start in (0, len(chunk)):
            return len(chunk), len(chunk), not start
    cut = start + rate.take(chunk[start:] if start else chunk, now)
    return start, cut, cut < len(chunk) and not chunk.endswith(b"\n")
