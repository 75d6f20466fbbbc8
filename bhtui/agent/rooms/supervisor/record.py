"""What of an instance outlives the agent and the host, as the JSON values of the `instances` table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bhtui.core import codec
from bhtui.core.spec import ServiceSpec
from bhtui.core.states import ALIVE, Goal, Result, State

from .instance import Instance
from .restart import History


def to_record(i: Instance, boot_id: str) -> dict[str, Any]:
    """The record of an instance. What a run was given in its environment is not in it."""
    return {
        "service": i.service,
        "boot": boot_id,
        "state": str(i.state),
        "goal": str(i.goal),
        "result": str(i.result),
        "incarnation": i.incarnation,
        "pid": i.pid,
        "started_ns": i.started_ns,
        "since_ns": i.since_ns,
        "restarts": i.history.restarts,
        "recent": list(i.history.recent),
        "streak": i.history.streak,
        "exit_text": i.exit_text,
        "last_error": i.last_error,
        "asked_by": i.asked_by,
        "ran_as": i.ran_as,
        "held_by": i.held_by,
        "not_held": i.not_held,
        **(_of_foreign(i) if i.spec.is_foreign else {}),
        **({"held": i.held} if i.held else {}),
        **({"spec": codec.encode(i.spec)} if i.coming else {}),
    }


def _of_foreign(i: Instance) -> dict[str, Any]:
    return {
        "kind": str(i.spec.kind),
        "run": i.run,
        "asking": i.asking,
        "hold_before": dict(i.hold_before),
        "restarts_before": dict(i.restarts_before),
    }


def from_record(i: Instance, record: Mapping[str, Any]) -> Instance:
    """The instance with what was recorded. Without its process: a state in which it had one becomes `stopped`.

    A spec with which it is to go on until its next start is kept too; one that cannot be read any more is left out.
    """
    if before := _spec_before(record):
        i = replace(i, spec=before, coming=i.spec)
    state = State(record["state"])
    resting = state in (State.STOPPED, State.FAILED)
    return replace(
        i,
        state=state if resting else State.STOPPED,
        goal=Goal(record["goal"]),
        result=Result(record["result"]),
        incarnation=record["incarnation"],
        started_ns=record["started_ns"],
        since_ns=record["since_ns"],
        history=History(record["restarts"], tuple(record["recent"]), record["streak"]),
        exit_text=record["exit_text"],
        last_error=record["last_error"],
        asked_by=record["asked_by"],
        ran_as=record.get("ran_as", ""),
        held_by=record.get("held_by", ""),
        not_held=record.get("not_held", ""),
    )


def _spec_before(record: Mapping[str, Any]) -> ServiceSpec | None:
    if "spec" not in record:
        return None
    try:
        spec: ServiceSpec = codec.decode(ServiceSpec, record["spec"])
    except codec.CodecError:
        return None
    return spec


def had_process(record: Mapping[str, Any]) -> bool:
    """Whether it had a process when this was recorded."""
    return State(record["state"]) in ALIVE and record["pid"] is not None


def was_ready(record: Mapping[str, Any] | None) -> bool:
    """Whether its process had been ready when this was recorded."""
    return record is not None and record["state"] in (State.RUNNING, State.STOPPING)
