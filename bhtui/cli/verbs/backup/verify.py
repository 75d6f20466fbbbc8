"""`blackhole backup verify`: whether backups can be restored."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.request import VerifyBackupsRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder


@click.command(
    "verify",
    cls=Verb,
    help="Checks that these backups can be restored, or the whole repository with all of them: that everything they "
    "need is there and whole, and with --read-data every byte. What is found is kept and listed.",
    epilog="""
    blackhole backup verify 1f0c22ab
    blackhole backup verify --read-data
    """,
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--read-data", is_flag=True, help="Read every byte; takes as long as a restore.")
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(settings: Settings, ids: tuple[str, ...], read_data: bool, destination: str, dry_run: bool) -> int:
    request = VerifyBackupsRequest(ids, read_data, folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run)
