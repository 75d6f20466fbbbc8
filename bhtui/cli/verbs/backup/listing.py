"""`blackhole backup list`: which backups there are, and how well each service is protected."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import GREEN, GREY, RED, age, printable, size, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Target, everywhere, opened
from bhtui.cli.times import local_text
from bhtui.core.backup import BackupType
from bhtui.rpc.blackhole.v1.backup_pb2 import BackupSnapshot, ListBackupsResponse, ServiceProtection
from bhtui.rpc.convert.backup import snapshot_to_json

from .common import ELSEWHERE, folder, ready, services

HEADS = ("ID", "SERVICE", "TYPE", "MADE", "AGE", "SIZE", "NEW", "CHECKED", "DRILLED", "KEPT AS")
LEAST = 6
"""Columns of the last one, before it is left out."""
SHORT = 8
Row = list[tuple[str, str]]
"""Texts with their colours."""


@click.command(
    "list",
    cls=Verb,
    help="Lists the backups, newest first, and below them what each service has beside what is promised. When the "
    "repository cannot be reached, those that were seen last, and standard error says so.",
    epilog="""
    blackhole backup list
    blackhole backup list --service ledger
    blackhole backup list --output json
    """,
)
@services("Only those of this service.")
@ELSEWHERE
@click.option("--cached", is_flag=True, help="As last seen, without asking the repository.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], destination: str, cached: bool) -> int:
    import asyncio

    return asyncio.run(_list(settings, services, folder(settings, destination, "--destination"), cached))


async def _list(settings: Settings, names: tuple[str, ...], repository: str, cached: bool) -> int:
    async def ask(target: Target) -> ListBackupsResponse:
        client = await ready(target)
        return await client.backups(names, repository, cached=cached, without_sources=True)

    async with opened(settings) as targets:
        answers = await everywhere(settings, targets, ask)
    found = [(target.name, said) for target, said in answers.good]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    if not settings.plain:
        every = [
            snapshot_to_json(each, host if settings.remote else "") for host, said in found for each in said.snapshots
        ]
        write_list(every, settings.output)
    elif found:
        sys.stdout.write(_tables(found, settings.remote, width))
    for host, said in found:
        _warn(f"{host}: " if settings.remote else "", said)
    return answers.report()


def _warn(host: str, said: ListBackupsResponse) -> None:
    if said.problem:
        click.echo(f"{host}{printable(said.problem)}", err=True)
        seen = local_text(said.seen_ns)[:19] if said.seen_ns else ""
        click.echo(f"{host}the list is as it was seen {f'at {seen}' if seen else 'without the password'}", err=True)
    elif said.hint:
        click.echo(f"{host}{printable(said.hint)}", err=True)


def _tables(found: Sequence[tuple[str, ListBackupsResponse]], hosts: bool, width: int = 0) -> str:
    """`width`: columns there are; 0: as many as wanted."""
    now = time.time_ns()
    rows = [_row(host if hosts else "", each, now) for host, said in found for each in said.snapshots]
    problems = [each.problem for _, said in found for each in said.snapshots]
    heads: tuple[str, ...] = ("HOST", *HEADS) if hosts else HEADS
    below = {number: [problem] for number, problem in enumerate(problems) if problem}
    if width and max(len(line) for line in table(heads, rows).splitlines()) > width:
        heads, rows = _narrow(heads, rows, width)
    text = table(heads, rows, below) if rows else "no backups yet\n"
    lines = [
        _protection(f"{host} " if hosts else "", each, said, now) for host, said in found for each in said.services
    ]
    return text + "".join(f"{line}\n" for line in lines if line)


def _row(host: str, each: BackupSnapshot, now: int) -> Row:
    row = [
        (each.id[:SHORT], ""),
        (printable(" ".join(each.services)) or "-", ""),
        (each.type or "-", ""),
        (local_text(each.time_ns)[:16], ""),
        (age((now - each.time_ns) / 1e9), ""),
        (size(each.bytes_total) if each.bytes_total else "-", ""),
        (size(each.bytes_added) if each.type else "-", ""),
        _checked(each, now),
        _drilled(each, now),
        (
            ", ".join(each.kept) if each.kept else "next prune removes it" if each.type else "-",
            "" if each.kept else GREY,
        ),
    ]
    return [(host, ""), *row] if host else row


def _narrow(heads: tuple[str, ...], rows: list[Row], width: int) -> tuple[tuple[str, ...], list[Row]]:
    """What matters most, in fewer columns; `backup show` and `--output json` tell the rest."""
    found = [dict(zip(heads, row, strict=True)) for row in rows]
    for row in found:
        row["TYPE"] = row["TYPE"][0].replace(BackupType.INCREMENTAL, "incr"), ""
        row["MADE"] = row["MADE"][0][5:], ""  # its age tells the year
        if row["CHECKED"][1] == GREEN:
            row["CHECKED"] = row["CHECKED"][0].replace(" ago", "").replace("every byte", "all"), GREEN
        row["DRILLED"] = row["DRILLED"][0].removesuffix(" ago"), row["DRILLED"][1]
    drilled = any(row["DRILLED"][0] != "-" for row in found)
    left = tuple(each for each in heads if each != "KEPT AS" and (each != "DRILLED" or drilled))
    taken = sum(2 + max(len(each), *(len(row[each][0]) for row in found)) for each in left)
    if (room := width - taken) >= LEAST:
        left = (*left, "KEPT AS")
        for row in found:
            text, colour = row["KEPT AS"]
            text = text.replace("incremental", "incr").replace(" of ", "/").replace("next prune removes it", "no more")
            row["KEPT AS"] = text if len(text) <= room else f"{text[: room - 1]}…", colour
    return left, [[row[each] for each in left] for row in found]


def _checked(each: BackupSnapshot, now: int) -> tuple[str, str]:
    if each.problem:
        return "damaged" if each.verified_ns and not each.verified else "incomplete", RED
    if not each.verified_ns:
        return "-", GREY
    every = " every byte" if each.verified_how == "data" else ""
    return f"{age((now - each.verified_ns) / 1e9)} ago{every}", GREEN


def _drilled(each: BackupSnapshot, now: int) -> tuple[str, str]:
    if not each.drilled_ns:
        return "-", GREY
    return ("failed", RED) if each.drill_problem else (f"{age((now - each.drilled_ns) / 1e9)} ago", GREEN)


def _protection(host: str, each: ServiceProtection, said: ListBackupsResponse, now: int) -> str:
    """A line for what is not as it should be, or was promised."""
    name = host + each.service
    promised = f", {age(said.rpo_seconds)} promised" if said.rpo_seconds else ""
    lines = []
    if each.error:
        lines.append(
            f"{name}: the last attempt failed {age((now - each.failed_ns) / 1e9)} ago: {printable(each.error)}"
        )
    if each.late:
        old = (
            f"its newest good backup is {age((now - each.last_good_ns) / 1e9)} old"
            if each.last_good_ns
            else "no good backup"
        )
        lines.append(f"{name}: late: {old}{promised}")
    elif not each.last_ns and not each.error:
        lines.append(f"{name}: no backup yet")
    if said.rto_seconds and each.drill_seconds > said.rto_seconds:
        took, promise = age(each.drill_seconds), age(said.rto_seconds)
        lines.append(f"{name}: bringing it back took {took} in the last drill, {promise} promised")
    return "\n".join(lines)
