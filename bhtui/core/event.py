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
    KEEPER_STUCK = "keeper.stuck"
    EMERGENCY_STOP = "keeper.emergency"  # everything was killed past the agent
    CLOCK_SET = "clock.set"
    CONFIG_LOADED = "config.loaded"
    CONFIG_REFUSED = "config.refused"
    STATE_CHANGED = "instance.state"
    HEALTH_CHANGED = "instance.health"
    INSTANCE_ADOPTED = "instance.adopted"
    CHANGED_OUTSIDE = "instance.outside"  # a unit or container was started or stopped past the agent
    LIMITS_NOT_HELD = "limits.not_held"
    LIMITS_PRESSURE = "limits.pressure"
    STOP_COMMAND_FAILED = "instance.stop_command"
    RESTART_HELD = "instance.held"  # what would be restarted by itself, in a maintenance window
    RESTARTS_OFF = "restarts.off"  # of a unit or container, by its manager, for a maintenance window
    RESTARTS_ON = "restarts.on"
    RESTARTS_NOT_HELD = "restarts.not_held"
    WINDOW_OPENED = "window.opened"
    WINDOW_CLOSED = "window.closed"
    REPLICAS_CHANGED = "service.replicas"
    ENDPOINTS_TOLD = "endpoints.told"
    ENDPOINTS_FAILED = "endpoints.failed"
    SCALING_DECIDED = "scaling.decided"
    SCALING_HELD = "scaling.held"  # once, until it was otherwise for a while
    OPERATION_CHANGED = "operation.state"
    STEP_CHANGED = "operation.step"
    LOGS_LOST = "logs.lost"
    LOGS_LIMITED = "logs.limited"
    OUTPUT_FAILING = "output.failing"
    OUTPUT_LAGGING = "output.lagging"
    OUTPUT_RECOVERED = "output.recovered"
    OUTPUT_LOST = "output.lost"
    OUTPUT_REJECTED = "output.rejected"
    BACKUP_MADE = "backup.made"
    BACKUP_FAILED = "backup.failed"
    BACKUP_LATE = "backup.late"  # once, until there is a good one again
    BACKUP_VERIFIED = "backup.verified"
    BACKUP_DAMAGED = "backup.damaged"
    BACKUP_RESTORED = "backup.restored"
    DATA_RESET = "data.reset"
    BACKUP_DRILLED = "backup.drilled"
    BACKUP_PRUNED = "backup.pruned"
    BACKUP_UNLOCKED = "backup.unlocked"
    REMOTE_WRITE_FAILING = "remote-write.failing"
    REMOTE_WRITE_LAGGING = "remote-write.lagging"
    REMOTE_WRITE_RECOVERED = "remote-write.recovered"
    REMOTE_WRITE_LOST = "remote-write.lost"
    REMOTE_WRITE_REJECTED = "remote-write.rejected"
    DISK_FULL = "disk.full"  # once, until there is room again
    EVENTS_LOST = "events.lost"  # what the disk had no room for, counted
    STORE_DAMAGED = "store.damaged"  # the agent's database was put aside and a new one begun


MEANING: dict[EventKind, str] = {
    EventKind.AGENT_STARTED: "The agent runs and answers.",
    EventKind.AGENT_STOPPED: "The agent ends, and why. A killed agent leaves none.",
    EventKind.KEEPER_REPLACED: "The keeper died; another one took over its processes, pipes and log files.",
    EventKind.KEEPER_STUCK: "The keeper is there and does not answer: why, and what is done (`wait` `wake` `replace`). "
    "Or it `answers` again.",
    EventKind.EMERGENCY_STOP: "Every process was killed past the agent, by whom; nothing starts until a person asks.",
    EventKind.CLOCK_SET: "Somebody set the clock of the host; by how many seconds (back: less than 0). Nothing is "
    "restarted for it; ages and delays go on as they were.",
    EventKind.CONFIG_LOADED: "Another configuration is in force; `digest` is its SHA-256.",
    EventKind.CONFIG_REFUSED: "A configuration was not taken, with every problem found; the one before stays in force.",
    EventKind.STATE_CHANGED: "An instance went from one state to another, and why.",
    EventKind.HEALTH_CHANGED: "The probes of an instance say something else than before.",
    EventKind.INSTANCE_ADOPTED: "An agent that was started found this instance running and goes on with it.",
    EventKind.CHANGED_OUTSIDE: "Somebody started or stopped a unit or container past the agent; its goal follows.",
    EventKind.LIMITS_NOT_HELD: "An instance was started with limits that nothing holds here; each with the reason.",
    EventKind.LIMITS_PRESSURE: "An instance is near its memory limit; with what is done about it, step by step.",
    EventKind.RESTART_HELD: "An instance would be restarted by itself, and is held: by which maintenance window.",
    EventKind.RESTARTS_OFF: "The manager of a unit or container starts it again no more: a maintenance window is open.",
    EventKind.RESTARTS_ON: "The manager of a unit or container starts it again as before.",
    EventKind.RESTARTS_NOT_HELD: "The restarts of a unit or container cannot be held, or not be let again, and why.",
    EventKind.WINDOW_OPENED: "A maintenance window is open, until when, and who opened it with which reason.",
    EventKind.WINDOW_CLOSED: "A maintenance window is closed; what it held is started.",
    EventKind.STOP_COMMAND_FAILED: "The stop command of an instance failed, with the reason; its signal was sent.",
    EventKind.REPLICAS_CHANGED: "Another number of instances of a service holds from now on, and who set it.",
    EventKind.ENDPOINTS_TOLD: "The `on_change` of a service has taken the endpoints that are ready now.",
    EventKind.ENDPOINTS_FAILED: "Others were not told of the endpoints of a service, and why; it is tried again.",
    EventKind.SCALING_DECIDED: "The load of a service asks for another number of instances; figures and operation.",
    EventKind.SCALING_HELD: "The number does not follow the load, and why: at the maximum, not measured, failed.",
    EventKind.OPERATION_CHANGED: "An operation was begun, went on or ended; with who asked for it and why.",
    EventKind.STEP_CHANGED: "A step of an operation was begun, waits or ended.",
    EventKind.LOGS_LOST: "Captured lines of an instance could not be kept, with their number and the reason.",
    EventKind.LOGS_LIMITED: "An instance writes more than its rate limit, or (`over`) no more; how much was dropped.",
    EventKind.OUTPUT_FAILING: "A log output has failed for longer than its `warn_after`, with the last error.",
    EventKind.OUTPUT_LAGGING: "What waits to be sent by a log output has waited for longer than its `warn_after`.",
    EventKind.OUTPUT_RECOVERED: "A log output that was failing or lagging is well again.",
    EventKind.OUTPUT_LOST: "Rotation removed lines of an instance before an output had sent them; how many.",
    EventKind.OUTPUT_REJECTED: "An output's other side refused lines for good; they are in its dead-letter file.",
    EventKind.BACKUP_MADE: "A backup of a service was made: which snapshot, how much it took and added.",
    EventKind.BACKUP_FAILED: "A backup of a service was not made, or cannot be trusted, and why.",
    EventKind.BACKUP_LATE: "The newest good backup of a service is older than `backup.promise.rpo`, or there is none; "
    "or it is in time again (`late` is false then).",
    EventKind.BACKUP_VERIFIED: "A snapshot, or the whole repository, was checked, and nothing wrong was found.",
    EventKind.BACKUP_DAMAGED: "A check of the repository found damage: what, and which snapshots it hurts.",
    EventKind.BACKUP_RESTORED: "The data of a service was put back from a snapshot, or into a folder.",
    EventKind.DATA_RESET: "The data of a service was put aside or removed by a reset; it begins with none.",
    EventKind.BACKUP_DRILLED: "A backup was restored on trial and the service started with it, apart from the host: "
    "whether it was well, how long that took, and how old the backup was.",
    EventKind.BACKUP_PRUNED: "Snapshots were removed from the repository, which ones, and how much space that freed.",
    EventKind.BACKUP_UNLOCKED: "A lock was removed from a repository, and whose it was: nobody stood behind it any "
    "more, or somebody asked for it.",
    EventKind.REMOTE_WRITE_FAILING: "Remote write has failed for longer than its `warn_after`, with the last error.",
    EventKind.REMOTE_WRITE_LAGGING: "Samples have waited for remote write for longer than its `warn_after`.",
    EventKind.REMOTE_WRITE_RECOVERED: "Remote write was failing or lagging and is well again.",
    EventKind.REMOTE_WRITE_LOST: "Samples were given up before they were sent: the buffer or the disk was full.",
    EventKind.REMOTE_WRITE_REJECTED: "The other side of remote write refused samples for good; how many, and why.",
    EventKind.DISK_FULL: "The disk of the state or log folder is full; told once, until there is room again.",
    EventKind.EVENTS_LOST: "Events could not be kept, with their number: the disk had no room for a long time.",
    EventKind.STORE_DAMAGED: "The agent's database could not be read; it was put aside and a new one begun.",
}
"""What each kind says, as the docs list it."""


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
