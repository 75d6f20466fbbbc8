"""`blackhole backup show`: all that is known of one backup."""

from __future__ import annotations

import asyncio
import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_object
from bhtui.cli.present import printable, size
from bhtui.cli.settings import Settings
from bhtui.cli.targets import one, opened
from bhtui.cli.times import local_text
from bhtui.rpc.blackhole.v1.backup_pb2 import BackupSnapshot
from bhtui.rpc.convert.backup import snapshot_to_json

from .common import ELSEWHERE, folder, ready


@click.command(
    "show",
    cls=Verb,
    help="Shows all that is known of one backup. Ids may be shortened.",
    epilog="""
    blackhole backup show 1f0c22ab
    blackhole backup show 1f0c22ab --output json
    """,
)
@click.argument("id")
@ELSEWHERE
@click.pass_obj
def command(settings: Settings, id: str, destination: str) -> int:  # noqa: A002 - the argument's name
    found = asyncio.run(_get(settings, id, folder(settings, destination, "--destination")))
    if settings.plain:
        sys.stdout.write(text_of(found))
    else:
        write_object(snapshot_to_json(found), settings.output)
    return 0


async def _get(settings: Settings, snapshot: str, repository: str) -> BackupSnapshot:
    async with opened(settings) as targets:
        client = await ready(one(targets, "show a backup"))
        return await client.backup(snapshot, repository)


def text_of(each: BackupSnapshot) -> str:
    """For people, a line for each fact."""
    checked = f"{local_text(each.verified_ns)[:19]}, {each.verified_how}" if each.verified_ns else "never"
    drilled = local_text(each.drilled_ns)[:19] if each.drilled_ns else "never"
    if each.drilled_ns:
        drilled += f", failed: {each.drill_problem}" if each.drill_problem else f", {each.drill_seconds:.1f} s"
    facts = {
        "id": each.id,
        "made": f"{local_text(each.time_ns)[:19]} on {each.host or 'an unknown host'}",
        "service": " ".join(each.services) or "-",
        "type": each.type or "-",
        "run": each.run or "-",
        "compared to": each.parent or "nothing",
        "files": f"{each.files}, {size(each.bytes_total)}",
        "added": size(each.bytes_added),
        "checked": checked,
        "drilled": drilled,
        "problem": each.problem or "none known",
        "kept as": ", ".join(each.kept) or "the next prune removes it",
        "tags": " ".join(each.tags) or "-",
        "made by": each.program or "-",
    }
    lines = [f"{name:<12}  {printable(value)}\n" for name, value in facts.items()]
    lines += [f"{'path' if not number else '':<12}  {printable(path)}\n" for number, path in enumerate(each.paths)]
    return "".join(lines)
