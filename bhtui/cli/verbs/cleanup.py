"""`blackhole cleanup`: removes what a service left behind."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.request import CleanupServiceRequest


@click.command(
    cls=Verb,
    help="Cleans up after services that are down: kills processes of theirs that are left, removes sockets on which "
    "nobody listens and restores that were cut off. Their data is not touched.",
    epilog="""
    blackhole cleanup storage
    """,
)
@click.argument("services", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], dry_run: bool) -> int:
    return carry_out(settings, CleanupServiceRequest(services), dry_run=dry_run)
