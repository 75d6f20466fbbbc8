"""`blackhole backup diff`: in which files two backups differ."""

from __future__ import annotations

import asyncio
import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import GREEN, RED, YELLOW, colourful, paint, printable, size
from bhtui.cli.settings import Settings
from bhtui.cli.targets import one, opened
from bhtui.rpc.blackhole.v1.backup_pb2 import BackupChange, BackupDiff, BackupDiffRequest
from bhtui.rpc.convert.backup import change_to_json

from .common import ELSEWHERE, folder, ready

SIGNS = {"added": ("+", GREEN), "removed": ("-", RED), "changed": ("~", YELLOW), "meta": ("m", "")}


@click.command(
    "diff",
    cls=Verb,
    help="Lists the files in which two backups differ: + added, - removed, ~ changed, m only its owner, mode or time.",
    epilog="""
    blackhole backup diff 1f0c22ab 77ab01cd
    """,
)
@click.argument("a")
@click.argument("b")
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True, help="At most so many.")
@ELSEWHERE
@click.pass_obj
def command(settings: Settings, a: str, b: str, limit: int, destination: str) -> int:
    request = BackupDiffRequest(a=a, b=b, limit=limit, repository=folder(settings, destination, "--destination"))
    found = asyncio.run(_ask(settings, request))
    if settings.plain:
        sys.stdout.write(_text(found))
    else:
        write_list([change_to_json(each) for each in found.changes], settings.output)
    if found.more:
        click.echo(f"there are more than {limit} changes; --limit shows more", err=True)
    return 0


async def _ask(settings: Settings, request: BackupDiffRequest) -> BackupDiff:
    async with opened(settings) as targets:
        client = await ready(one(targets, "compare backups"))
        return await client.backup_diff(request)


def _text(found: BackupDiff) -> str:
    lines = [_line(each) for each in found.changes] or ["they hold the same"]
    lines.append(f"{size(found.bytes_added)} added, {size(found.bytes_removed)} removed")
    return "".join(f"{line}\n" for line in lines)


def _line(each: BackupChange) -> str:
    sign, colour = SIGNS.get(each.kind, ("?", ""))
    sizes = {"added": size(each.size_b), "removed": size(each.size_a)}
    told = sizes.get(each.kind, f"{size(each.size_a)} -> {size(each.size_b)}" if each.kind == "changed" else "")
    return f"{paint(sign, colour, colourful())} {printable(each.path)}" + (f"  {told}" if told else "")
