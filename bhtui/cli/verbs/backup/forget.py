"""`blackhole backup forget`: takes single backups away."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.request import ForgetBackupsRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder


@click.command(
    "forget",
    cls=Verb,
    help="Takes backups out of the repository, whatever retention says. `backup prune` frees their space.",
    epilog="""
    blackhole backup forget 1f0c22ab
    """,
)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(settings: Settings, ids: tuple[str, ...], destination: str, dry_run: bool) -> int:
    request = ForgetBackupsRequest(ids, folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run, dangerous=True)
