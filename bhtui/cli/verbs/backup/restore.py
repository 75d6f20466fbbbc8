"""`blackhole backup restore`: puts back what a backup holds."""

from __future__ import annotations

from datetime import datetime

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.cli.times import moment_ns
from bhtui.core.errors import UsageError
from bhtui.core.request import RestoreBackupRequest

from .common import DRY_RUN, ELSEWHERE, carry, folder, services


@click.command(
    "restore",
    cls=Verb,
    help="Puts the data of services back as a backup holds it: checks it and restores it beside while they run, then "
    "stops them with what depends on them, swaps the data, starts them and waits until they are healthy. When that "
    "fails, the data from before is put back. With --target into a folder; then nothing is stopped.",
    epilog="""
    blackhole backup restore 1f0c22ab --dry-run
    blackhole restore --service identity --latest
    blackhole backup restore --timestamp "2026-03-01 12:00:00"
    blackhole backup restore --latest --service postgresql --database shop
    blackhole backup restore 1f0c22ab --target /tmp/look --path /var/lib/api/config
    """,
)
@click.argument("id", required=False, default="")
@click.option("--latest", is_flag=True, help="The newest backup of each service.")
@click.option(
    "--timestamp", metavar="T", default="", help="The newest made at or before this moment: 2026-03-01 12:00."
)
@services("Only this service.")
@click.option("--target", metavar="DIR", default="", help="Restore into this new or empty folder.")
@click.option("--path", "paths", multiple=True, metavar="P", help="Only this file or folder; with --target.")
@click.option(
    "--database", metavar="D", default="", help="Only this database, from its dump, while its server runs on."
)
@click.option("--keep-old", is_flag=True, help="Leave the data from before beside the restored.")
@ELSEWHERE
@DRY_RUN
@click.pass_obj
def command(
    settings: Settings,
    id: str,  # noqa: A002 - the argument's name
    latest: bool,
    timestamp: str,
    services: tuple[str, ...],
    target: str,
    paths: tuple[str, ...],
    database: str,
    keep_old: bool,
    destination: str,
    dry_run: bool,
) -> int:
    if sum(map(bool, (id, latest, timestamp))) != 1:
        raise UsageError("cannot tell which backup to restore: name one by its id, --latest or --timestamp T")
    if database and (target or paths):
        raise UsageError("cannot restore a database into a folder: use --target DIR --path /SERVICE.DATABASE.pgdump")
    before = moment_ns(timestamp, "--timestamp", datetime.now().astimezone()) if timestamp else 0
    request = RestoreBackupRequest(
        id, services, before, folder(settings, target, "--target"), paths, keep_old,
        folder(settings, destination, "--destination"), database,
    )  # fmt: skip
    return carry(settings, request, dry_run=dry_run, dangerous=not target)
