"""What drivers work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bhtui.agent.foreign.model import Manager
from bhtui.core.event import EventKind
from bhtui.core.spec import ServiceKind, ServiceSpec

from .clearing import Clearing
from .instance import Instance
from .model import HealthProbes, Keeper, Limits, Tail, Usage


@dataclass(frozen=True, slots=True)
class Tools:
    """What every driver works with; the room makes it."""

    keeper: Keeper
    clearing: Clearing
    health: HealthProbes
    limits: Limits
    usage: Usage
    tail: Tail
    record: Callable[[str, EventKind, str, Mapping[str, Any]], None]
    changed: Callable[[Instance, Instance], None]
    """Told of each change, before and after; saves it."""
    waiting_for: Callable[[Instance, bool], str]
    """What it has to wait for; True: for an automatic restart."""
    held: Callable[[str], str]
    """What holds automatic restarts of a service; empty: nothing does."""
    pids: Callable[[], set[int]]
    """The processes of all instances."""
    siblings_live: Callable[[Instance], bool]
    clock: Callable[[], int]
    chance: Callable[[], float]
    environ: Mapping[str, str]
    managers: Mapping[ServiceKind, Manager] = field(default_factory=dict)
    """Of what is not a process of ours."""
    surroundings: Callable[[ServiceSpec], Mapping[str, str]] = lambda _: {}
    """What an instance is told of those that it depends on, in its environment."""
