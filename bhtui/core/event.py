"""Events: every fact the agent observed, in one ordered log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .operation import Actor


class EventKind(StrEnum):
    """What can be observed. Each is described in docs/reference/events.md."""

    AGENT_STARTED = "agent.started"
    AGENT_STOPPED = "agent.stopped"
    KEEPER_REPLACED = "keeper.replaced"
    EMERGENCY_STOP = "keeper.emergency"  # everything was killed past the agent
    CONFIG_LOADED = "config.loaded"
    CONFIG_REFUSED = "config.refused"
    STATE_CHANGED = "instance.state"
    HEALTH_CHANGED = "instance.health"
    INSTANCE_ADOPTED = "instance.adopted"
    OPERATION_CHANGED = "operation.state"
    STEP_CHANGED = "operation.step"
    LOGS_LOST = "logs.lost"
    EVENTS_LOST = "events.lost"  # what the disk had no room for, counted
    STORE_DAMAGED = "store.damaged"  # the agent's database was put aside and a new one begun


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `seq` grows by one for each event of a host and is never used again."""

    seq: int
    time_ns: int
    kind: str
    target: str = ""
    """Instance, operation or file the fact is about."""
    message: str = ""
    """One line for people."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """JSON values for programs: `{"from": "starting", "to": "running"}`."""
    actor: Actor | None = None
