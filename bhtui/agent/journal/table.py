"""Operations and steps as rows. The only file of the journal that knows SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from ...core.operation import Actor, Operation, OperationState, Plan, PlannedStep, Step, StepState
from ..events.chain import canonical
from ..store import Store, clean
from .record import Record, StepRecord

_OPERATION = (
    "number, id, kind, targets, effects, claims, undo_on_failure, preempts, actor_name, actor_origin, reason, "
    "state, error, note, cancelled_by, created_ns, started_ns, ended_ns, code"
)
_STEP = "position, kind, target, title, args, after, timeout, state, detail, learned, started_ns, undo_ns, ended_ns"


def insert(db: sqlite3.Connection, operation: Operation, plan: Plan) -> int:
    """Writes a whole plan, every step pending; the operation's number."""
    cursor = db.execute(
        "INSERT INTO operations (id, kind, targets, effects, claims, undo_on_failure, preempts, actor_name, "
        "actor_origin, reason, state, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation.id,
            plan.kind,
            canonical(plan.targets),
            canonical(plan.effects),
            canonical(sorted(plan.claims)),
            plan.undo_on_failure,
            plan.preempts,
            clean(operation.actor.name),
            clean(operation.actor.origin),
            clean(operation.reason),
            operation.state,
            operation.created_ns,
        ),
    )
    number = cursor.lastrowid or 0
    db.executemany(
        "INSERT INTO steps (operation, position, kind, target, title, args, after, timeout, state) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                position,
                step.kind,
                clean(step.target),
                clean(step.title),
                canonical(dict(step.args)),
                canonical(step.after),
                step.timeout,
                StepState.PENDING,
            )
            for position, step in enumerate(plan.steps)
        ],
    )
    return number


def save_operation(db: sqlite3.Connection, number: int, operation: Operation, cancelled_by: str) -> None:
    """Writes what can change of an operation."""
    db.execute(
        "UPDATE operations SET state = ?, error = ?, note = ?, cancelled_by = ?, started_ns = ?, ended_ns = ?, "
        "code = ? WHERE number = ?",
        (
            operation.state,
            clean(operation.error),
            clean(operation.note),
            clean(cancelled_by),
            operation.started_ns,
            operation.ended_ns,
            operation.code,
            number,
        ),
    )


def save_steps(db: sqlite3.Connection, number: int, steps: Mapping[int, StepRecord]) -> None:
    """Writes what can change of some steps."""
    db.executemany(
        "UPDATE steps SET state = ?, detail = ?, learned = ?, started_ns = ?, undo_ns = ?, ended_ns = ? "
        "WHERE operation = ? AND position = ?",
        [
            (
                record.step.state,
                clean(record.step.detail),
                canonical(dict(record.learned)),
                record.step.started_ns,
                record.undo_ns,
                record.step.ended_ns,
                number,
                index,
            )
            for index, record in steps.items()
        ],
    )


def load_open(store: Store) -> list[Record]:
    """Operations that have not ended, in the order they were begun."""
    rows = store.rows(f"SELECT {_OPERATION} FROM operations WHERE ended_ns = 0 ORDER BY number")  # noqa: S608
    return [_record(store, row) for row in rows]


def load_newest(store: Store, limit: int) -> list[Operation]:
    """The newest operations, newest first."""
    rows = store.rows(
        f"SELECT {_OPERATION} FROM operations ORDER BY number DESC LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [_record(store, row).snapshot() for row in rows]


def load(store: Store, operation_id: str) -> Operation | None:
    """The operation with exactly this id."""
    rows = store.rows(f"SELECT {_OPERATION} FROM operations WHERE id = ?", (operation_id,))  # noqa: S608
    return _record(store, rows[0]).snapshot() if rows else None


def load_plan(store: Store, operation_id: str) -> Plan | None:
    """What the operation with exactly this id was to do."""
    rows = store.rows(f"SELECT {_OPERATION} FROM operations WHERE id = ?", (operation_id,))  # noqa: S608
    return _record(store, rows[0]).plan if rows else None


def ids_with_prefix(store: Store, prefix: str) -> list[str]:
    """At most two ids that begin so: enough to see whether it is one."""
    rows = store.rows(
        "SELECT id FROM operations WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (prefix, prefix + "\U0010ffff")
    )
    return [row[0] for row in rows]


def recent_seconds(store: Store, kind: str, targets: tuple[str, ...], limit: int) -> list[float]:
    """How long operations like this took that were done, newest first."""
    rows = store.rows(
        "SELECT ended_ns - started_ns FROM operations WHERE kind = ? AND targets = ? AND state = ? "
        "ORDER BY number DESC LIMIT ?",
        (kind, canonical(targets), OperationState.DONE, limit),
    )
    return [row[0] / 1e9 for row in rows]


def _record(store: Store, row: tuple[Any, ...]) -> Record:
    (number, identity, kind, targets, effects, claims, undo, preempts, actor_name, actor_origin, reason) = row[:11]
    (state, error, note, cancelled_by, created_ns, started_ns, ended_ns, code) = row[11:]
    rows = store.rows(
        f"SELECT {_STEP} FROM steps WHERE operation = ? ORDER BY position",  # noqa: S608
        (number,),
    )
    plan = Plan(
        kind,
        tuple(json.loads(targets)),
        tuple(map(_planned, rows)),
        tuple(json.loads(effects)),
        frozenset(json.loads(claims)),
        bool(undo),
        bool(preempts),
    )
    operation = Operation(
        identity, kind, plan.targets, Actor(actor_name, actor_origin), reason, OperationState(state), (),
        plan.effects, error, note, created_ns, started_ns, ended_ns, code,
    )  # fmt: skip
    return Record(number, operation, plan, list(map(_step_record, rows)), cancelled_by)


def _planned(row: tuple[Any, ...]) -> PlannedStep:
    _, kind, target, title, args, after, timeout, *_ = row
    return PlannedStep(kind, target, title, json.loads(args), tuple(json.loads(after)), timeout)


def _step_record(row: tuple[Any, ...]) -> StepRecord:
    position, kind, target, title = row[:4]
    state, detail, learned, started_ns, undo_ns, ended_ns = row[7:]
    step = Step(position, kind, target, title, StepState(state), detail, started_ns, ended_ns)
    return StepRecord(step, json.loads(learned), undo_ns)
