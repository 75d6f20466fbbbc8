"""Operations, plans and requests: messages, core types, and the JSON that `blackhole operations` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bhtui.core.errors import UsageError
from bhtui.core.operation import Actor, Operation, OperationState, Plan, Step, StepState
from bhtui.core.request import (
    AdoptRequest,
    AutoScaleRequest,
    CheckDataRequest,
    CleanupLogsRequest,
    CleanupServiceRequest,
    ClearCacheRequest,
    CloseWindowRequest,
    CollectGarbageRequest,
    CreateBackupRequest,
    DrillBackupsRequest,
    ForgetBackupsRequest,
    HealBackupsRequest,
    OpenWindowRequest,
    PruneBackupsRequest,
    ReloadConfigRequest,
    RepairBackupsRequest,
    RepositoryKeyRequest,
    RepositoryRequest,
    Request,
    ResetLimitsRequest,
    ResetRequest,
    RestartRequest,
    RestoreBackupRequest,
    ResumeRequest,
    RollBackRequest,
    ScaleRequest,
    SetLimitsRequest,
    SetPriorityRequest,
    StartRequest,
    StopRequest,
    VerifyBackupsRequest,
)
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import operations_pb2 as pb

from . import flat

REQUESTS: Mapping[str, type[Request]] = {
    "start": StartRequest,
    "stop": StopRequest,
    "restart": RestartRequest,
    "reload_config": ReloadConfigRequest,
    "scale": ScaleRequest,
    "resume": ResumeRequest,
    "roll_back": RollBackRequest,
    "auto_scale": AutoScaleRequest,
    "set_limits": SetLimitsRequest,
    "reset_limits": ResetLimitsRequest,
    "set_priority": SetPriorityRequest,
    "clear_cache": ClearCacheRequest,
    "collect_garbage": CollectGarbageRequest,
    "cleanup_logs": CleanupLogsRequest,
    "adopt": AdoptRequest,
    "open_window": OpenWindowRequest,
    "close_window": CloseWindowRequest,
    "create_backup": CreateBackupRequest,
    "restore_backup": RestoreBackupRequest,
    "forget_backups": ForgetBackupsRequest,
    "prune_backups": PruneBackupsRequest,
    "verify_backups": VerifyBackupsRequest,
    "drill_backups": DrillBackupsRequest,
    "repair_backups": RepairBackupsRequest,
    "heal_backups": HealBackupsRequest,
    "repository": RepositoryRequest,
    "repository_key": RepositoryKeyRequest,
    "check_data": CheckDataRequest,
    "cleanup_service": CleanupServiceRequest,
    "reset": ResetRequest,
}
"""Field of OperationRequest: what it asks for. Messages and core types have the same names."""
TUPLES = ("services", "lift", "snapshots", "paths")
"""Fields that hold several values."""


def actor_to_message(actor: Actor) -> pb.Actor:
    return flat.encode(actor, pb.Actor)


def actor_from_message(message: pb.Actor) -> Actor:
    return flat.decode(message, Actor)


def step_to_message(step: Step) -> pb.Step:
    return flat.encode(step, pb.Step)


def step_from_message(message: pb.Step) -> Step:
    return flat.decode(message, Step, {"state": StepState})


def operation_to_message(operation: Operation) -> pb.Operation:
    return flat.encode(
        operation,
        pb.Operation,
        actor=actor_to_message(operation.actor),
        steps=[step_to_message(step) for step in operation.steps],
    )


def operation_from_message(message: pb.Operation) -> Operation:
    return flat.decode(
        message,
        Operation,
        {
            "actor": actor_from_message,
            "state": OperationState,
            "targets": tuple,
            "effects": tuple,
            "steps": lambda steps: tuple(step_from_message(step) for step in steps),
        },
    )


def plan_to_message(
    plan: Plan, conflicts: Iterable[Operation] = (), recent_seconds: Sequence[float] = ()
) -> pb.OperationPlan:
    """The plan as a client sees it, with the operations in its way and how long such operations took."""
    return pb.OperationPlan(
        kind=plan.kind,
        targets=plan.targets,
        steps=[
            pb.PlanStep(kind=step.kind, target=step.target, title=step.title, after=step.after) for step in plan.steps
        ],
        effects=plan.effects,
        conflicts=[conflict_text(operation) for operation in conflicts],
        undo_on_failure=plan.undo_on_failure,
        recent_seconds=recent_seconds,
        document=plan.document,
    )


def conflict_text(operation: Operation) -> str:
    """`stop storage by ada@desk (1f0c22ab), running`: the operation in the way, for people."""
    who = operation.actor.name + (f"@{operation.actor.origin}" if operation.actor.origin else "")
    what = " ".join((operation.kind, *operation.targets))
    return f"{what} by {who} ({operation.id[:8]}), {operation.state}"


def request_to_message(
    request: Request, operation_id: str = "", actor: Actor | None = None, reason: str = ""
) -> pb.OperationRequest:
    message = pb.OperationRequest(id=operation_id, reason=reason)
    if actor is not None:
        message.actor.CopyFrom(actor_to_message(actor))
    name = next(name for name, kind in REQUESTS.items() if isinstance(request, kind))
    getattr(message, name).CopyFrom(flat.encode(request, getattr(pb, type(request).__name__)))
    return message


def request_from_message(message: pb.OperationRequest) -> Request:
    """What is asked for. Raises UsageError when the message asks for nothing this agent knows."""
    name = message.WhichOneof("request")
    if name is None:
        raise UsageError(
            "cannot begin the operation: this agent does not know what is asked for; "
            "upgrade it with `blackhole agent upgrade`"
        )
    return flat.decode(getattr(message, name), REQUESTS[name], dict.fromkeys(TUPLES, tuple))


def operation_to_json(message: pb.Operation, host: str = "") -> dict[str, Any]:
    """The object of `operations --output json`; its keys and their order are fixed."""
    return {
        "host": host,
        "id": message.id,
        "kind": message.kind,
        "target": list(message.targets),
        "actor": {"name": message.actor.name, "origin": message.actor.origin},
        "reason": message.reason,
        "state": message.state,
        "steps": [_step_to_json(step) for step in message.steps],
        "effects": list(message.effects),
        "error": message.error,
        "code": message.code,
        "note": message.note,
        "created": _time(message.created_ns),
        "started": _time(message.started_ns),
        "ended": _time(message.ended_ns),
    }


def _step_to_json(step: pb.Step) -> dict[str, Any]:
    return {
        "index": step.index,
        "kind": step.kind,
        "target": step.target,
        "title": step.title,
        "state": step.state,
        "detail": step.detail,
        "started": _time(step.started_ns),
        "ended": _time(step.ended_ns),
    }


def plan_to_json(message: pb.OperationPlan, host: str = "") -> dict[str, Any]:
    """The object of `--dry-run --output json`."""
    return {
        "host": host,
        "kind": message.kind,
        "target": list(message.targets),
        "steps": [
            {"kind": step.kind, "target": step.target, "title": step.title, "after": list(step.after)}
            for step in message.steps
        ],
        "effects": list(message.effects),
        "conflicts": list(message.conflicts),
        "undo_on_failure": message.undo_on_failure,
        "recent_seconds": list(message.recent_seconds),
        "document": message.document,
    }


def _time(time_ns: int) -> str | None:
    return format_time(time_ns) if time_ns else None
