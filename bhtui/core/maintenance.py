"""Maintenance windows: times in which nothing is restarted by itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """One that is declared."""

    name: str
    start: str
    """When it opens, as cron has it: `0 2 * * SUN`."""
    duration: float
    """Seconds that it is open, counted as they pass: a clock that is put forward or back changes nothing."""
    services: tuple[str, ...] = ()
    """None: all."""
    timezone: str = ""
    """`Europe/Berlin`; empty: that of the host."""


@dataclass(frozen=True, slots=True)
class Window:
    """One that is open, or that opens next. Times are Unix nanoseconds."""

    id: str
    """The name of a declared one; of one that was opened at run time the beginning of its operation's id."""
    services: tuple[str, ...]
    """None: all."""
    open: bool
    from_ns: int
    """When it opened, or opens; 0: never again."""
    until_ns: int
    start: str = ""
    """As it is declared; empty: it was opened at run time."""
    timezone: str = ""
    actor: str = ""
    """Who opened it; empty: the configuration."""
    reason: str = ""

    def concerns(self, service: str) -> bool:
        """Whether it holds this service."""
        return self.open and (not self.services or service in self.services)
