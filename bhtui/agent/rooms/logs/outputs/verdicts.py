"""When an output's state becomes an event: pure, time is an argument.

An output that fails or lags for longer than its `warn_after` is told of once, and once more when it is well again.
Lines that were rejected are told of at most once a minute, with their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bhtui.core.event import EventKind
from bhtui.core.outputs import OutputSpec, OutputStatus
from bhtui.core.units import format_age, format_size

REJECTED_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """An event to be appended; its target is the output."""

    kind: EventKind
    message: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one output so far."""

    bad: str = ""
    """`failing` or `lagging` while that was told of and has not ended."""
    rejected: int = 0
    """Lines that were told of."""
    rejected_at: float | None = None


def judge(spec: OutputSpec, told: Told, status: OutputStatus, now: float, now_ns: int) -> tuple[Told, list[Verdict]]:
    """What is to be told now; `now` is monotonic seconds."""
    verdicts = []
    bad = _bad(spec, status, now_ns)
    if bad and bad != told.bad:
        verdicts.append(_trouble(status, bad, now_ns))
    elif told.bad and not bad and _is_well(status):
        message = f"output {spec.name} is well again: {status.sent} lines sent, {status.behind_lines} wait"
        verdicts.append(Verdict(EventKind.OUTPUT_RECOVERED, message, _data(status)))
    else:
        bad = told.bad
    rejected, at = told.rejected, told.rejected_at
    if status.dead_lettered < rejected:  # it counts anew
        rejected = 0
    if status.dead_lettered > rejected and (at is None or now - at >= REJECTED_EVERY):
        count = status.dead_lettered - rejected
        message = f"output {spec.name}: {count} lines were refused for good and put aside: {status.last_error}"
        verdicts.append(Verdict(EventKind.OUTPUT_REJECTED, message, {"count": count, "why": status.last_error}))
        rejected, at = status.dead_lettered, now
    return Told(bad, rejected, at), verdicts


def _bad(spec: OutputSpec, status: OutputStatus, now_ns: int) -> str:
    if status.failing_since_ns and (now_ns - status.failing_since_ns) / 1e9 >= spec.warn_after:
        return "failing"
    return "lagging" if status.state == "lagging" else ""


def _is_well(status: OutputStatus) -> bool:
    return status.state in ("ok", "idle")


def _trouble(status: OutputStatus, bad: str, now_ns: int) -> Verdict:
    waits = f"{status.behind_lines} lines ({format_size(status.behind_bytes)}) wait in the captured files"
    kind = EventKind.OUTPUT_FAILING if bad == "failing" else EventKind.OUTPUT_LAGGING
    separator = "; " if bad == "failing" else ": "
    return Verdict(kind, trouble_text(status, bad, now_ns) + separator + waits, _data(status))


def trouble_text(status: OutputStatus, bad: str, now_ns: int) -> str:
    """What is wrong with an output, `bad` as in Told."""
    if bad == "failing" and status.failing_since_ns:
        since = format_age((now_ns - status.failing_since_ns) / 1e9)
        return f"output {status.name} has failed for {since}: {status.last_error}"
    return f"output {status.name} is {format_age(status.behind_seconds)} behind"


def _data(status: OutputStatus) -> dict[str, Any]:
    return {
        "target": status.target, "error": status.last_error, "behind_bytes": status.behind_bytes,
        "behind_lines": status.behind_lines, "behind_seconds": round(status.behind_seconds, 1),
        "dropped": status.dropped,
    }  # fmt: skip
