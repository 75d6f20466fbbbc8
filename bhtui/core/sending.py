"""What log outputs and remote write have in common: both send elsewhere, and may fail or fall behind. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .event import EventKind
from .units import format_age


class Sending(Protocol):
    """How one of them is."""

    @property
    def state(self) -> str: ...
    @property
    def behind_seconds(self) -> float: ...
    @property
    def last_error(self) -> str: ...
    @property
    def last_error_ns(self) -> int: ...
    @property
    def failing_since_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """An event to be appended."""

    kind: EventKind
    message: str
    data: Mapping[str, Any]


def trouble(one: Sending, warn_after: float, now_ns: int) -> str:
    """`failing`, `lagging`, each for longer than it may; or empty."""
    if one.failing_since_ns and (now_ns - one.failing_since_ns) / 1e9 >= warn_after:
        return "failing"
    return "lagging" if one.state == "lagging" else ""


def news(told: str, now: str, state: str, well: Collection[str]) -> str:
    """What is to be told when this trouble was told of and that is there now: the trouble, `recovered`, or nothing.

    A trouble ends not before its state is one of `well`.
    """
    if now and now != told:
        return now
    return "recovered" if told and not now and state in well else ""


def trouble_text(whose: str, one: Sending, bad: str, now_ns: int) -> str:
    """What is wrong with it. `bad`: `failing`, `lagging`."""
    if bad == "failing" and one.failing_since_ns:
        return f"{whose} has failed for {format_age((now_ns - one.failing_since_ns) / 1e9)}: {one.last_error}"
    return f"{whose} is {format_age(one.behind_seconds)} behind"
