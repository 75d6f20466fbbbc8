"""`blackhole backup files`: what a backup holds."""

from __future__ import annotations

import asyncio
import stat
import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import printable, size
from bhtui.cli.settings import Settings
from bhtui.cli.targets import one, opened
from bhtui.cli.times import local_text
from bhtui.rpc.blackhole.v1.backup_pb2 import BackupEntry, BackupFiles, BackupFilesRequest
from bhtui.rpc.convert.backup import entry_to_json

from .common import ELSEWHERE, folder, ready

KINDS = {"dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "file": stat.S_IFREG, "fifo": stat.S_IFIFO,
         "socket": stat.S_IFSOCK, "dev": stat.S_IFBLK, "chardev": stat.S_IFCHR}  # fmt: skip


@click.command(
    "files",
    cls=Verb,
    help="Lists what a backup holds: a folder of it, or with --recursive all below that.",
    epilog="""
    blackhole backup files 1f0c22ab
    blackhole backup files 1f0c22ab /var/lib/api --recursive
    """,
)
@click.argument("id")
@click.argument("path", required=False, default="")
@click.option("--recursive", "-r", is_flag=True, help="All below it.")
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True, help="At most so many.")
@ELSEWHERE
@click.pass_obj
def command(
    settings: Settings,
    id: str,  # noqa: A002 - the argument's name
    path: str,
    recursive: bool,
    limit: int,
    destination: str,
) -> int:
    request = BackupFilesRequest(
        id=id, path=path, recursive=recursive, limit=limit, repository=folder(settings, destination, "--destination")
    )
    found = asyncio.run(_ask(settings, request))
    if settings.plain:
        sys.stdout.write("".join(f"{_line(each)}\n" for each in found.entries))
    else:
        write_list([entry_to_json(each) for each in found.entries], settings.output)
    if found.more:
        click.echo(f"there are more than {limit}; --limit shows more, a path fewer", err=True)
    return 0


async def _ask(settings: Settings, request: BackupFilesRequest) -> BackupFiles:
    async with opened(settings) as targets:
        client = await ready(one(targets, "look into a backup"))
        return await client.backup_files(request)


def _line(each: BackupEntry) -> str:
    mode = stat.filemode(each.mode & 0o7777 | KINDS.get(each.type, stat.S_IFREG))
    owner = f"{each.user or '?'}:{each.group or '?'}"
    link = f" -> {printable(each.linktarget)}" if each.linktarget else ""
    when = local_text(each.mtime_ns)[:16]
    return f"{mode}  {owner:<17}  {size(each.size):>6}  {when}  {printable(each.path)}{link}"
