"""When the state of remote write becomes an event: pure, time is an argument.

Failing or lagging for longer than `warn_after` is told of once, and once more when it is well again. Samples that were
lost or refused are told of at most once a minute, with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bhtui.core.event import EventKind
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.sending import Verdict, news, trouble, trouble_text
from bhtui.core.units import format_size

EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of so far."""

    bad: str = ""
    """`failing` or `lagging` while that was told of and has not ended."""
    dropped: int = 0
    rejected: int = 0
    counted_at: float | None = None
    """When losses were last told of, monotonic seconds."""


def judge(
    told: Told, status: RemoteWriteStatus, warn_after: float, now: float, now_ns: int
) -> tuple[Told, list[Verdict]]:
    """What is to be told now; `now` is monotonic seconds."""
    verdicts: list[Verdict] = []
    bad = trouble(status, warn_after, now_ns)
    said = news(told.bad, bad, status.state, ("ok",))
    if said == "recovered":
        waits = f"{status.sent} samples sent, {status.behind_samples} wait"
        message = f"remote write to {status.name} is well again: {waits}"
        verdicts.append(Verdict(EventKind.REMOTE_WRITE_RECOVERED, message, _data(status)))
    elif said:
        verdicts.append(_trouble(status, bad, now_ns))
    if told.counted_at is None or now - told.counted_at >= EVERY:
        losses = list(_losses(told, status))
        verdicts += losses
        if losses:
            told = replace(told, dropped=status.dropped, rejected=status.rejected, counted_at=now)
    return replace(told, bad=bad if said else told.bad), verdicts


def _trouble(status: RemoteWriteStatus, bad: str, now_ns: int) -> Verdict:
    waits = f"{status.behind_samples} samples ({format_size(status.behind_bytes)}) wait on disk"
    kind = EventKind.REMOTE_WRITE_FAILING if bad == "failing" else EventKind.REMOTE_WRITE_LAGGING
    separator = "; " if bad == "failing" else ": "
    text = trouble_text(f"remote write to {status.name}", status, bad, now_ns)
    return Verdict(kind, text + separator + waits, _data(status))


def _losses(told: Told, status: RemoteWriteStatus) -> Iterator[Verdict]:
    whose, data = f"remote write to {status.name}", {"name": status.name}
    if (count := status.dropped - told.dropped) > 0:
        message = f"{whose} lost {count} samples: the buffer or the disk was full; see metrics.remote_write.buffer"
        yield Verdict(EventKind.REMOTE_WRITE_LOST, message, {**data, "count": count})
    if (count := status.rejected - told.rejected) > 0:
        message = f"{whose}: {count} samples were refused for good: {status.last_error}"
        yield Verdict(EventKind.REMOTE_WRITE_REJECTED, message, {**data, "count": count, "why": status.last_error})


def _data(status: RemoteWriteStatus) -> dict[str, Any]:
    return {
        "name": status.name, "target": status.target, "error": status.last_error,
        "behind_samples": status.behind_samples, "behind_bytes": status.behind_bytes,
        "behind_seconds": round(status.behind_seconds, 1), "dropped": status.dropped, "rejected": status.rejected,
    }  # fmt: skip
