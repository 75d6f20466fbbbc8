"""What the room needs of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from bhtui.agent.memory import Events as Log
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


class Events(Log, Protocol):
    """The event log, and the bell that every event rings."""

    def bell(self, about: str = "") -> AbstractContextManager[asyncio.Event]: ...
