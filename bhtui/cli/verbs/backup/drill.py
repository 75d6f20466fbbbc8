"""`blackhole backup drill`: whether services can be brought back, by doing it beside them."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.request import DrillBackupsRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder, services


@click.command(
    "drill",
    cls=Verb,
    help="Restores the newest backup of each service into a folder of its own, starts the service with it apart from "
    "the host (its own network, its own processes, nothing it writes stays), and waits until it is well by its own "
    "probe and by the check of its contract. How long that took is kept beside what is promised. What runs is not "
    "touched.",
    epilog="""
    blackhole backup drill
    blackhole backup drill --service ledger
    """,
)
@click.argument("snapshot", default="", metavar="[ID]")
@services("Only this service.")
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(settings: Settings, snapshot: str, services: tuple[str, ...], destination: str, dry_run: bool) -> int:
    request = DrillBackupsRequest(services, snapshot, folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run)
