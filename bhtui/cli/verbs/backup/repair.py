"""`blackhole backup repair`: makes a damaged repository usable again."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.request import RepairBackupsRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder


@click.command(
    "repair",
    cls=Verb,
    help="Saves what can be saved of a damaged repository: makes its index anew, and replaces backups that have lost "
    "files by ones without them. Which files those are is said. Try `backup heal` first.",
    epilog="""
    blackhole backup repair --dry-run
    blackhole backup repair
    """,
)
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(settings: Settings, destination: str, dry_run: bool) -> int:
    request = RepairBackupsRequest(folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run, dangerous=True)
