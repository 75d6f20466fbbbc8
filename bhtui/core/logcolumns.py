"""Log lines by column, for streams of a hundred thousand a second: work is done on whole lists, not on a line.

What lines have in common is one object for all that are alike, so that a line costs a number and a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .logs import LEVELS, LogLine

LEVEL_NAMES = ("", *LEVELS)
"""A level's place is its rank; lines in which none is recognised have rank 0."""


@dataclass(slots=True, eq=False)
class Origin:
    """Where lines are from and of what kind they are; made by `origin`, and never changed."""

    host: str
    service: str
    instance: str
    rank: int
    """The place of their level in LEVEL_NAMES."""
    stream: str = "stdout"
    partial: bool = False
    context: bool = False
    offset_ns: int = 0
    """What was added to their times, because the host's clock is wrong."""
    late: bool = False
    """They came when later ones had been given out."""
    remark: bool = False
    """No line: what the reader has to say about the host here."""
    gap: bool = False
    """With context: lines of their instance were left out before them."""


@lru_cache(maxsize=16_384)
def origin(
    host: str, service: str, instance: str, rank: int, stream: str = "stdout", partial: bool = False,
    context: bool = False, offset_ns: int = 0, late: bool = False, remark: bool = False,
    gap: bool = False,
) -> Origin:  # fmt: skip
    """The same object for the same facts, as a rule."""
    return Origin(host, service, instance, rank, stream, partial, context, offset_ns, late, remark, gap)


class Lines:
    """The n-th entry of each column is of the n-th line. Times are Unix nanoseconds by the reader's clock."""

    __slots__ = ("messages", "origins", "times")

    def __init__(self, times: Iterable[int] = (), origins: Iterable[Origin] = (), messages: Iterable[str] = ()) -> None:
        self.times, self.origins, self.messages = list(times), list(origins), list(messages)

    def __len__(self) -> int:
        return len(self.times)

    def extend(self, more: Lines) -> None:
        """Takes other lines in behind these."""
        self.times += more.times
        self.origins += more.origins
        self.messages += more.messages

    def picked(self, places: Sequence[int]) -> Lines:
        """Those at these places, in their order."""
        times, origins, messages = self.times, self.origins, self.messages
        return Lines(
            [times[place] for place in places],
            [origins[place] for place in places],
            [messages[place] for place in places],
        )

    def mark_late(self, count: int) -> None:
        """The first so many are late."""
        late = {one: replace(one, late=True) for one in set(self.origins[:count])}
        self.origins[:count] = [late[one] for one in self.origins[:count]]

    def line(self, place: int) -> LogLine:
        """One as its host has it."""
        of = self.origins[place]
        return LogLine(
            self.times[place] - of.offset_ns, of.service, of.instance, of.stream, LEVEL_NAMES[of.rank],
            self.messages[place], of.partial, of.context, of.gap,
        )  # fmt: skip
