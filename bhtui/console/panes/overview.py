"""What a host runs, declared or not: units, listening sockets, processes, containers; above it what the host has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from typing_extensions import override

from bhtui.core.units import format_size
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb

from ..actions import bindings
from ..columns.cells import heat
from ..columns.column import Column
from ..columns.overview import level_of
from ..models.host import HostView
from ..models.overview import Thing, ago
from ..models.trouble import Level
from ..paint import Line, Span, Spans, fit, meter, paragraph, plain, spark
from ..widgets.canvas import Canvas
from ..widgets.table import Row, Table
from ..widgets.title import ruled, title

METER = 10
_LABEL = 5


class ThingsPane(Table[Thing]):
    """One of the lists."""

    contexts = ("overview", "table")
    BINDINGS = bindings("overview")

    def __init__(self, number: str, name: str, columns: Sequence[Column[Thing]], nothing: str) -> None:
        super().__init__(columns, empty=self._empty)
        self.number, self.heading, self.nothing = number, name, nothing
        self.why_empty = ""
        """Why nothing can be seen; empty: there is nothing."""
        self._told: list[Line] = []
        self._facts: Spans = ()

    def show(self, items: Sequence[Thing], total: int, why_empty: str, unseen: str, now: float) -> None:
        """Shows the things that pass the filter, of so many; and what of them cannot be seen."""
        self.why_empty = why_empty
        width = self.size.width or 40
        self._told = paragraph(plain(f"not seen: {unseen}"), "faint", width) if unseen and items else []
        bad = sum(level_of(each) is Level.BAD for each in items)
        count = f"{len(items)} of {total}" if len(items) != total else f"{total}"
        self._facts = ((f"{bad} failed  ", "bad"),) if bad else ()
        self._facts = (*self._facts, (count, "dim")) if total else self._facts
        shown = self.sorted_items(list(items), now)
        self.set_rows([Row(each.key, each, _why(each, self.size.width, now)) for each in shown])

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        head = Line(ruled(title(self.number, self.heading, self.has_focus, self._facts), (), width))
        self.footer_lines = self._told if len(self._told) + len(self.rows) + self.heads() < height else []
        return [head, *super().draw(width, height - 1)]

    def heads(self) -> int:
        return 2

    def wanted_height(self) -> int:
        return super().wanted_height() - len(self.footer_lines) + len(self._told)

    def _empty(self, width: int) -> list[Line]:
        return paragraph(plain(self.why_empty or self.nothing), "dim", width)


def _why(thing: Thing, width: int, now: float) -> tuple[Spans, ...]:
    """Why a unit failed, under its row."""
    about = thing.about
    if not isinstance(about, pb.OverviewUnit) or not about.why:
        return ()
    since = ago(thing.host, about.since_ns, now)
    lines = textwrap.wrap(plain(f"{about.why}{f', {since}' if since else ''}"), max(20, width - 8))[:2]
    return tuple((("   └ " if not number else "     ", "faint"), (line, "bad")) for number, line in enumerate(lines))


class MachinePane(Canvas):
    """Processors, memory, disks, network, in a few lines over the whole width."""

    LINES = 5

    def __init__(self) -> None:
        super().__init__()
        self._host: HostView | None = None

    def show(self, host: HostView) -> None:
        """Shows what the host has."""
        self._host = host
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        seen = self._host.overview if self._host else None
        if self._host is None or seen is None:
            why = (self._host.link.detail if self._host else "") or "looking around ..."
            return [Line(ruled(title("", "HOST", False), (), width)), Line(((f"   {plain(why)}", "dim"),))]
        machine = seen.machine
        facts: Spans = ((f"{plain(machine.kernel)}  {machine.processes} processes", "dim"),)
        if machine.reboot_required:
            facts = ((f"reboot wanted {plain(machine.reboot_required)}  ", "warn"), *facts)
        lines = [
            ("cpu", _processors(machine, self._host.cpu)),
            ("mem", _memory(machine)),
            ("disk", _disks(machine)),
            ("net", _network(machine)),
        ]
        head = Line(ruled(title("", "HOST", False, facts), (), width))
        return [head, *(Line(fit(((f" {label:{_LABEL}}", "dim"), *spans), width)) for label, spans in lines)]


def _processors(machine: pb.OverviewMachine, history: tuple[float, ...]) -> Spans:
    used = machine.cpu_percent if machine.HasField("cpu_percent") else 0.0
    load = f"load {machine.load1:.2f} {machine.load5:.2f} {machine.load15:.2f}"
    waiting = "  ".join(f"{each.resource} {each.some_percent:.0f} %" for each in machine.pressures)
    return (
        (spark(history or (used,), METER), "g3"),
        (f" {used:3.0f} %", heat(used / 100)),
        (f" of {machine.cpus} cores   {load}", ""),
        (f"   waiting {waiting}" if waiting else "", "dim"),
    )


def _meter(used: float, total: float) -> list[Span]:
    share = used / total if total else 0.0
    full, empty = meter(share, METER)
    return [(full, heat(share) or "g2"), (empty, "faint"), (f" {100 * share:3.0f} %", heat(share))]


def _memory(machine: pb.OverviewMachine) -> Spans:
    of = f" of {format_size(machine.memory_total_bytes)}"
    swap = f"   swap {format_size(machine.swap_used_bytes)} of {format_size(machine.swap_total_bytes)}"
    return (
        *_meter(machine.memory_used_bytes, machine.memory_total_bytes),
        (of, ""),
        (swap if machine.swap_total_bytes else "   no swap", "dim"),
    )


def _disks(machine: pb.OverviewMachine) -> Spans:
    spans: list[Span] = []
    for number, disk in enumerate(machine.disks):
        used = disk.total_bytes - disk.free_bytes
        if not number:
            spans += _meter(used, disk.total_bytes)
            spans.append((f" of {format_size(disk.total_bytes)} {plain(disk.path)}", ""))
        else:
            share = used / disk.total_bytes if disk.total_bytes else 0.0
            spans.append((f"   {100 * share:.0f} % of {format_size(disk.total_bytes)} {plain(disk.path)}", heat(share)))
        inodes = 1 - disk.inodes_free / disk.inodes if disk.inodes else 0.0
        if inodes >= 0.5:
            spans.append((f", {100 * inodes:.0f} % of inodes", heat(inodes)))
        if disk.read_only:
            spans.append((", read-only", "warn"))
    return tuple(spans)


def _network(machine: pb.OverviewMachine) -> Spans:
    told = [
        f"{plain(each.name)} in {format_size(each.received_per_second)}/s out {format_size(each.sent_per_second)}/s"
        for each in machine.interfaces
    ]
    return (("   ".join(told) or "-", ""),)
