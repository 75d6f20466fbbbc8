"""`blackhole backup create`: backs up services now."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.backup import BackupType
from bhtui.core.errors import UsageError
from bhtui.core.request import CreateBackupRequest

from .common import DRY_RUN, carry, destination, folder, services


@click.command(
    "create",
    cls=Verb,
    help="Backs up the data of all services, or of those named, each as a snapshot of its own; services go on. Makes "
    "the repository where there is none yet.",
    epilog="""
    blackhole backup create --full
    blackhole backup create --service storage
    blackhole backup create --destination /backup/manual/
    """,
)
@click.option("--full", is_flag=True, help="Read every byte again.")
@click.option("--incremental", is_flag=True, help="Read what differs from the backup before; this is the default.")
@services("Only this service.")
@destination("Into the repository of this folder instead of the configured one.")
@DRY_RUN
@click.pass_obj
def command(
    settings: Settings, full: bool, incremental: bool, services: tuple[str, ...], destination: str, dry_run: bool
) -> int:
    if full and incremental:
        raise UsageError("cannot make a backup that is both --full and --incremental; keep one of them")
    kind = BackupType.FULL if full else BackupType.INCREMENTAL
    request = CreateBackupRequest(services, kind, folder(settings, destination, "--destination"))
    return carry(settings, request, dry_run=dry_run)
