"""`blackhole backup`: makes backups, shows them, checks them, and puts back what they hold."""

from __future__ import annotations

import click

from bhtui.cli.app import Verbs

from . import create, diff, drill, files, forget, heal, listing, prune, repair, repo, restore, show, verify


@click.group(
    "backup",
    cls=Verbs,
    help="Backups: a snapshot for each service and run, in a standard restic repository. They are made, checked and "
    "restored by the agent of the host, which goes on when you leave.",
    epilog="""
    blackhole backup create --full
    blackhole backup list
    blackhole backup restore --latest --service api --dry-run
    """,
)
def command() -> None:
    return


for each in (create, listing, show, verify, restore, prune, diff, files, forget, repair, heal, drill):
    command.add_command(each.command)
command.add_command(repo.command)
