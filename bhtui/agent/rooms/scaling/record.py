"""What is remembered of a service's changes, as JSON values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .model import Cause, Change, History


def to_record(history: History) -> dict[str, Any]:
    """As it is kept."""
    return {
        "count": history.count,
        "changes": [[each.time_ns, each.before, each.after, str(each.cause), each.reason] for each in history.changes],
        "failures": history.failures,
        "failed_ns": history.failed_ns,
        "memory_before": dict(history.memory_before),
        "memory_helped": history.memory_helped,
        "operation": history.operation,
        "noticed": dict(history.noticed),
    }


def is_news(before: History, after: History) -> bool:
    """Whether it is to be kept: that something still holds that was noticed changes all the time, and is not."""
    return replace(before, noticed=dict.fromkeys(before.noticed, 0)) != replace(
        after, noticed=dict.fromkeys(after.noticed, 0)
    )


def from_record(record: Mapping[str, Any] | None) -> History:
    """Back again. Without a record, or with a damaged one: nothing is remembered."""
    if not record:
        return History()
    try:
        return History(
            count=int(record["count"]),
            changes=tuple(
                Change(int(t), int(a), int(b), Cause(why), str(said)) for t, a, b, why, said in record["changes"]
            ),
            failures=int(record["failures"]),
            failed_ns=int(record["failed_ns"]),
            memory_before={str(name): float(share) for name, share in record["memory_before"].items()},
            memory_helped=record["memory_helped"],
            operation=str(record["operation"]),
            noticed={str(name): int(time_ns) for name, time_ns in record["noticed"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return History()
