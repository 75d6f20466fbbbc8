"""`blackhole logs stats` and `histogram`: how many lines there are, of what, and when."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import GREY, RED, YELLOW, colourful, paint, shapely, size, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, Target, everywhere, opened
from bhtui.cli.times import local_text
from bhtui.core.errors import BlackholeError
from bhtui.core.logs import LEVELS, LogCount, LogCounts
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1.logs_pb2 import CountLogsRequest, LogsRequest
from bhtui.rpc.convert.logs import counts_from_message

from .engine import place_where_missed
from .selection import selection

SHOWN = ("fatal", "error", "warning", "info", "debug", "trace", "")
"""Levels from the most serious; the last are lines in which none is recognised."""
COLOURS = {"fatal": RED, "error": RED, "warning": YELLOW, "debug": GREY, "trace": GREY}
SIGNS = {"fatal": "F", "error": "E", "warning": "W", "info": "i", "debug": "d", "trace": "t", "": "."}
"""For a bar without colours."""
SECOND = 1_000_000_000
STRETCHES = 40
"""Lines of a histogram, at most."""


@click.command(
    "stats",
    cls=Verb,
    help="How many lines and bytes each service wrote, by level, and how many are missing; as JSON also by time.",
    epilog="""
    blackhole logs stats --since 1h
    blackhole logs stats api --instances
    """,
)
@selection
@click.option("--instances", is_flag=True, help="A row for each instance.")
@click.pass_obj
def stats(settings: Settings, request: LogsRequest, instances: bool) -> int:
    answers = _count(settings, request)
    found = [(target.name, each) for target, counts in answers.good for each in counts.counts]
    if not settings.plain:
        every = [(target.name, counts.bucket_ns, each) for target, counts in answers.good for each in counts.counts]
        write_list([_to_json(*each) for each in every], settings.output)
    elif answers.good:
        sys.stdout.write(_table(found, settings.remote, instances))
    return answers.report()


@click.command(
    "histogram",
    cls=Verb,
    help="How many lines were written when, by level, of all services and hosts together.",
    epilog="""
    blackhole logs histogram --since 1h
    blackhole logs histogram api --level error
    """,
)
@selection
@click.pass_obj
def histogram(settings: Settings, request: LogsRequest) -> int:
    answers = _count(settings, request)
    bucket, bars = stretches([counts for _, counts in answers.good if counts.counts])
    if not settings.plain:
        write_list([_stretch_to_json(start, bucket, bar) for start, bar in bars], settings.output)
    elif answers.good:
        sys.stdout.write(draw(bars) if bars else "no lines\n")
    return answers.report()


def _count(settings: Settings, request: LogsRequest) -> Answers[LogCounts]:
    return asyncio.run(_counted(settings, CountLogsRequest(query=request, most=STRETCHES)))


async def _counted(settings: Settings, request: CountLogsRequest) -> Answers[LogCounts]:
    async with opened(settings) as targets:
        answers = await everywhere(settings, targets, lambda target: _counts(target, request))
        if settings.remote:
            await place_where_missed([target for target, _ in answers.good])
        return answers


async def _counts(target: Target, request: CountLogsRequest) -> LogCounts:
    client = await target.client()
    async for each in client.count_logs(request):
        if each.done:
            return counts_from_message(each)
    raise BlackholeError("cannot count: the agent ended before it was done; try again")


def _table(found: Sequence[tuple[str, LogCount]], hosts: bool, instances: bool) -> str:
    lines: dict[tuple[str, str], Counter[str]] = {}
    sizes: Counter[tuple[str, str]] = Counter()
    missing: Counter[tuple[str, str]] = Counter()
    for host, each in found:
        key = host, each.instance if instances else each.service
        lines.setdefault(key, Counter())[each.level] += each.lines
        sizes[key] += each.bytes
        missing[key] += each.missing
    if not lines:
        return "no lines\n"
    levels = [level for level in SHOWN if any(count[level] for count in lines.values())]
    heads = ["INSTANCE" if instances else "SERVICE", "LINES", "SIZE", *(level.upper() or "OTHER" for level in levels)]
    heads += ["MISSING"] * any(missing.values())
    rows = []
    for key, count in lines.items():
        cells = [(str(count[level] or "-"), COLOURS.get(level, "") if count[level] else "") for level in levels]
        row = [(key[1], ""), (str(count.total()), ""), (size(sizes[key]), ""), *cells]
        if any(missing.values()):
            row.append((str(missing[key] or "-"), RED if missing[key] else ""))
        rows.append([(key[0], ""), *row] if hosts else row)
    return table(["HOST", *heads] if hosts else heads, rows)


def stretches(found: Sequence[LogCounts]) -> tuple[int, list[tuple[int, Counter[str]]]]:
    """The length of a stretch, and when each begins with its lines by level; also those without any."""
    if not found:
        return 0, []
    bucket = max(counts.bucket_ns for counts in found)
    everything = [replace(each, start_ns=each.start_ns // bucket * bucket) for one in found for each in one.counts]
    while (span := _span(everything)) // bucket >= STRETCHES:
        bucket *= 2
        everything = [replace(each, start_ns=each.start_ns // bucket * bucket) for each in everything]
    first = min(each.start_ns for each in everything)
    bars: dict[int, Counter[str]] = {first + at * bucket: Counter() for at in range(span // bucket + 1)}
    for each in everything:
        bars[each.start_ns][each.level] += each.lines
    return bucket, list(bars.items())


def _span(counts: Iterable[LogCount]) -> int:
    starts = [each.start_ns for each in counts]
    return max(starts) - min(starts)


def draw(bars: Sequence[tuple[int, Counter[str]]]) -> str:
    """A line for each stretch: when it begins, how many lines, how many of them errors, and a bar."""
    most = max(bar.total() for _, bar in bars)
    digits, errors = len(str(most)), len(str(max(_errors(bar) for _, bar in bars)))
    heads = f"{'FROM':19}  {'LINES':>{max(digits, 5)}}  {'ERRORS':>{max(errors, 6)}}  "
    room = max(10, min(120, shutil.get_terminal_size().columns) - len(heads))
    drawn = [heads.rstrip()]
    for start, bar in bars:
        counted = f"{bar.total():>{max(digits, 5)}}  {_errors(bar) or '-':>{max(errors, 6)}}"
        drawn.append(f"{local_text(start)[:19]}  {counted}  {_bar(bar, most, room)}".rstrip())
    return "".join(f"{line}\n" for line in drawn)


def _errors(bar: Counter[str]) -> int:
    return bar["error"] + bar["fatal"]


def _bar(bar: Counter[str], most: int, room: int) -> str:
    """Its levels one after the other, the most serious first; what is there at all has one column at least."""
    colours, sign = colourful(), "█" if shapely() else "#"
    parts = []
    for level in SHOWN:
        if bar[level]:
            width = max(1, round(bar[level] / most * room))
            parts.append(paint(sign * width, COLOURS.get(level, ""), True) if colours else SIGNS[level] * width)
    return "".join(parts)


def _to_json(host: str, bucket: int, each: LogCount) -> dict[str, object]:
    return {
        "host": host,
        "service": each.service,
        "instance": each.instance,
        "level": each.level,
        "from": format_time(each.start_ns),
        "seconds": bucket // SECOND,
        "lines": each.lines,
        "bytes": each.bytes,
        "missing": each.missing,
    }


def _stretch_to_json(start: int, bucket: int, bar: Counter[str]) -> dict[str, object]:
    levels = {level or "other": bar[level] for level in ("", *LEVELS)}
    return {"from": format_time(start), "seconds": bucket // SECOND, "lines": bar.total(), **levels}
