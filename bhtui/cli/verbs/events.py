"""`blackhole events`: what happened, in order; a reader that comes back with its last number misses nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import click

from bhtui.cli.app import Verb
from bhtui.cli.merge import merged, together
from bhtui.cli.output import write_record
from bhtui.cli.present import BLUE, GREY, colourful, paint, printable
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Target, everywhere, opened
from bhtui.cli.times import local_text
from bhtui.core.errors import NoConnection, UsageError
from bhtui.core.event import EventKind
from bhtui.rpc.blackhole.v1.events_pb2 import Event
from bhtui.rpc.convert.events import event_to_json

TERMINAL_TAIL = 100

Fact = tuple[Target, Event]


@click.command(
    cls=Verb,
    help=f"Shows what happened, oldest first: all that is kept, or on a terminal the newest {TERMINAL_TAIL}. Numbers "
    "grow by one for each event of a host: with --after the last one seen, nothing is missed.",
    epilog="""
    blackhole events --tail 20
    blackhole events --kind instance. --kind operation.state --follow
    blackhole events --output json --after 1234 --follow
    """,
)
@click.option("--after", type=click.IntRange(0), metavar="N", help="Only events after this number.")
@click.option("--follow", "-f", is_flag=True, help="Go on with those to come, until Ctrl-C.")
@click.option("--tail", "-n", type=click.IntRange(1), metavar="N", help="Only the newest so many.")
@click.option(
    "--kind", "kinds", multiple=True, metavar="K", help="Only this kind, or `instance.` for all that begin so."
)
@click.pass_obj
def command(settings: Settings, after: int | None, follow: bool, tail: int | None, kinds: tuple[str, ...]) -> int:
    if after and tail:
        raise UsageError("cannot take both --after and --tail: the one counts from the past, the other from now")
    for kind in kinds:
        _check(kind)
    if after is None and tail is None and sys.stdout.isatty():
        tail = TERMINAL_TAIL
    return asyncio.run(_read(settings, after or 0, follow, tail or 0, kinds))


def _check(kind: str) -> None:
    """Nothing would ever be found, which at a bad moment reads as if nothing had happened. Raises UsageError."""
    known = tuple(EventKind)
    if kind in known or (kind.endswith(".") and any(each.startswith(kind) for each in known)):
        return
    begins = f"{kind}."
    if any(each.startswith(begins) for each in known):
        raise UsageError(
            f"cannot read events of kind {kind}: no kind is called so; all that begin so are `--kind {begins}`"
        )
    groups = " ".join(dict.fromkeys(f"{each.partition('.')[0]}." for each in known))
    raise UsageError(f"cannot read events of kind {kind}: no kind is called so; kinds begin with {groups}")


async def _read(settings: Settings, after: int, follow: bool, tail: int, kinds: tuple[str, ...]) -> int:
    async with opened(settings) as targets:
        reached = await everywhere(settings, targets, lambda target: target.client())
        streams = [_facts(target, after, follow, tail, kinds) for target, _ in reached.good]
        ordered = together(streams) if follow else merged(streams, lambda fact: fact[1].time_ns)
        async for target, event in ordered:
            _write(settings, target, event)
            if follow:
                sys.stdout.flush()
        return reached.report()


async def _facts(target: Target, after: int, follow: bool, tail: int, kinds: tuple[str, ...]) -> AsyncIterator[Fact]:
    """The events of one host; a lost connection is taken up again after the last number."""
    client = await target.client()
    while True:
        try:
            async for batch in client.events(after, follow, kinds, tail):
                for event in batch.events:
                    after, tail = event.seq, 0
                    yield target, event
            return
        except NoConnection:
            if not follow:
                raise
            sys.stderr.write(f"{target.name}: the connection was lost, connecting again\n")
            client = await target.again()


def _write(settings: Settings, target: Target, event: Event) -> None:
    if not settings.plain:
        write_record(event_to_json(event, target.name), settings.output)
        return
    colours = colourful()
    moment = local_text(event.time_ns)
    host = f"{target.name} " if settings.remote else ""
    actor = f" by {event.actor.name}" if event.HasField("actor") else ""
    text = event.message or (json.dumps(json.loads(event.data)) if event.data else "")
    sys.stdout.write(
        f"{event.seq:>6} {paint(moment, GREY, colours)} {host}{paint(event.kind, BLUE, colours)} "
        f"{event.target} {printable(text)}{actor}\n"
    )
