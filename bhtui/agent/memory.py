"""The agent's memory as rooms see it: `events.log.EventLog` and `store.Store`, or what a test plays in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bhtui.core.event import Event
from bhtui.core.operation import Actor
from bhtui.core.override import Override


class Tell(Protocol):
    """Appends an event, as `Events.append`."""

    def __call__(self, kind: str, target: str, message: str, data: Mapping[str, Any]) -> object: ...


class Events(Protocol):
    """The event log, as far as it is written by rooms."""

    def append(
        self,
        kind: str,
        target: str = "",
        message: str = "",
        data: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> Event:
        """Never raises for a disk that is full."""


class Settings(Protocol):
    """JSON values that outlive the agent. Both raise StoreUnavailable while the disk is full, StoreDamaged."""

    def setting(self, key: str) -> Any:
        """None when there is none."""

    def set_setting(self, key: str, value: Any) -> None: ...


class Overrides(Protocol):
    """What was set at run time instead of what is declared."""

    def load_overrides(self) -> Mapping[str, Mapping[str, Override]]:
        """By service and key."""

    def save_overrides(self, service: str, changes: Mapping[str, Override | None]) -> None:
        """Sets some, removes others (None). Raises StoreUnavailable, StoreDamaged."""
