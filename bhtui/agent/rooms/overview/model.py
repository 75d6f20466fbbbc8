"""What the room needs of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bhtui.core.overview import Container
from bhtui.core.spec import Spec

SHORT_ID = 12
"""Characters of an id that tell containers apart."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What of the host is ours already."""

    instances: Mapping[str, int] = field(default_factory=dict)
    """Instances that have a process, and its pid."""
    agent: frozenset[int] = frozenset()
    """Keeper and agent."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units that are declared services, and those."""
    containers: Mapping[str, str] = field(default_factory=dict)
    """Containers that are declared services, by the name or id that is declared."""
    container_ids: Mapping[str, str] = field(default_factory=dict)
    """Ids (12 characters) of the containers that services follow now, and those services."""
    services: int = 0
    installation: str = ""
    """The folder of the groups of our instances; with it also those children are known that left their parents."""

    def container(self, name: str, id_: str) -> str:
        """The service that a container is; empty: none. Two engines may each have a container of one name."""
        if service := self.container_ids.get(id_[:SHORT_ID]):
            return service
        declared = self.containers.get(name) or self.containers.get(id_, "")
        return "" if declared in self.container_ids.values() else declared


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container and its ports."""

    shown: Container
    ports: tuple[int, ...] = ()
    """TCP ports of the host that lead into it."""


class Containers(Protocol):
    """What asks Docker and Podman."""

    async def list(self) -> tuple[Sequence[FoundContainer], Sequence[str]]:
        """The containers of every engine that answers, and why the others do not. Ends within seconds."""


class NoContainers:
    """Where no engine can be asked."""

    async def list(self) -> tuple[Sequence[FoundContainer], Sequence[str]]:
        return (), ()


class Configuration(Protocol):
    """The configuration in force (agent.config.ConfigInForce)."""

    spec: Spec
    text: Any
    """`yaml` and `path`."""

    @property
    def file(self) -> Path: ...

    def candidate(self, yaml: str, path: str) -> tuple[Spec, Any]:
        """Another one, checked and not in force. Raises ConfigError, NotFound."""

    def changed_on_disk(self) -> tuple[Spec, Any] | None:
        """The file as it is now, when that is another. Raises ConfigError, NotFound."""
