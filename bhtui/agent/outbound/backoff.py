"""How long to wait before the next try."""

from __future__ import annotations

FIRST, FACTOR, LONGEST = 0.2, 2.0, 30.0
LONGEST_ASKED = 300.0
"""Seconds; what a server asks for beyond that is not waited for."""


class Backoff:
    """Grows with each failure, by a random part shorter, so that many hosts do not come back in the same moment."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        """Something was taken."""
        self.failures = 0

    def next(self, chance: float, asked: float = 0.0) -> float:
        """Seconds to wait now; `chance` is a random number from 0 to 1, `asked` what the other side asked for."""
        longest = min(LONGEST, FIRST * FACTOR ** min(self.failures, 16))
        self.failures += 1
        return max(longest * (0.5 + chance / 2), min(asked, LONGEST_ASKED))
