"""The tables of `blackhole resources`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bhtui.core.resources import NEAR, InstanceResources, LimitState
from bhtui.core.status import HostStatus

from .present import RED, YELLOW, origin, size, table

Cell = tuple[str, str]
Column = Callable[[InstanceResources], Cell]


class Row(NamedTuple):
    """One instance and where it is."""

    host: str
    seen: InstanceResources


def render(columns: dict[str, Column], rows: Sequence[Row], limits: Sequence[str], hosts: bool) -> str:
    """A table; below each instance what of these limits is not held there."""
    heads = ["HOST", "INSTANCE", *columns] if hosts else ["INSTANCE", *columns]
    cells = []
    below = {}
    for number, row in enumerate(rows):
        first: list[Cell] = [(row.host, "")] if hosts else []
        cells.append([*first, (row.seen.instance, ""), *(column(row.seen) for column in columns.values())])
        below[number] = [
            f"{each.name}: {each.not_held}" for each in row.seen.limits if each.name in limits and each.not_held
        ]
    return table(heads, cells, below) if rows else "no services are declared here\n"


def _part(used: float | None, limit: float | None) -> Cell:
    if used is None or not limit:
        return "-", ""
    part = used / limit
    return f"{part:.0%}", RED if part >= 1 else YELLOW if part >= NEAR else ""


def _limits(seen: InstanceResources, names: Sequence[str]) -> list[LimitState]:
    return [each for name in names if (each := seen.limit(name))]


def _origin(*names: str) -> Column:
    """Of the limit among these that was set last."""

    def column(seen: InstanceResources) -> Cell:
        found = max(_limits(seen, names), key=lambda each: each.override_ns, default=None)
        if found is None:
            return "-", ""
        return origin(found.override_by, (time.time_ns() - found.override_ns) / 1e9), ""

    return column


def _held_by(*names: str) -> Column:
    def column(seen: InstanceResources) -> Cell:
        found = _limits(seen, names)
        told = dict.fromkeys(each.held_by or "nothing" for each in found if each.word or each.amount is not None)
        return (", ".join(told) or "-"), YELLOW if "nothing" in told else ""

    return column


def _count(number: float | None, colour: str = "") -> Cell:
    return ("-", "") if number is None else (f"{number:g}", colour if number else "")


def _limit(name: str, text: Callable[[float], str]) -> Column:
    """The limit, `none` where it was lifted at run time, `-` where there is none."""

    def column(seen: InstanceResources) -> Cell:
        found = seen.limit(name)
        if found is None:
            return "-", ""
        return ("none", "") if found.amount is None else (text(found.amount), "")

    return column


def _amount(name: str) -> Column:
    return _limit(name, lambda number: f"{number:g}")


def _rate(number: float | None) -> Cell:
    return ("-", "") if number is None else (f"{size(number)}/s", "")


def _cpu(seen: InstanceResources) -> Cell:
    return ("-", "") if seen.cpu_percent is None else (f"{seen.cpu_percent:.1f} %", "")


def _throttled(seen: InstanceResources) -> Cell:
    if not seen.cpu_periods or seen.cpu_throttled is None:
        return "-", ""
    seconds = seen.cpu_throttled_seconds or 0.0
    return f"{seen.cpu_throttled / seen.cpu_periods:.0%}, {seconds:.1f} s", YELLOW if seen.cpu_throttled else ""


def _disk(seen: InstanceResources) -> Cell:
    told = [f"{size(each.free_bytes)} free of {size(each.total_bytes)} at {each.path}" for each in seen.disks]
    full = any(each.used_part >= NEAR for each in seen.disks)
    return ("; ".join(told) or "-"), YELLOW if full else ""


MEMORY: dict[str, Column] = {
    "MEMORY": lambda seen: (size(seen.memory_bytes), ""),
    "LIMIT": _limit("memory", size),
    "USED": lambda seen: _part(seen.memory_bytes, seen.amount("memory")),
    "ORIGIN": _origin("memory"),
    "HELD BY": _held_by("memory"),
    "AT LIMIT": lambda seen: _count(seen.memory_hits, YELLOW),
    "OOM KILLS": lambda seen: _count(seen.oom_kills, RED),
    "ON PRESSURE": lambda seen: (", ".join(seen.on_pressure) or "-", ""),
}
CPU: dict[str, Column] = {
    "CPU": _cpu,
    "LIMIT": _limit("cpu", lambda number: f"{number:g} core{'s' * (number != 1)}"),
    "USED": lambda seen: _part(seen.cpu_percent, (seen.amount("cpu") or 0) * 100),
    "THROTTLED": _throttled,
    "THREADS": lambda seen: _count(seen.threads),
    "MAY": _amount("pids"),
    "NICE": _amount("nice"),
    "ORIGIN": _origin("cpu", "pids", "nice"),
    "HELD BY": _held_by("cpu", "pids", "nice"),
}
DISK: dict[str, Column] = {
    "READS": lambda seen: _rate(seen.read_bytes_per_second),
    "WRITES": lambda seen: _rate(seen.write_bytes_per_second),
    "IOPS": _amount("iops"),
    "BANDWIDTH": _limit("bandwidth", lambda number: f"{size(number)}/s"),
    "IONICE": lambda seen: ((found.word or "none") if (found := seen.limit("ionice")) else "-", ""),
    "ORIGIN": _origin("iops", "bandwidth", "ionice"),
    "HELD BY": _held_by("iops", "bandwidth", "ionice"),
    "DISK": _disk,
}
LIMITS_OF = {
    "memory": (MEMORY, ("memory",)),
    "cpu": (CPU, ("cpu", "pids", "nice")),
    "disk": (DISK, ("iops", "bandwidth", "ionice")),
}
"""Verb: its columns, and the limits it is about."""


def host_line(verb: str, name: str, host: HostStatus) -> str:
    """What the host itself has, above the table."""
    said = {
        "memory": f"{size(host.memory_used_bytes)} of {size(host.memory_total_bytes)} of memory in use",
        "cpu": f"{host.cpus} cores, "
        + ("" if host.cpu_percent is None else f"{host.cpu_percent:.0f} % in use, ")
        + f"load {host.load1:.2f}",
        "disk": f"the disk of the agent's state is {host.disk_used_percent:.0f} % full",
    }
    return f"{name}: {said[verb]}\n"


def check_table(found: Iterable[tuple[str, str, str, str]], hosts: bool) -> str:
    """Host, instance, resource and what is near its end."""
    rows = [[(each, "") for each in line[0 if hosts else 1 :]] for line in found]
    if not rows:
        return "nothing is near its limit\n"
    return table(["HOST", "INSTANCE", "RESOURCE", "SAYS"][0 if hosts else 1 :], rows)
