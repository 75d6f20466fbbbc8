"""An operation in words: how far it is, what it does now, how it ended."""

from __future__ import annotations

from bhtui.rpc.blackhole.v1 import operations_pb2

from .host import HostView

ENDED = frozenset({"done", "failed", "cancelled"})
_STEP_ENDED = frozenset({"done", "failed", "skipped", "undone", "undo-failed"})


def progress(operation: operations_pb2.Operation) -> str:
    """Steps that have ended, of all: `2/5`; once it has failed or was cancelled, those that were done. Empty: it
    has none, as an emergency stop, which acts before there is a plan."""
    if not operation.steps:
        return ""
    counted = frozenset({"done"}) if operation.state in ("failed", "cancelled") else _STEP_ENDED
    return f"{sum(step.state in counted for step in operation.steps)}/{len(operation.steps)}"


def duration(operation: operations_pb2.Operation, host: HostView, now: float) -> float | None:
    """Seconds it took, or has taken so far; None when it has not begun."""
    if not operation.started_ns:
        return None
    if operation.ended_ns:
        return (operation.ended_ns - operation.started_ns) / 1e9
    return host.instance_age(operation.started_ns, now)


def headline(operation: operations_pb2.Operation, host: HostView, now: float) -> tuple[str, str]:
    """One line for the bottom of the screen, and its style."""
    what = f"{operation.kind} {' '.join(operation.targets) or 'all'} on {host.name}"
    seconds = duration(operation, host, now)
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    if operation.state == "done":
        return f"✓ {what} done{took}", "ok"
    if operation.state in ENDED:
        return f"✗ {what} {operation.state}{took}: {first_line(operation.error)}", "bad"
    running = next((step for step in operation.steps if step.state in ("running", "waiting", "undoing")), None)
    doing = f" · {running.title}{': ' + running.detail if running.detail else ''}" if running else ""
    return f"▶ {what} {progress(operation)}{doing}".rstrip(), "link"


def first_line(text: str) -> str:
    """The first line of a text, or what to say instead of none."""
    return text.splitlines()[0] if text else "no reason was given"
