"""What outputs are made of: a line to be sent, and the contract of what sends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bhtui.agent.outbound import Down


class Record(NamedTuple):
    """One line, put together from its parts."""

    service: str
    instance: str
    stream: str
    """`stdout` or `stderr`."""
    level: str
    """One of core.logs.LEVELS, or empty."""
    text: bytes
    """As the service wrote it, without the newline: any bytes."""
    time_ns: int
    order_ns: int
    """As time_ns, but of two lines of an instance never the same, and the same again when the line is read again."""
    file: str
    """The time of the first line of its file, by which it is known whatever it is called later."""
    offset: int
    """Where it begins there."""
    partial: bool = False

    @property
    def place(self) -> str:
        """Where it stands, the same whenever it is read."""
        return f"{self.file}:{self.offset}"


SinkDown = Down
"""The other side cannot be reached or cannot take anything now; the same lines are sent again later."""


class Rejected(Exception):
    """The other side will never take this batch as it is: the lines at fault are found by halving it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch that was taken in part. What is in neither list was accepted."""

    rejected: Sequence[tuple[int, str]] = ()
    """Places in the batch, and why each will never be taken."""
    again: Sequence[int] = ()
    """Places in the batch to be sent again."""
    why: str = ""
    """Why `again`."""


TAKEN = Outcome()


class Sink(Protocol):
    """Sends lines somewhere. Used by one thread; every call ends within its timeouts.

    `settle_seconds` 0: when `send` returns, the other side has the lines. More: nothing tells that it has, so they
    count as received when so many seconds have passed and `check` is true; when `check` or `send` raises SinkDown,
    everything that is not settled is sent again.
    """

    target: str
    """For people: `udp syslog:514`."""
    settle_seconds: float

    def send(self, records: Sequence[Record]) -> Outcome:
        """Sends all, in order. Raises SinkDown, Rejected; a connection that was lost is made anew by the next call."""
        ...

    def check(self) -> bool:
        """Whether all that was sent longer than settle_seconds ago is on the other side, as far as that can be known.

        Raises SinkDown when what was sent since then may be lost.
        """
        ...

    def flush(self) -> None:
        """What was accepted so far outlives a power cut. Raises SinkDown."""
        ...

    def close(self) -> bool:
        """Ends the connection in order; whether the other side is known to have all that was sent. Never raises."""
        ...
