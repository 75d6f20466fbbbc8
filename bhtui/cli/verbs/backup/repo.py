"""`blackhole backup repo`: the repository itself: made, checked, counted, unlocked, and its passwords."""

from __future__ import annotations

import asyncio
import sys

import click

from bhtui.cli.app import Verbs
from bhtui.cli.carry import carry_out
from bhtui.cli.output import write_list
from bhtui.cli.present import age, printable, size, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, Target, everywhere, opened
from bhtui.cli.times import local_text
from bhtui.core.errors import Refused, UsageError
from bhtui.core.request import RepositoryKeyRequest, RepositoryRequest, VerifyBackupsRequest
from bhtui.core.units import counted
from bhtui.rpc.blackhole.v1.backup_pb2 import RepositoryStats
from bhtui.rpc.convert.backup import stats_to_json

from .common import DRY_RUN, ELSEWHERE, carry, folder, ready


@click.group(
    "repo",
    cls=Verbs,
    help="The repository that backups are in: a standard restic repository, which stock restic opens too.",
    epilog="""
    blackhole backup repo init --generate-password /etc/blackhole/backup-password
    blackhole backup repo check --read-data
    blackhole backup repo stats
    """,
)
def command() -> None:
    return


@command.command(
    "init",
    help="Makes the repository, where `backup create` would make it by itself: to choose its password first.",
    epilog="""
    blackhole backup repo init
    blackhole backup repo init --generate-password /etc/blackhole/backup-password
    """,
)
@click.option(
    "--generate-password", metavar="FILE", default="", help="Make this file on the host, with a new password in it."
)
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def init(settings: Settings, generate_password: str, destination: str, dry_run: bool) -> int:
    file = folder(settings, generate_password, "--generate-password")
    request = RepositoryRequest("init", False, file, folder(settings, destination, "--destination"))
    code = carry(settings, request, dry_run=dry_run)
    if file and not code and not dry_run:
        click.echo(
            f"the password is in {file}: write `password_file: {file}` under backup: in blackhole.yaml, and keep a "
            "copy away from this host; without it nobody opens the backups",
            err=True,
        )
    return code


@command.command(
    "check",
    help="Checks the whole repository and all backups in it; the same as `backup verify` without ids.",
    epilog="""
    blackhole backup repo check
    blackhole backup repo check --read-data
    """,
)
@click.option("--read-data", is_flag=True, help="Read every byte.")
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def check(settings: Settings, read_data: bool, destination: str, dry_run: bool) -> int:
    request = VerifyBackupsRequest((), read_data, folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run)


@command.command(
    "stats",
    help="What the repository holds, who works in it now, and how many passwords open it.",
    epilog="""
    blackhole backup repo stats
    blackhole backup repo stats --output json
    """,
)
@ELSEWHERE
@click.pass_obj
def stats(settings: Settings, destination: str) -> int:
    answers = asyncio.run(_stats(settings, folder(settings, destination, "--destination")))
    if not settings.plain:
        write_list([stats_to_json(said, target.name) for target, said in answers.good], settings.output)
    for target, said in answers.good if settings.plain else ():
        sys.stdout.write(_stats_text(said, f"{target.name}: " if settings.remote else ""))
    return answers.report()


async def _stats(settings: Settings, repository: str) -> Answers[RepositoryStats]:
    async def ask(target: Target) -> RepositoryStats:
        return await (await ready(target)).repository_stats(repository)

    async with opened(settings) as targets:
        return await everywhere(settings, targets, ask)


def _stats_text(said: RepositoryStats, host: str) -> str:
    lines = [
        f"{host}{printable(said.repository)}",
        f"  {said.snapshots} backups, {size(said.bytes)} stored in {said.packs} packs, {said.blobs} pieces",
        f"  {size(said.bytes_raw)} before compression; {size(said.unused_bytes)} that no backup needs",
        f"  {counted(len(said.keys), 'password')} {'opens' if len(said.keys) == 1 else 'open'} it",
    ]
    for each in said.locks:
        how = "alone" if each.exclusive else "with others"
        lines.append(f"  locked by {printable(each.user)}@{printable(each.host)}, process {each.pid}, {how}, "
                     f"since {local_text(each.time_ns)[:19]}")  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


@command.command(
    "unlock",
    help="Removes locks that were left by programs that are gone. With --all also those that may be in use: only when "
    "you know that nobody works there.",
    epilog="""
    blackhole backup repo unlock
    """,
)
@click.option("--all", "everything", is_flag=True, help="All locks, also those that may be in use.")
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def unlock(settings: Settings, everything: bool, destination: str, dry_run: bool) -> int:
    request = RepositoryRequest("unlock", everything, "", folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run, dangerous=everything)


@command.group(
    "key",
    cls=Verbs,
    help="The passwords that open the repository. A new one is read from a file on the host, or asked for.",
    epilog="""
    blackhole backup repo key list
    blackhole backup repo key change --new-password-file /etc/blackhole/new-password
    """,
)
def key() -> None:
    return


_new_password = click.option(
    "--new-password-file",
    metavar="FILE",
    default="",
    help="File on the host with the new password; else it is asked for.",
)


@key.command(
    "list",
    help="Lists the passwords: when and where each was added, never what it is.",
    epilog="""
    blackhole backup repo key list
    """,
)
@ELSEWHERE
@click.pass_obj
def key_list(settings: Settings, destination: str) -> int:
    answers = asyncio.run(_stats(settings, folder(settings, destination, "--destination")))
    if not settings.plain:
        every = [{**each, "on": target.name} for target, said in answers.good for each in stats_to_json(said)["keys"]]
        write_list(every, settings.output)
    elif answers.good:
        import time

        rows = [
            [(each.id[:8], ""), (f"{each.user}@{each.host}", ""), (age(time.time() - each.created_ns / 1e9), ""),
             ("in use here" if each.current else "", "")]
            for _, said in answers.good for each in said.keys
        ]  # fmt: skip
        sys.stdout.write(table(["KEY", "ADDED BY", "AGE", ""], rows))
    return answers.report()


@key.command(
    "add",
    help="Adds a password that opens the repository beside the others.",
    epilog="""
    blackhole backup repo key add --new-password-file /etc/blackhole/second-password
    """,
)
@_new_password
@ELSEWHERE
@click.pass_obj
def key_add(settings: Settings, new_password_file: str, destination: str) -> int:
    return _with_new(settings, "add", new_password_file, destination)


@key.command(
    "change",
    help="Puts another password in place of the one in use.",
    epilog="""
    blackhole backup repo key change
    """,
)
@_new_password
@ELSEWHERE
@click.pass_obj
def key_change(settings: Settings, new_password_file: str, destination: str) -> int:
    return _with_new(settings, "change", new_password_file, destination)


@key.command(
    "remove",
    help="Removes a password; the one in use cannot be removed.",
    epilog="""
    blackhole backup repo key remove 1f0c22ab
    """,
)
@click.argument("id")
@ELSEWHERE
@click.pass_obj
def key_remove(settings: Settings, id: str, destination: str) -> int:  # noqa: A002 - the argument's name
    repository = folder(settings, destination, "--destination")
    return carry(settings, RepositoryKeyRequest("remove", id, repository=repository), dangerous=True)


def _with_new(settings: Settings, action: str, file: str, destination: str) -> int:
    """The new password stays in a file on the host, or goes there beside the operation, never as part of it."""
    repository = folder(settings, destination, "--destination")
    if file:
        path = folder(settings, file, "--new-password-file")
        return carry(settings, RepositoryKeyRequest(action, "", path, "", repository))
    if not sys.stdin.isatty():
        raise UsageError("cannot ask for the new password: this is no terminal; use --new-password-file FILE")
    settings.must_not_be_read_only(f"{action} a password")
    secret = click.prompt("new password", hide_input=True, confirmation_prompt="the same again", err=True)
    ticket = asyncio.run(_deposit(settings, secret))
    return carry_out(settings, RepositoryKeyRequest(action, "", "", ticket, repository))


async def _deposit(settings: Settings, secret: str) -> str:
    async with opened(settings) as targets:
        if len(targets) != 1:
            raise Refused("cannot change the password on several hosts at once; name one with --host")
        return await (await ready(targets[0])).deposit(secret)
