"""`blackhole logs`: what the services wrote, of all hosts in the order of time."""

from __future__ import annotations

import asyncio
import csv
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import click

from bhtui.cli import logmerge
from bhtui.cli.app import Verb
from bhtui.cli.loglines import LogReader
from bhtui.cli.output import write_records
from bhtui.cli.present import BLUE, GREY, RED, YELLOW, colourful, paint, printable
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, Target, opened
from bhtui.cli.times import local_text
from bhtui.core import logfields
from bhtui.core.errors import BlackholeError
from bhtui.core.logcolumns import LEVEL_NAMES, Lines, Origin
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1.logs_pb2 import LogsRequest
from bhtui.rpc.client import AgentClient
from bhtui.rpc.convert.logs import line_to_json

from .answering import Call, answers_of, called
from .engine import place_where_missed
from .selection import is_narrow, selection

TERMINAL_TAIL = 200
"""Lines that a terminal is shown when nothing says how many."""

LEVEL_COLOURS = {"trace": GREY, "debug": GREY, "warning": YELLOW, "error": RED, "fatal": RED}
COLUMNS = ("time", "host", "service", "instance", "stream", "level", "message", "partial", "context", "late", "fields")
GAP = "--"
LATE = "~"
"""Behind the time of a line that came after later ones had been shown."""

Write = Callable[[Lines, int], None]
"""Writes lines; so many at their head are late."""


@click.command(
    "logs",
    cls=Verb,
    forms=("text", "csv"),
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
@click.option(
    "--format", "form", type=click.Choice(("text", "json", "csv")), help="How lines are written; as --output."
)
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
        request.since_ago_ns = 1  # now, by the clock of each host
    return asyncio.run(_read(settings, request, writer(form, settings.remote, export)))


async def _read(settings: Settings, request: LogsRequest, write: Write) -> int:
    async with opened(settings) as targets, called(settings, targets) as (reached, mute):
        is_several = len(targets) > 1
        readers = [LogReader(target, request, several=is_several) for target, _ in reached.good]
        later = _later(reached, mute, request) if request.follow and is_several else []
        for target in () if request.follow else mute:
            sys.stderr.write(f"{target.name}: no answer yet; the lines of the others come first\n")
        await _past(readers, request, write)
        sys.stdout.flush()
        if request.follow:
            async for lines, late in logmerge.new([*(each for each in readers if each.error is None), *later]):
                write(lines, late)
                sys.stdout.flush()
        else:
            readers += await _said_at_last(reached, mute, request, write)
            if settings.remote:
                await place_where_missed([reader.target for reader in readers if reader.error is None])
        for reader in readers:
            if reader.error is not None:
                reached.good = [each for each in reached.good if each[0] is not reader.target]
                reached.failed.append((reader.target, reader.error))
        return reached.report()


async def _said_at_last(
    reached: Answers[AgentClient], mute: dict[Target, Call], request: LogsRequest, write: Write
) -> list[LogReader]:
    """What the mute have to say at last, behind the lines of the others and late; what read it."""
    readers = []
    async for target, answer in answers_of(mute):
        if isinstance(answer, BlackholeError):
            reached.failed.append((target, answer))
            continue
        reached.good.append((target, answer))
        readers.append(LogReader(target, request, several=True))
        await _past(readers[-1:], request, lambda lines, _: write(lines, len(lines)))
        sys.stdout.flush()
    return readers


def _later(reached: Answers[AgentClient], mute: dict[Target, Call], request: LogsRequest) -> list[LogReader]:
    """Of the hosts that have not answered, those that may do so later: what they write from now on comes in then.

    Says at once who is missing; a person who follows would learn it only at the end.
    """
    found = []
    since = LogsRequest()
    since.CopyFrom(request)
    since.since_ns, since.since_ago_ns, since.tail = max(request.since_ns, time.time_ns()), 0, 0
    for target in mute:
        sys.stderr.write(f"{target.name}: no answer yet; what it writes from now on comes when it answers\n")
        found.append(LogReader(target, since, several=True, away=True))
    for target, error in list(reached.failed):
        is_tried = bool(getattr(error, "retry", False))
        sys.stderr.write(f"{target.name}: {error}{'; trying again' if is_tried else ''}\n")
        if is_tried:
            reached.failed.remove((target, error))
            found.append(LogReader(target, since, several=True, away=True))
    return found


async def _past(readers: list[LogReader], request: LogsRequest, write: Write) -> None:
    blocks = logmerge.past(readers)
    if request.tail and len(readers) > 1:
        write(await logmerge.newest(blocks, request.tail), 0)
        return
    async for lines in blocks:
        write(lines, 0)


def writer(form: str, hosts: bool, export: bool) -> Write:
    """What writes lines in this form."""
    if form == "csv":
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(COLUMNS)
        return lambda lines, late: out.writerows(map(_cells, _objects(lines, late)))
    if form != "text":
        return lambda lines, late: write_records(_objects(lines, late), form)
    show = _Printer().show
    if export:
        return lambda lines, _: show(lines, _plain(lines, hosts))
    return lambda lines, late: show(lines, _texts(lines, late, hosts, colours=colourful()))


def _objects(lines: Lines, late: int) -> Iterator[dict[str, object]]:
    for place, of in enumerate(lines.origins):
        if of.remark:
            sys.stderr.write(f"{lines.messages[place]}\n")
        else:
            yield line_to_json(lines.line(place), of.host, place < late)


def _cells(fields: dict[str, object]) -> list[object]:
    """Truth and fields are written as JSON writes them."""
    return [logfields.text_of(fields[name]) for name in COLUMNS]


class _Printer:
    """Lines of text; between groups of lines with their context a line `--`, as grep writes it."""

    def __init__(self) -> None:
        self._is_first = True

    def show(self, lines: Lines, texts: list[str]) -> None:
        """The texts of these lines."""
        if any(of.gap for of in set(lines.origins)):
            parted: list[str] = []
            for of, text in zip(lines.origins, texts, strict=True):
                parted += [GAP] if of.gap and (parted or not self._is_first) else []
                parted.append(text)
            texts = parted
        if texts:
            self._is_first = False
            sys.stdout.write("\n".join(texts) + "\n")


def _remark(message: str) -> str:
    return f"── {message} ──"


def _plain(lines: Lines, hosts: bool) -> list[str]:
    return [
        _remark(message)
        if of.remark
        else f"{format_time(time_ns - of.offset_ns)} {_place(of, hosts)} {of.stream} {LEVEL_NAMES[of.rank] or '-'} "
        f"{message}"
        for time_ns, of, message in zip(lines.times, lines.origins, lines.messages, strict=True)
    ]


def _place(of: Origin, hosts: bool) -> str:
    return f"{of.host} {of.instance}" if hosts else of.instance


def _folded(message: str) -> str:
    """What a line of JSON says, and its other fields behind it: for eyes, on a terminal."""
    found = logfields.parse(message) if message.startswith("{") else None
    if found is None:
        return message
    return " ".join([found.message, *(f"{key}={logfields.text_of(value)}" for key, value in found.rest.items())])


def _texts(lines: Lines, late: int, hosts: bool, colours: bool) -> list[str]:
    """For eyes; what stands before the message is the same for lines that were written at once."""
    head = partial(_head, hosts=hosts, colours=colours)
    heads = {key: head(*key, late=False) for key in set(zip(lines.times, lines.origins, strict=True))}
    texts = []
    for place, (time_ns, of, message) in enumerate(zip(lines.times, lines.origins, lines.messages, strict=True)):
        before = heads[time_ns, of] if place >= late else head(time_ns, of, late=True)
        if of.remark:
            texts.append(_remark(message))
        elif colours:
            colour = GREY if of.context else LEVEL_COLOURS.get(LEVEL_NAMES[of.rank], "")
            texts.append(before + paint(printable(_folded(message)), colour, wanted=True))
        else:
            texts.append(before + printable(message))
    return texts


def _head(time_ns: int, of: Origin, *, hosts: bool, colours: bool, late: bool) -> str:
    """A late line has a `~` behind its time."""
    moment, place, sign = local_text(time_ns - of.offset_ns), _place(of, hosts), LATE if late else " "
    if not colours:
        return f"{moment}{sign}{place} "
    return f"{paint(moment, GREY, True)}{paint(sign, YELLOW, late)}{paint(place, BLUE, True)} "
