"""Caches that can be cleared from outside: bounded, least recently used first to go."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """At most `capacity` values, each good until its time. Times are those of the caller's clock."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, now: float) -> V | None:
        """The value, unless it is not there or its time is over."""
        found = self._values.get(key)
        if found is None or found[0] <= now:
            self._values.pop(key, None)
            self.misses += 1
            return None
        self._values.move_to_end(key)
        self.hits += 1
        return found[1]

    def put(self, key: K, value: V, until: float) -> None:
        """Keeps the value; forgets the least recently used when there are too many."""
        self._values[key] = (until, value)
        self._values.move_to_end(key)
        while len(self._values) > self.capacity:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forgets one."""
        self._values.pop(key, None)

    def clear(self) -> int:
        """Forgets all; how many they were."""
        count = len(self._values)
        self._values.clear()
        return count
