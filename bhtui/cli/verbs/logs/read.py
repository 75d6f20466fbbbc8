"""`blackhole logs`: what the services wrote, of all hosts in the order of time."""

from __future__ import annotations

import asyncio
import csv
import sys
import time
from collections.abc import Callable

import click

from bhtui.cli.app import Verb
from bhtui.cli.loglines import Line, LogReader, newest
from bhtui.cli.merge import merged, together
from bhtui.cli.output import write_record
from bhtui.cli.present import BLUE, GREY, RED, YELLOW, colourful, paint, printable
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, everywhere, opened
from bhtui.cli.times import local_text
from bhtui.core import logfields
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1.logs_pb2 import LogsRequest
from bhtui.rpc.client import AgentClient
from bhtui.rpc.convert.logs import line_to_json

from .selection import is_narrow, selection

TERMINAL_TAIL = 200
"""Lines that a terminal is shown when nothing says how many."""

LEVEL_COLOURS = {"trace": GREY, "debug": GREY, "warning": YELLOW, "error": RED, "fatal": RED}
COLUMNS = ("time", "host", "service", "instance", "stream", "level", "message", "partial", "context", "fields")

Write = Callable[[Line], None]


@click.command(
    "logs",
    cls=Verb,
    help=f"Shows what services wrote (all, or those named; `agent` is the agent itself), all of it, or on a terminal "
    f"the newest {TERMINAL_TAIL} lines unless something else is asked for.",
    epilog="""
    blackhole logs identity --tail 100
    blackhole logs --grep error --since 1h
    blackhole logs storage api --follow --level warning
    blackhole logs api --field "status>=500" --context 3
    blackhole logs --export --format json > logs.json
    """,
)
@selection
@click.option("--tail", "-n", type=click.IntRange(0), help="Only the newest so many lines that match.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option("--context", "-C", type=click.IntRange(0, 1000), default=0, help="So many lines around each, too.")
@click.option("--export", is_flag=True, help="All lines, with full times and without colours, for a file.")
@click.option("--format", "form", type=click.Choice(("text", "json", "csv")), help="How lines are written.")
@click.pass_obj
def command(
    settings: Settings,
    request: LogsRequest,
    tail: int | None,
    follow: bool,
    context: int,
    export: bool,
    form: str | None,
) -> int:
    wants_everything = not (export or is_narrow(request))
    request.MergeFrom(LogsRequest(tail=tail or 0, follow=follow, context=context))
    if tail is None and wants_everything and sys.stdout.isatty():
        request.tail = TERMINAL_TAIL
    form = form or {"table": "text"}.get(settings.output, settings.output)
    if tail == 0 and not follow:
        return 0
    if tail == 0:
        request.since_ns = time.time_ns()
    return asyncio.run(_read(settings, request, writer(form, settings.remote, export)))


async def _read(settings: Settings, request: LogsRequest, write: Write) -> int:
    async with opened(settings) as targets:
        reached: Answers[AgentClient] = await everywhere(settings, targets, lambda target: target.client())
        readers = [LogReader(target, request) for target, _ in reached.good]
        await _past(readers, request, write)
        sys.stdout.flush()
        if request.follow:
            async for line in together([reader.new() for reader in readers]):
                write(line)
                sys.stdout.flush()
        return reached.report()


async def _past(readers: list[LogReader], request: LogsRequest, write: Write) -> None:
    lines = merged([reader.past() for reader in readers], lambda line: line[1].time_ns)
    if request.tail and len(readers) > 1:
        for line in await newest(lines, request.tail):
            write(line)
        return
    async for line in lines:
        write(line)


def writer(form: str, hosts: bool, export: bool) -> Write:
    """What writes one line in this form."""
    if form == "csv":
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(COLUMNS)
        return lambda line: out.writerow(_cells(_object(line)))
    if form != "text":
        return lambda line: write_record(_object(line), form)
    if export:
        return lambda line: _write_plain(line, hosts)
    colours = colourful()
    return lambda line: _write_text(line, hosts, colours)


def _object(line: Line) -> dict[str, object]:
    return line_to_json(line[1], line[0].name)


def _cells(fields: dict[str, object]) -> list[object]:
    """Truth and fields are written as JSON writes them."""
    return [logfields.text_of(fields[name]) for name in COLUMNS]


def _write_plain(line: Line, hosts: bool) -> None:
    target, message = line
    host = f"{target.name} " if hosts else ""
    place = f"{host}{message.instance} {message.stream} {message.level or '-'}"
    sys.stdout.write(f"{format_time(message.time_ns)} {place} {message.message}\n")


def _folded(message: str) -> str:
    """What a line of JSON says, and its other fields behind it: for eyes, on a terminal."""
    found = logfields.parse(message) if message.startswith("{") else None
    if found is None:
        return message
    return " ".join([found.message, *(f"{key}={logfields.text_of(value)}" for key, value in found.rest.items())])


def _write_text(line: Line, hosts: bool, colours: bool) -> None:
    target, message = line
    moment = local_text(message.time_ns)
    place = f"{target.name} {message.instance}" if hosts else message.instance
    colour = GREY if message.context else LEVEL_COLOURS.get(message.level, "")
    text = paint(printable(_folded(message.message) if colours else message.message), colour, colours)
    sys.stdout.write(f"{paint(moment, GREY, colours)} {paint(place, BLUE, colours)} {text}\n")
