"""`blackhole repair`: puts right what can be of the live data of services."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.request import CheckDataRequest


@click.command(
    cls=Verb,
    help="Repairs the live data of services when there is no backup: by their contract, or of a stopped service by "
    "saving what can be read of its damaged SQLite databases into new ones. The damaged ones are kept.",
    epilog="""
    blackhole repair --service ledger
    """,
)
@click.option("--service", "services", multiple=True, required=True, metavar="S", help="This service. May be repeated.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], dry_run: bool) -> int:
    return carry_out(settings, CheckDataRequest(services, repair=True), dry_run=dry_run, dangerous=True)
