"""Columns of what a host runs, declared or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bhtui.rpc.blackhole.v1 import overview_pb2 as pb

from ..models.overview import Thing
from ..models.trouble import SIGN, STYLE, Level
from ..paint import Spans, plain
from . import cells
from .column import Column


def level_of(thing: Thing) -> Level:
    """How bad it is."""
    about = thing.about
    if isinstance(about, pb.OverviewUnit):
        return Level.BAD if about.state == "failed" else Level.FINE
    if isinstance(about, pb.OverviewContainer):
        return {"dead": Level.BAD, "restarting": Level.WARN, "exited": Level.OFF, "created": Level.OFF}.get(
            about.state, Level.FINE
        )
    return Level.FINE


def _sign(thing: Thing, _: float, __: int) -> Spans:
    level = level_of(thing)
    return ((SIGN[level], STYLE[level]),)


def _text(get: Callable[[Any], str], style: str = "") -> Callable[[Thing, float, int], Spans]:
    return lambda thing, _, __: cells.text(get(thing.about), style)


def without_folder(command: str) -> str:
    """A command line without the folder of its program, which would take the room of what it does."""
    program, _, rest = command.partition(" ")
    return command if program[:1] not in ("/", ".") else f"{program.rpartition('/')[2]} {rest}".strip()


def _cpu(thing: Thing, _: float, __: int) -> Spans:
    about: Any = thing.about
    return (
        ((f"{about.cpu_percent:.0f} %", cells.heat(about.cpu_percent / 100)),) if about.cpu_percent else cells.NOTHING
    )


def _memory(thing: Thing, _: float, __: int) -> Spans:
    about: Any = thing.about
    return cells.size(about.memory_bytes or None)


def _owner(thing: Thing, _: float, __: int) -> Spans:
    """The service that it is of, before the unit or container."""
    about: Any = thing.about
    if thing.owner:
        return ((plain(thing.owner), "ok"),)
    return cells.text(getattr(about, "container", "") or getattr(about, "unit", ""), "dim")


def _what(thing: Thing, _: float, __: int) -> Spans:
    """What a unit is; what its failure is stands below."""
    about: Any = thing.about
    if thing.owner:
        return ((f"service {plain(thing.owner)}", "ok"),)
    return cells.text(about.description, "dim")


def _state(thing: Thing, _: float, __: int) -> Spans:
    about: Any = thing.about
    if thing.owner:
        return ((f"service {plain(thing.owner)}", "ok"),)
    return cells.text(about.text or about.state or "running", "dim")


def _by_cpu(thing: Thing, _: float) -> float:
    about: Any = thing.about
    return -float(about.cpu_percent)


def _by_memory(thing: Thing, _: float) -> int:
    about: Any = thing.about
    return -int(about.memory_bytes)


CPU: Column[Thing] = Column("CPU", 5, _cpu, "right", priority=2, sort=_by_cpu)
MEM: Column[Thing] = Column("MEM", 6, _memory, "right", priority=3, sort=_by_memory)

UNITS: tuple[Column[Thing], ...] = (
    Column("", 1, _sign),
    Column("UNIT", 16, _text(lambda unit: unit.name, "strong"), grow=2, most=34, sort=lambda thing, _: thing.key),
    CPU,
    MEM,
    Column("WHAT", 12, _what, priority=4, grow=3, most=50),
)
LISTENERS: tuple[Column[Thing], ...] = (
    Column("", 3, _text(lambda each: each.protocol, "dim"), priority=5),
    Column("LISTENS ON", 14, _text(lambda each: each.address, "strong"), grow=2, most=26),
    Column("PROCESS", 9, _text(lambda each: each.process), priority=1, grow=1, most=16),
    Column("PID", 7, _text(lambda each: str(each.pid or "")), "right", priority=6),
    Column("USER", 8, _text(lambda each: each.user, "dim"), priority=7),
    Column("OF", 8, _owner, priority=4, grow=2, most=28),
)
PROCESSES: tuple[Column[Thing], ...] = (
    Column("PID", 7, _text(lambda each: str(each.pid), "strong"), "right"),
    Column("USER", 8, _text(lambda each: each.user, "dim"), priority=6),
    CPU,
    MEM,
    Column("COMMAND", 12, _text(lambda each: without_folder(each.command)), grow=4, most=80),
    Column("OF", 8, _owner, priority=7, grow=1, most=24),
)
CONTAINERS: tuple[Column[Thing], ...] = (
    Column("", 1, _sign),
    Column("CONTAINER", 11, _text(lambda each: each.name, "strong"), grow=2, most=24),
    CPU,
    MEM,
    Column("STATE", 9, _state, priority=4, grow=1, most=24),
    Column("IMAGE", 10, _text(lambda each: each.image, "dim"), priority=5, grow=2, most=30),
)
