"""The overview of a host for people, in as many columns as the terminal has."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TypeVar

from bhtui.core.overview import Container, Interface, Listener, Machine, Overview, Process, Unit

from .present import BOLD, GREY, RED, YELLOW, age, colourful, paint, printable, size, table

Cell = tuple[str, str]
T = TypeVar("T")
MOST = 8
"""Rows of each list, unless all are asked for."""
WIDEST = 10_000
"""For a pipe, which cuts nothing."""
LEAST = 10
"""Columns that the last cell of a row has in any terminal."""


def render(seen: Overview, name: str, every: bool = False) -> str:
    """Everything, with headings."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
    most = 1 << 30 if every else MOST
    parts = [machine_lines(seen.machine, name, seen.services)]
    parts += [
        _section("FAILED UNITS", seen.failed, UNIT_FAILED, most, width),
        _section("BUSIEST UNITS", seen.units, UNIT, most, width),
        _section("CONTAINERS", seen.containers, CONTAINER, most, width),
        _section("LISTENING", seen.listeners, LISTENER, most, width),
        _section("BUSIEST PROCESSES", seen.processes, PROCESS, most, width),
    ]
    told = [
        line for each in seen.unseen for line in wrap(f"not seen: {printable(each)}", width, subsequent_indent="  ")
    ]
    parts += ["".join(f"{line}\n" for line in told)]
    return "\n".join(part for part in parts if part)


def machine_lines(machine: Machine, name: str, services: int) -> str:
    """What the host is and has."""
    colours = colourful()
    first = f"{printable(machine.os)}, {printable(machine.kernel)}, up {age(machine.uptime_seconds)}"
    lines = [paint(printable(name), BOLD, colours) + f"  {first}"]
    if machine.reboot_required:
        lines.append(paint(f"reboot   wanted {printable(machine.reboot_required)}", YELLOW, colours))
    cpu = "" if machine.cpu_percent is None else f"{machine.cpu_percent:.0f} % of "
    load = f"load {machine.load1:.2f} {machine.load5:.2f} {machine.load15:.2f}"
    lines.append(f"cpu      {cpu}{machine.cpus} cores, {load}, {machine.processes} processes")
    swap = (
        f", swap {size(machine.swap_used_bytes)} of {size(machine.swap_total_bytes)}"
        if machine.swap_total_bytes
        else ""
    )
    lines.append(f"memory   {size(machine.memory_used_bytes)} of {size(machine.memory_total_bytes)}{swap}")
    if machine.pressures:
        told = "  ".join(f"{each.resource} {each.some_percent:.0f} %" for each in machine.pressures)
        lines.append(f"waiting  {told}  of the last 10 s")
    lines += [_disk_line(machine, at, colours) for at in range(min(4, len(machine.disks)))]
    lines += [f"network  {_network(each)}" for each in machine.interfaces[:3]]
    lines.append(f"services {services or 'none'} declared here")
    return "".join(f"{line}\n" for line in lines)


def _disk_line(machine: Machine, at: int, colours: bool) -> str:
    disk = machine.disks[at]
    used = f"{100 * disk.used_part:3.0f} % of {size(disk.total_bytes)}"
    text = f"{'' if at else 'disk':8} {used}  {printable(disk.path)}"
    if disk.inodes_part >= 0.5:
        text += f", {100 * disk.inodes_part:.0f} % of its inodes"
    if disk.read_only:
        text += ", read-only"
    fullest = max(disk.used_part, disk.inodes_part)
    return paint(text, RED if fullest >= 0.95 else YELLOW if fullest >= 0.85 else "", colours)


def _network(each: Interface) -> str:
    if each.received_per_second is None or each.sent_per_second is None:
        return printable(each.name)
    return f"{printable(each.name)}  in {size(each.received_per_second)}/s  out {size(each.sent_per_second)}/s"


Columns = dict[str, Callable[[T], Cell]]


def _section(title: str, rows: Sequence[T], columns: Columns[T], most: int, width: int) -> str:
    """A heading and its table, whose last column is cut to the width; empty when there is nothing."""
    if not rows:
        return ""
    shown = rows[:most]
    heads = list(columns)
    cells = [[(printable(text), colour) for text, colour in (cell(row) for cell in columns.values())] for row in shown]
    room = width - sum(max(len(heads[at]), *(len(row[at][0]) for row in cells)) + 2 for at in range(len(heads) - 1))
    cells = [[*row[:-1], (_cut(row[-1][0], max(LEAST, room)), row[-1][1])] for row in cells]
    more = f"  ({len(shown)} of {len(rows)}; all with --all)" if len(shown) < len(rows) else ""
    return f"{paint(title, BOLD, colourful())}{more}\n{table(heads, cells)}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _short(text: str, width: int) -> Cell:
    return _cut(text, width) or "-", ""


def _cpu(each: Unit | Container | Process) -> Cell:
    return ("-", "") if each.cpu_percent is None else (f"{each.cpu_percent:.1f} %", "")


def _memory(each: Unit | Container | Process) -> Cell:
    return size(each.memory_bytes), ""


def _owner(each: Listener | Process) -> Cell:
    """What it belongs to: a service of ours above all."""
    owner = each.instance or (f"container {each.container}" if each.container else each.unit)
    return _cut(owner, 26) or "-", "" if each.instance else GREY


def _since(each: Unit) -> Cell:
    return (f"{age(time.time() - each.since_ns / 1e9)} ago" if each.since_ns else "-"), ""


def _what(description: str, service: str) -> Cell:
    return (f"service {service}" if service else description or "-"), ""


UNIT_FAILED: Columns[Unit] = {
    "UNIT": lambda each: (_cut(each.name, 34), RED),
    "FAILED": _since,
    "WHY": lambda each: (each.why or "-", ""),
}
UNIT: Columns[Unit] = {
    "UNIT": lambda each: _short(each.name, 30),
    "CPU": _cpu,
    "MEMORY": _memory,
    "DESCRIPTION": lambda each: _what(each.description, each.service),
}
CONTAINER: Columns[Container] = {
    "CONTAINER": lambda each: _short(each.name, 24),
    "ENGINE": lambda each: (each.engine or "-", ""),
    "CPU": _cpu,
    "MEMORY": _memory,
    "STATE": lambda each: _what(each.text or each.state or "running", each.service),
    "IMAGE": lambda each: (each.image or "-", ""),
}
LISTENER: Columns[Listener] = {
    "ADDRESS": lambda each: (f"{each.protocol} {each.address}", ""),
    "PID": lambda each: (str(each.pid) if each.pid else "-", ""),
    "PROCESS": lambda each: _short(each.process, 15),
    "USER": lambda each: _short(each.user, 10),
    "OF": _owner,
}
PROCESS: Columns[Process] = {
    "PID": lambda each: (str(each.pid), ""),
    "USER": lambda each: _short(each.user, 10),
    "CPU": _cpu,
    "MEMORY": _memory,
    "OF": _owner,
    "COMMAND": lambda each: (each.command, ""),
}
