"""What the room needs of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bhtui.core.spec import Spec


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
