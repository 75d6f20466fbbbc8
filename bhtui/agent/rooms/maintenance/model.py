"""What the room needs of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bhtui.core.event import Event
from bhtui.core.operation import Actor
from bhtui.core.spec import Spec


class Settings(Protocol):
    """JSON values that outlive the agent."""

    def setting(self, key: str) -> Any: ...
    def set_setting(self, key: str, value: Any) -> None:
        """Raises StoreUnavailable."""


class Events(Protocol):
    """The event log, as far as it is written here."""

    def append(
        self,
        kind: str,
        target: str = "",
        message: str = "",
        data: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> Event: ...


class Held(Protocol):
    """An instance, as far as windows are concerned."""

    @property
    def name(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def held(self) -> str: ...


class Instances(Protocol):
    """What is declared, and what is held."""

    @property
    def spec(self) -> Spec: ...
    @property
    def picture(self) -> Mapping[str, Held]: ...

    def look_at_holds(self) -> None:
        """The windows have changed: what is held no more is started, what is held longer says so."""
