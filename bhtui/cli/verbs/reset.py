"""`blackhole reset`: puts all data aside and begins anew."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.errors import UsageError
from bhtui.core.request import ResetRequest


@click.command(
    cls=Verb,
    help="After a complete failure: stops all services, or those named, puts their data aside, and starts what was up "
    "with none. The data is kept beside its place unless --remove is given. Backups are not touched.",
    epilog="""
    blackhole reset --confirm
    blackhole reset ledger --confirm --dry-run
    """,
)
@click.argument("services", nargs=-1)
@click.option("--confirm", is_flag=True, help="Yes, really.")
@click.option("--remove", is_flag=True, help="Remove the data instead of keeping it beside.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], confirm: bool, remove: bool, dry_run: bool) -> int:
    if not (confirm or dry_run):
        raise UsageError(
            "cannot reset without --confirm: the services lose their data; --dry-run shows what would be done"
        )
    return carry_out(settings, ResetRequest(services, not remove), dry_run=dry_run, dangerous=True)
