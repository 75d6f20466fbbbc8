"""`blackhole backup heal`: puts lost pieces back from the live files."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.request import HealBackupsRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder


@click.command(
    "heal",
    cls=Verb,
    help="Puts damaged or missing pieces of a repository back from the data of the services, as far as their files "
    "still hold them. Backups that lacked these pieces are whole again.",
    epilog="""
    blackhole backup heal
    """,
)
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(settings: Settings, destination: str, dry_run: bool) -> int:
    request = HealBackupsRequest(folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run)
