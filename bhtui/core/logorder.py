"""Lines of many hosts in the order of time, though each comes when it comes. Pure: time is an argument.

Lines wait in a window until every host has come as far, at most `age_ns`. So a host that is silent, far behind, or has
a wrong clock never holds the others up for longer, and what waits is bounded. A line that comes when later ones have
been given out is given out at once, and said to be late.

Keys are Unix nanoseconds by the reader's clock. One in the future is taken for now: no line was written later than it
was read. What a host's clock is wrong by is added to its keys beforehand, as `Offset` finds it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from .logcolumns import Lines

AGE_NS = 150_000_000
"""What a line waits at most: longer than an agent takes to notice a line (0.1 s) and a network to carry it."""
MOST = 50_000
"""Lines that wait at most."""
TOLERANCE_NS = 1_000_000_000
"""A clock that is wrong by less is taken for right."""


class Window:
    """Puts the lines of `sources` in order. With no age it waits for the last of them, however long that takes."""

    def __init__(self, sources: Iterable[str], age_ns: int | None = AGE_NS, most: int = MOST) -> None:
        self._age_ns, self._most = age_ns, most
        self._frontier = dict.fromkeys(sources, 0)
        """By source the time before which it gives nothing any more, as far as is known."""
        self._keys: list[int] = []
        self._held = Lines()
        self.watermark = 0
        """The greatest key that was given out."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def behind(self) -> str:
        """The source that the others wait for."""
        return min(self._frontier, key=self._frontier.__getitem__)

    @property
    def sources(self) -> frozenset[str]:
        """Those that have not ended."""
        return frozenset(self._frontier)

    def push(self, source: str, lines: Lines, now_ns: int) -> None:
        """Takes lines of a source in, in the order in which it gave them."""
        if not lines:
            return
        keys = lines.times
        if max(keys) > now_ns:
            keys = [min(key, now_ns) for key in keys]
        self._keys += keys
        self._held.extend(lines)
        if source in self._frontier:
            self._frontier[source] = max(self._frontier[source], keys[-1])

    def end(self, source: str) -> None:
        """Nothing more comes from a source; nobody waits for it."""
        self._frontier.pop(source, None)

    def release(self, now_ns: int) -> tuple[Lines, int]:
        """What can be given out, in order, and how many of them, at the head, are late."""
        key = self._keys.__getitem__
        order = sorted(range(len(self._keys)), key=key)
        end = max(bisect_right(order, self._bound(now_ns), key=key), len(order) - self._most)
        if end <= 0:
            return Lines(), 0
        out, rest = self._held.picked(order[:end]), order[end:]
        late = bisect_right(order, self.watermark - 1, hi=end, key=key)
        self.watermark = max(self.watermark, key(order[end - 1]))
        self._keys, self._held = [key(place) for place in rest], self._held.picked(rest)
        return out, late

    def flush(self) -> tuple[Lines, int]:
        """Everything that waits."""
        age, self._age_ns = self._age_ns, 0
        try:
            return self.release(max(self._keys, default=0))
        finally:
            self._age_ns = age

    def _bound(self, now_ns: int) -> int:
        reached = min(self._frontier.values(), default=now_ns)
        return reached if self._age_ns is None else max(reached, now_ns - self._age_ns)


class Offset:
    """What has to be added to the times of a host to have them by the reader's clock; 0 for a clock that is right."""

    def __init__(self) -> None:
        self.ns = 0

    def measure(self, host_ns: int, asked_ns: int, now_ns: int) -> bool:
        """Takes note of what the host's clock said at some moment between a question and its answer, which are times of
        the reader's clock; whether that changes anything. An answer that took long proves nothing of a clock."""
        least, most = asked_ns - host_ns, now_ns - host_ns
        if not host_ns or least - TOLERANCE_NS <= self.ns <= most + TOLERANCE_NS:
            return False
        before = self.ns
        self.ns = least if least > TOLERANCE_NS else most if most < -TOLERANCE_NS else 0
        return before != self.ns
