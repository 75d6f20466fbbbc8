"""When an output's state becomes an event: pure, time is an argument.

An output that fails or lags for longer than its `warn_after` is told of once, and once more when it is well again.
Lines that were rejected are told of at most once a minute, with their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bhtui.core.event import EventKind
from bhtui.core.outputs import OutputSpec, OutputStatus
from bhtui.core.sending import Verdict, news, trouble, trouble_text
from bhtui.core.units import format_size

REJECTED_EVERY = 60.0


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
    bad = trouble(status, spec.warn_after, now_ns)
    said = news(told.bad, bad, status.state, ("ok", "idle"))
    if said == "recovered":
        message = f"output {spec.name} is well again: {status.sent} lines sent, {status.behind_lines} wait"
        verdicts.append(Verdict(EventKind.OUTPUT_RECOVERED, message, _data(status)))
    elif said:
        verdicts.append(_trouble(status, bad, now_ns))
    rejected, at = told.rejected, told.rejected_at
    if status.dead_lettered < rejected:  # it counts anew
        rejected = 0
    if status.dead_lettered > rejected and (at is None or now - at >= REJECTED_EVERY):
        count = status.dead_lettered - rejected
        message = f"output {spec.name}: {count} lines were refused for good and put aside: {status.last_error}"
        verdicts.append(Verdict(EventKind.OUTPUT_REJECTED, message, {"count": count, "why": status.last_error}))
        rejected, at = status.dead_lettered, now
    return Told(bad if said else told.bad, rejected, at), verdicts


def _trouble(status: OutputStatus, bad: str, now_ns: int) -> Verdict:
    waits = f"{status.behind_lines} lines ({format_size(status.behind_bytes)}) wait in the captured files"
    kind = EventKind.OUTPUT_FAILING if bad == "failing" else EventKind.OUTPUT_LAGGING
    separator = "; " if bad == "failing" else ": "
    return Verdict(kind, trouble_text(f"output {status.name}", status, bad, now_ns) + separator + waits, _data(status))


def _data(status: OutputStatus) -> dict[str, Any]:
    return {
        "target": status.target, "error": status.last_error, "behind_bytes": status.behind_bytes,
        "behind_lines": status.behind_lines, "behind_seconds": round(status.behind_seconds, 1),
        "dropped": status.dropped,
    }  # fmt: skip
