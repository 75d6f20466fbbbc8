"""`blackhole scale`: another number of instances of a service."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.errors import UsageError
from bhtui.core.replica import MOST
from bhtui.core.request import ScaleRequest


@click.command(
    cls=Verb,
    help="Runs another number of instances of services: at once, and after every restart of agent or host, until it is "
    "asked again or --reset. New ones count when they are healthy; those that go are taken out of the endpoints first.",
    epilog="""
    blackhole scale api --replicas 4
    blackhole scale api --replicas 1 --dry-run
    blackhole scale api worker --reset
    """,
)
@click.argument("services", nargs=-1, required=True)
@click.option("--replicas", type=click.IntRange(0, MOST), metavar="N", help=f"How many instances, 0 to {MOST}.")
@click.option("--reset", is_flag=True, help="Back to the number that the configuration declares.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], replicas: int | None, reset: bool, dry_run: bool) -> int:
    if (replicas is None) == (not reset):
        raise UsageError("cannot scale: give either --replicas N or --reset")
    return carry_out(settings, ScaleRequest(services, replicas), dry_run=dry_run, dangerous=True)
