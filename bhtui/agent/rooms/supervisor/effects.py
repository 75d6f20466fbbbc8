"""What the machine asks the driver to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bhtui.core.event import EventKind


class Timer(StrEnum):
    """What an instance waits for with a deadline; at most one of each kind runs."""

    READY = "ready"
    GRACE = "grace"
    BACKOFF = "backoff"


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process; answer with on_spawned or on_spawn_failed."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Send the signal (`SIGTERM`) to the main process."""

    name: str


@dataclass(frozen=True, slots=True)
class RunStopCommand:
    """Run the service's own stop command, for at most `timeout` seconds."""

    command: tuple[str, ...]
    timeout: float


@dataclass(frozen=True, slots=True)
class KillTree:
    """Kill every process of that incarnation; answer with on_killed."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start the timer, or start it anew; when it rings for a later incarnation it is dropped."""

    timer: Timer
    delay: float
    incarnation: int


@dataclass(frozen=True, slots=True)
class StopTimer:
    """The timer is not needed any more."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class WatchHealth:
    """Probe it from now on; answer with on_health. `starting`: ask often, until it is ready."""

    incarnation: int
    starting: bool


@dataclass(frozen=True, slots=True)
class ForgetHealth:
    """Probe it no more."""


@dataclass(frozen=True, slots=True)
class Record:
    """Append an event."""

    kind: EventKind
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing is to be done, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was asked will not be done, and why; the asker is told."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskManager:
    """Ask the manager of a unit or container: `start`, `stop` or `restart`; answer with mirror.on_answered.

    `grace` in seconds, for a stop; None: as the manager has it.
    """

    verb: str
    grace: float | None = None


Effect = (
    Spawn | Signal | RunStopCommand | KillTree | StartTimer | StopTimer | WatchHealth | ForgetHealth | Record | Ignored
    | Refusal | AskManager
)  # fmt: skip
