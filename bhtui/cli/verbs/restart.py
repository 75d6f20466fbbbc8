"""`blackhole restart`: all at once, rolling, or what a changed configuration touches."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.errors import UsageError
from bhtui.core.request import OnFailure, ReloadConfigRequest, RestartRequest


@click.command(
    cls=Verb,
    help="Restarts services (all, or those named). With --rolling one instance at a time, the next only when the last "
    "is healthy. With --reload-config the configuration is read again, and only what changed is restarted; with both, "
    "one by one. What a failure leaves half done, `blackhole operations` resumes or rolls back.",
    epilog="""
    blackhole restart identity
    blackhole restart --rolling
    blackhole restart --reload-config --dry-run
    blackhole restart --reload-config --rolling --on-failure rollback
    """,
)
@click.argument("services", nargs=-1)
@click.option("--rolling", is_flag=True, help="One instance at a time; stops at the first that does not come back.")
@click.option("--reload-config", is_flag=True, help="Read the configuration again; restart what its change touches.")
@click.option(
    "--on-failure",
    type=click.Choice([each.value for each in OnFailure]),
    help="Of a reload: leave it as far as it came, or put the old configuration back everywhere it got to.  "
    "[default: stop with --rolling, else rollback]",
)
@click.option("--force", is_flag=True, help="Take over from an operation that is under way.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(
    settings: Settings,
    services: tuple[str, ...],
    rolling: bool,
    reload_config: bool,
    on_failure: str | None,
    force: bool,
    dry_run: bool,
) -> int:
    text, path = settings.read_config()
    if not reload_config:
        if text or path:
            raise UsageError("cannot restart with another configuration by itself: add --reload-config")
        if on_failure == OnFailure.ROLLBACK:
            raise UsageError(
                "cannot roll back a restart: it changes nothing that could be put back; leave --on-failure out"
            )
        return carry_out(settings, RestartRequest(services, rolling, force), dry_run=dry_run, dangerous=True)
    if services or force:
        raise UsageError("cannot choose what --reload-config restarts: the change decides; leave the rest out")
    request = ReloadConfigRequest(text, path, rolling, on_failure or "")
    return carry_out(settings, request, dry_run=dry_run, dangerous=True)
