"""Everything that is known of one instance, in words."""

from __future__ import annotations

from typing_extensions import override

from bhtui.core.units import format_age, format_size
from bhtui.rpc.blackhole.v1 import events_pb2, status_pb2

from ..actions import bindings
from ..columns.cells import clock, heat
from ..columns.operations import event_style
from ..columns.services import ServiceRow, state_text
from ..models.trouble import SIGN, STYLE, Level, reason
from ..paint import Line, Span, Spans, crop, meter, plain, wrap
from ..widgets.canvas import Canvas
from ..widgets.logline import folded
from ..widgets.title import ruled, title

Fact = tuple[str, Spans]
"""Its name, and what it is."""
_LABEL = 11
_TAIL = 10
"""Lines of what it wrote last that stand under its last error."""


class DetailPane(Canvas):
    """Facts, the last error whole, and what happened lately."""

    can_focus = True
    contexts = ("detail",)
    BINDINGS = bindings("detail")

    def __init__(self) -> None:
        super().__init__()
        self._row: ServiceRow | None = None
        self._instance = ""

    def show(self, name: str, row: ServiceRow | None) -> None:
        """Shows an instance; None: it is no longer declared."""
        self._instance, self._row = name, row
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        row = self._row
        now = self.console_app.now()
        lines = [Line(ruled(title("1", self._instance.upper(), self.has_focus), (), width))]
        if row is None:
            return [*lines, Line(), Line((("   is not declared on this host (any more)", "dim"),))]
        facts = [
            Line(((" " + label.rjust(_LABEL) + "  ", "dim"), *spans))
            for label, spans in _facts(row, now, width - _LABEL - 3)
        ]
        error = self._error(row, width)
        # What went wrong stands above what is merely so.
        lines += facts[:2] + error + facts[2:] if row.view.level >= Level.WARN else facts + error
        lines += self._events(row, height - len(lines))
        return lines

    def _error(self, row: ServiceRow, width: int) -> list[Line]:
        text = row.view.status.last_error
        if not text:
            return []
        style = {Level.BAD: "bad", Level.WARN: "warn"}.get(row.view.level, "dim")
        first, *tail = text.splitlines()
        room = width - _LABEL - 4
        pieces = [(piece, style) for piece in wrap(plain(reason(row.view.status) or first), room)]
        # What it wrote last, as the log shows it.
        pieces += [(crop(" ".join(folded(line.strip())).strip(), room), "dim") for line in tail[-_TAIL:]]
        labels = ["last error", *[""] * len(pieces)]
        return [
            Line(((" " + label.rjust(_LABEL) + "  ", "dim"), piece))
            for label, piece in zip(labels, pieces, strict=False)
        ]

    def _events(self, row: ServiceRow, room: int) -> list[Line]:
        name = row.view.name
        found = [event for event in row.host.events if event.target == name][-max(0, room - 2) :]
        if not found or room < 3:
            return []
        lines = [Line(), Line((("  LATELY", "title"),))]
        lines += [Line(_event(event)) for event in reversed(found)]
        return lines[:room]


def _event(event: events_pb2.Event) -> Spans:
    return ((f"   {clock(event.time_ns)} ", "time"), (plain(event.message or event.kind), event_style(event)))


def _facts(row: ServiceRow, now: float, width: int) -> list[Fact]:
    status, room = row.view.status, max(20, width)
    return [
        ("state", _state(row, now)),
        *_wrapped("held by", status.held, "notice", room),
        *_wrapped("waits for", status.waiting_for, "notice", room),
        ("health", _health(row)),
        ("process", _process(row)),
        (
            "cpu",
            ((f"{status.cpu_percent:.1f} % of a core", ""),) if status.HasField("cpu_percent") else (("-", "faint"),),
        ),
        ("memory", _memory(row, width)),
        ("open", _open(status)),
        ("ports", ((" ".join(f":{port}" for port in status.ports) or "-", ""),)),
        *([("endpoint", _endpoint(row))] if status.endpoint else []),
        ("restarts", _restarts(status)),
        *_wrapped("", status.restarts_note, "notice", room),
        *_number(row, room),
        *_wrapped("others", status.untold, "warn", room),
        *(_dropped(row, room) if status.HasField("log_dropped") else []),
    ]


def _wrapped(name: str, text: str, style: str, width: int) -> list[Fact]:
    """A fact of as many lines as it takes; none when there is no text."""
    pieces = wrap(plain(text), width) if text else ()
    return [("" if number else name, ((piece, style),)) for number, piece in enumerate(pieces)]


def _state(row: ServiceRow, now: float) -> Spans:
    status, level = row.view.status, row.view.level
    since = f" for {format_age(row.host.instance_age(status.since_ns, now))}" if status.since_ns else ""
    return (
        (f"{SIGN[level]} {state_text(row, now)}", STYLE[level]), (since, "dim"), (f"  wanted {status.goal}", "dim")
    )  # fmt: skip


def _open(status: status_pb2.InstanceStatus) -> Spans:
    return (
        (f"{status.fds} files" if status.HasField("fds") else "-", ""),
        (f", {status.threads} threads" if status.HasField("threads") else "", ""),
    )


def _restarts(status: status_pb2.InstanceStatus) -> Spans:
    end = f"  last end: {status.result}" if status.result not in ("", "none") else ""
    return ((str(status.restarts), "warn" if status.restarts else ""), (end, "dim"))


def _endpoint(row: ServiceRow) -> Spans:
    status = row.view.status
    ready = status.state == "running" and status.health in ("healthy", "degraded")
    return ((plain(status.endpoint), ""), ("  ready", "ok") if ready else ("  not ready", "dim"))


def _number(row: ServiceRow, width: int) -> list[Fact]:
    """How many instances its service has, and why, where that is not what is declared."""
    status = row.view.status
    facts: list[Fact] = []
    if status.HasField("scaling"):
        by, ago = plain(status.scaling.by), format_age(status.scaling.seconds)
        declared = (f" instead of {status.scaling.declared}, set by {by} {ago} ago", "dim")
        facts.append(("replicas", ((str(status.scaling.replicas), ""), declared)))
    return facts + _wrapped("by load", status.auto_scale, "", width)


def _dropped(row: ServiceRow, width: int) -> list[Fact]:
    """What is not in its log, as it was over the rate limit."""
    found = row.view.status.log_dropped
    over = found.limit or "its rate limit"
    said = f"lacks {found.lines:,} lines ({format_size(found.bytes)}) over {over}, last {format_age(found.seconds)} ago"
    return _wrapped("log", said, "bad", width)


def _health(row: ServiceRow) -> Spans:
    status = row.view.status
    style = {"healthy": "ok", "degraded": "warn", "unhealthy": "bad"}.get(status.health, "dim")
    detail: Span = (f"  {plain(status.health_detail)}" if status.health_detail else "", "dim")
    by = f" by {status.probe}" if status.probe not in ("", "none") else " (no health check declared)"
    return ((status.health or "unknown", style), (by, "dim"), detail)


def _process(row: ServiceRow) -> Spans:
    status = row.view.status
    by: Span = (f"  {status.kind} {plain(status.ref)}" if status.ref else "", "dim")
    if not status.HasField("pid"):
        return (("none", "dim"), by)
    up = f"  up {format_age(status.uptime_seconds)}" if status.HasField("uptime_seconds") else ""
    return ((f"pid {status.pid}", ""), (up, "dim"), by)


def _memory(row: ServiceRow, width: int) -> Spans:
    status = row.view.status
    if not status.HasField("memory_bytes"):
        return (("-", "faint"),)
    used: Span = (format_size(status.memory_bytes), "strong")
    if not status.HasField("memory_limit_bytes") or not status.memory_limit_bytes:
        return (used, ("  no limit", "dim"))
    share = status.memory_bytes / status.memory_limit_bytes
    full, empty = meter(share, max(4, min(20, width - 34)))
    held = f" held by {status.limits_held_by}" if status.limits_held_by and width >= 48 else ""
    return (
        used,
        ("  ", ""),
        (full, heat(share) or "g2"),
        (empty, "faint"),
        (f" {100 * share:.0f} % of {format_size(status.memory_limit_bytes)}", "dim"),
        (held, "dim"),
    )
