"""What the verbs of `blackhole backup` share: which repository, and the password that comes with the command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Target
from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.request import BackupRequest
from bhtui.rpc.client import AgentClient

LAYER = "backup"
"""What the agent of another host needs for any of this."""
VARIABLE = "BLACKHOLE_BACKUP_PASSWORD"
DRY_RUN = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")


def destination(text: str) -> Callable[[Any], Any]:
    """The option that names another repository."""
    return click.option("--destination", metavar="DIR", default="", help=text)


ELSEWHERE = destination("In the repository of this folder instead of the configured one.")


def services(text: str) -> Callable[[Any], Any]:
    """The option that names services."""
    return click.option("--service", "services", multiple=True, metavar="S", help=text + " May be repeated.")


def folder(settings: Settings, path: str, option: str) -> str:
    """A path on the host: relative ones begin here, and mean nothing on another host. Raises UsageError."""
    if not path:
        return ""
    expanded = Path(path).expanduser()
    if settings.remote and not expanded.is_absolute():
        raise UsageError(f"cannot use {option} {path} on another host: write the whole path there, from /")
    return str(expanded.absolute())


async def hand_over(client: AgentClient) -> None:
    """The password of this command's environment opens the repository, where the host's configuration names none."""
    if password := os.environ.get(VARIABLE, ""):
        await client.deposit(password, for_repository=True)


async def ready(target: Target) -> AgentClient:
    """The client of a host that has been given what this command brings along."""
    client = await target.client()
    if not target.read_only:
        await target.layer(LAYER)
        await hand_over(client)
    return client


async def _handed_over(targets: list[Target]) -> list[Target]:
    """What fails on one host is told with that host's own attempt, and stops no other."""
    results = await asyncio.gather(*(ready(target) for target in targets), return_exceptions=True)
    for target, result in zip(targets, results, strict=True):
        if isinstance(result, BlackholeError):
            click.echo(f"{target.name}: {result}", err=True)
        elif isinstance(result, BaseException):
            raise result
    return targets


def carry(settings: Settings, request: BackupRequest, *, dry_run: bool = False, dangerous: bool = False) -> int:
    """As carry_out, after the password was handed over."""
    return carry_out(settings, request, dry_run=dry_run, dangerous=dangerous, where=_handed_over)
