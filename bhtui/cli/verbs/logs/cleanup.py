"""`blackhole logs cleanup`: removes captured output that is too old."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.errors import UsageError
from bhtui.core.request import CleanupLogsRequest
from bhtui.core.units import parse_duration


@click.command(
    "cleanup",
    cls=Verb,
    help="Removes files of captured output of which every line is older than an age, of all services or of those "
    "named. What an instance still writes to is left alone.",
    epilog="""
    blackhole logs cleanup --older-than 7d
    blackhole logs cleanup storage --older-than 36h --dry-run
    """,
)
@click.argument("services", nargs=-1)
@click.option("--older-than", required=True, metavar="AGE", help="36h, 7d, 2w.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], older_than: str, dry_run: bool) -> int:
    try:
        seconds = parse_duration(older_than)
    except ValueError as error:
        raise UsageError(f"cannot read --older-than: {error}") from None
    return carry_out(settings, CleanupLogsRequest(seconds, services), dry_run=dry_run, dangerous=True)
