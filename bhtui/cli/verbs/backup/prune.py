"""`blackhole backup prune`: removes what retention does not keep."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.request import PruneBackupsRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder


@click.command(
    "prune",
    cls=Verb,
    help="Forgets the backups that backup.retention does not keep, then frees what no backup needs any more. The "
    "newest of each service is always kept, and so is what others made.",
    epilog="""
    blackhole backup prune --dry-run
    blackhole backup prune
    """,
)
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(settings: Settings, destination: str, dry_run: bool) -> int:
    request = PruneBackupsRequest(folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run, dangerous=True)
