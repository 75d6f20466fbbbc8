"""The states of an instance and the edges between them.

EDGES is the whole truth: the supervisor refuses any other change, and the diagram in the docs is drawn from it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What an instance is doing."""

    STOPPED = "stopped"
    WAITING = "waiting"  # to be started, once what it depends on is there
    STARTING = "starting"  # the process runs, its first readiness is awaited
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"  # it ended and will be started again after a delay
    FAILED = "failed"  # it will not be started again by itself


class Goal(StrEnum):
    """What was asked of an instance."""

    UP = "up"
    DOWN = "down"


class Result(StrEnum):
    """How the last run of an instance ended."""

    NONE = "none"
    SUCCESS = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    OOM_KILL = "oom-kill"
    START_TIMEOUT = "start-timeout"
    SPAWN_ERROR = "spawn-error"
    LIVENESS = "liveness"  # ended by us, because its liveness probe failed
    UNKNOWN = "unknown"  # it ended while nobody could see its exit status


class Health(StrEnum):
    """What the probes say."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


EDGES: dict[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.WAITING, State.STARTING, State.RUNNING, State.FAILED}),
    State.WAITING: frozenset({State.STARTING, State.STOPPED, State.FAILED}),
    State.STARTING: frozenset({State.RUNNING, State.STOPPING, State.BACKOFF, State.FAILED, State.STOPPED}),
    State.RUNNING: frozenset({State.STOPPING, State.BACKOFF, State.FAILED, State.STOPPED}),
    State.STOPPING: frozenset({State.STOPPED, State.FAILED, State.BACKOFF, State.STARTING, State.WAITING}),
    State.BACKOFF: frozenset({State.STARTING, State.STOPPED, State.FAILED}),
    State.FAILED: frozenset({State.WAITING, State.STARTING, State.STOPPED, State.RUNNING}),
}

ALIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""States in which a process exists."""

SETTLED = frozenset({State.STOPPED, State.RUNNING, State.FAILED})
"""States that do not change by themselves."""
