"""Everything that is known of one thing that runs on a host, and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from bhtui.core.units import format_age, format_size
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb

from ..actions import bindings
from ..columns.overview import level_of
from ..models.host import HostView
from ..models.overview import Thing, ago
from ..models.trouble import SIGN, STYLE
from ..paint import Line, Span, Spans, plain, width_of, wrap
from ..widgets.canvas import Canvas
from ..widgets.title import ruled, title

_LABEL = 11
Facts = list[tuple[str, Spans]]


class ThingPane(Canvas):
    """Facts, and how it becomes a service."""

    can_focus = True
    contexts = ("thing",)
    BINDINGS = bindings("thing")

    def __init__(self) -> None:
        super().__init__()
        self._called = ""
        self._thing: Thing | None = None

    def show(self, name: str, thing: Thing | None) -> None:
        """Shows a thing; None: it is not among what was seen last."""
        self._called, self._thing = name, thing
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        head = Line(ruled(title("", plain(self._called).upper(), self.has_focus), (), width))
        thing = self._thing
        if thing is None:
            return [head, Line(), Line((("   is not among what is busy or listens here any more", "dim"),))]
        lines = [head]
        for label, spans in facts(thing, self.console_app.now()):
            text = "".join(piece for piece, _ in spans)
            pieces = wrap(text, width - _LABEL - 4) if len(spans) == 1 else [text]
            if len(pieces) == 1:
                lines.append(Line(((" " + label.rjust(_LABEL) + "  ", "dim"), *spans)))
                continue
            for number, piece in enumerate(pieces):
                lines.append(
                    Line(((" " + ("" if number else label).rjust(_LABEL) + "  ", "dim"), (piece, spans[0][1])))
                )
        return [*lines, *_related(thing, height - len(lines)), *_way_on(thing, width)]


def name_of(thing: Thing) -> str:
    """What it is called in a breadcrumb."""
    about: Any = thing.about
    match thing.kind:
        case "process":
            return f"{about.name} {about.pid}"
        case "listener":
            return f"{about.protocol} {about.address}"
        case _:
            return str(about.name)


def facts(thing: Thing, now: float) -> Facts:
    """Labels and what is known."""
    about = thing.about
    match about:
        case pb.OverviewUnit():
            found = _unit(thing, about, now)
        case pb.OverviewContainer():
            found = _container(thing, about)
        case pb.OverviewProcess():
            found = _process(about)
        case _:
            found = _listener(about)
    if thing.owner:
        found.append(("service", ((plain(thing.owner), "ok"),)))
    return [(label, spans) for label, spans in found if any(text for text, _ in spans)]


def _unit(thing: Thing, unit: pb.OverviewUnit, now: float) -> Facts:
    level = level_of(thing)
    since = ago(thing.host, unit.since_ns, now)
    state: Spans = (
        (f"{SIGN[level]} {unit.state or 'has processes'}", STYLE[level]),
        (f"  {since}" if since else "", "dim"),
    )
    return [
        ("what", ((plain(unit.description), "strong"),)),
        ("state", state),
        ("failed", ((plain(unit.why), "bad"),)),
        (
            "manager",
            (
                ("the user's own" if unit.user else "the system's", ""),
                (f" ({plain(unit.user)})" if unit.user else "", "dim"),
            ),
        ),
        *_usage(unit),
        ("processes", ((str(unit.processes), ""), (f"  main {unit.pid}" if unit.HasField("pid") else "", "dim"))),
    ]


def _container(thing: Thing, each: pb.OverviewContainer) -> Facts:
    level = level_of(thing)
    return [
        ("state", ((f"{SIGN[level]} {plain(each.text or each.state or 'has processes')}", STYLE[level]),)),
        ("image", ((plain(each.image), ""),)),
        ("engine", ((plain(each.engine), ""),)),
        ("id", ((plain(each.id), "dim"),)),
        *_usage(each),
        ("processes", ((str(each.processes), ""),)),
    ]


def _process(each: pb.OverviewProcess) -> Facts:
    return [
        ("command", ((plain(each.command), "strong"),)),
        ("process", ((f"{each.pid}", ""), (f"  {plain(each.name)}, {each.threads} threads", "dim"))),
        ("user", ((plain(each.user), ""),)),
        ("running for", ((format_age(each.age_seconds), ""),)),
        *_usage(each),
        ("unit", ((plain(each.unit), ""),)),
        ("container", ((plain(each.container), ""),)),
    ]


def _listener(each: pb.OverviewListener) -> Facts:
    return [
        ("listens on", ((f"{each.protocol} {plain(each.address)}", "strong"),)),
        (
            "process",
            ((plain(each.process) or "not to be seen", ""), (f"  {each.pid}" if each.HasField("pid") else "", "dim")),
        ),
        ("user", ((plain(each.user), ""),)),
        ("unit", ((plain(each.unit), ""),)),
        ("container", ((plain(each.container), ""),)),
    ]


def _usage(about: Any) -> Facts:
    cpu = f"{about.cpu_percent:.1f} % of a core" if about.HasField("cpu_percent") else ""
    return [("cpu", ((cpu, ""),)), ("memory", ((format_size(about.memory_bytes) if about.memory_bytes else "", ""),))]


def _related(thing: Thing, room: int) -> list[Line]:
    """What listens for it, and which processes it has, as far as they were seen."""
    seen, about = thing.host.overview, thing.about
    if seen is None or room < 4:
        return []
    lines: list[Span] = [
        (f"{each.protocol} {plain(each.address)}  {plain(each.process)} {each.pid or ''}", "")
        for each in seen.listeners
        if thing.kind != "listener" and _belongs(about, each)
    ]
    lines += [
        (f"{each.pid:>7}  {plain(each.command)}", "dim")
        for each in seen.processes
        if thing.kind != "process" and _belongs(about, each)
    ]
    if not lines:
        return []
    return [Line(), Line((("  OF IT", "title"),)), *(Line((("   ", ""), each)) for each in lines)][: room - 2]


def _belongs(about: object, each: pb.OverviewListener | pb.OverviewProcess) -> bool:
    match about:
        case pb.OverviewUnit():
            return each.unit == about.name
        case pb.OverviewContainer():
            return bool(each.container) and each.container in (about.name, about.id[:12])
        case pb.OverviewProcess() | pb.OverviewListener():
            return bool(each.pid) and each.pid == about.pid
        case _:
            return False


def _way_on(thing: Thing, width: int) -> Iterable[Line]:
    """How it becomes a service."""
    if not thing.target or _is_read_only(thing.host):
        return []
    said: Spans = (("   a", "key"), (" makes a service of it; in a shell: ", "dim"))
    told = f"blackhole adopt {thing.target}"
    if width_of(said) + len(told) <= width:
        return [Line(), Line((*said, (told, "link")))]
    return [Line(), Line(said), *(Line((("     ", ""), (piece, "link"))) for piece in wrap(told, width - 6))]


def _is_read_only(host: HostView) -> bool:
    return host.info.read_only
