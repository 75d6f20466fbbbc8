"""`blackhole verify`: whether the live data of services is whole."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.request import CheckDataRequest


@click.command(
    cls=Verb,
    help="Checks the live data of services: by their contract where they run and offer it, else by reading every file "
    "and asking every SQLite database. Changes nothing. Backups are checked by `backup verify`.",
    epilog="""
    blackhole verify --service ledger
    """,
)
@click.option("--service", "services", multiple=True, required=True, metavar="S", help="This service. May be repeated.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], dry_run: bool) -> int:
    return carry_out(settings, CheckDataRequest(services), dry_run=dry_run)
