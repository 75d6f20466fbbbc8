"""`blackhole start`: start services in the order of their needs."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.request import StartRequest


@click.command(
    cls=Verb,
    help="Starts services (all, or those named with what they depend on) and returns when they are healthy. "
    "When one does not come up, what this start began is stopped again.",
    epilog="""
    blackhole start
    blackhole start identity storage
    blackhole start --config /etc/blackhole/custom.yaml --dry-run
    """,
)
@click.argument("services", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--debug", is_flag=True, help="With BLACKHOLE_DEBUG=1 and LOG_LEVEL=debug in the services' environment.")
@click.option("--enable-pprof", is_flag=True, help="Ask the services to open their profiling endpoints.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], dry_run: bool, debug: bool, enable_pprof: bool) -> int:
    text, path = settings.read_config()
    return carry_out(settings, StartRequest(services, text, path, debug, enable_pprof), dry_run=dry_run)
