"""What the room needs of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bhtui.core.event import Event
from bhtui.core.operation import Actor
from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.states import Health, State


class Running(Protocol):
    """An instance, as far as others want to reach it."""

    @property
    def name(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def spec(self) -> ServiceSpec: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def state(self) -> State: ...
    @property
    def health(self) -> Health: ...
    @property
    def incarnation(self) -> int: ...


class Instances(Protocol):
    """What is declared and what runs, as the supervisor knows it."""

    @property
    def spec(self) -> Spec: ...
    @property
    def picture(self) -> Mapping[str, Running]: ...


class Events(Protocol):
    """The event log: what is written here, and the bell that every event rings."""

    def append(
        self,
        kind: str,
        target: str = "",
        message: str = "",
        data: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> Event: ...

    def bell(self, about: str = "") -> AbstractContextManager[asyncio.Event]: ...


class Settings(Protocol):
    """What must outlive the agent."""

    def setting(self, key: str) -> Any: ...

    def set_setting(self, key: str, value: Any) -> None:
        """Keeps a JSON value. Raises StoreUnavailable."""
