"""`blackhole stop`: in the reverse order, or everything at once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.errors import BlackholeError, NoConnection, UsageError
from bhtui.core.request import StopRequest
from bhtui.core.units import parse_duration
from bhtui.keeper import force as force_
from bhtui.keeper.client import KeeperError
from bhtui.keeper.client import emergency as kill_everything
from bhtui.rpc import quick
from bhtui.rpc.local import answers, anything_runs, wait_for_keeper

AT_ONCE = 0.3
"""Seconds that an agent has to answer before an emergency stop goes past it."""


@click.command(
    cls=Verb,
    help="Stops services: all, last started first, or those named; what depends on these stays up. The stop signal, "
    "the grace period, then SIGKILL to whatever is left.",
    epilog="""
    blackhole stop storage
    blackhole stop --force --timeout 30s
    blackhole stop --emergency
    """,
)
@click.argument("services", nargs=-1)
@click.option("--force", is_flag=True, help="Take over from an operation that is under way.")
@click.option("--timeout", metavar="TIME", help="Grace before SIGKILL, for example 30s, 0s: at once; else as declared.")
@click.option("--emergency", is_flag=True, help="Kill every process of every service at once; works without the agent.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(
    settings: Settings, services: tuple[str, ...], force: bool, timeout: str | None, emergency: bool, dry_run: bool
) -> int:
    if emergency and services:
        raise UsageError("cannot choose services for --emergency: it kills all; leave the names out, or use --force")
    request = StopRequest(services, force, _seconds(timeout), emergency)
    if not settings.remote and not anything_runs(settings.paths):
        click.echo("nothing runs here: there is no agent and no keeper")
        return 0
    if emergency and not dry_run and not settings.remote:
        settings.must_not_be_read_only("kill the services")
        return _without_keeper(settings) if force_.is_stuck(settings.paths.run) else _at_once(settings, request)
    return carry_out(settings, request, dry_run=dry_run, dangerous=True)


def _at_once(settings: Settings, request: StopRequest) -> int:
    """The keeper kills, which takes no agent and nothing that is slow to import; then the agent is told who and why."""
    report, failure = None, None
    try:
        report = kill_everything(settings.paths.run)
        _tell(report, settings.plain)
    except KeeperError as error:
        failure = error
    try:
        _must_answer_at_once(settings.paths.agent_socket)
        code = carry_out(settings, request, dangerous=True, quietly=report is not None)
    except NoConnection as error:
        if report is None:
            raise BlackholeError(f"{failure}; end the processes by hand, `ps` shows them") from None
        click.echo(f"{error}; the keeper did it without", err=True)
        code = 0
    _must_be_gone(report["remaining"] if report else [])
    return code


def _must_answer_at_once(agent: Path) -> None:
    """In an emergency nobody waits for a hung agent: the keeper does the same. Raises NoConnection, Refused."""
    if not answers(agent):
        raise NoConnection("cannot reach the agent: it does not run")
    try:
        quick.status(str(agent), timeout=AT_ONCE)
    except quick.QuickError:
        return  # it has answered
    except OSError:
        raise NoConnection(f"cannot reach the agent: it does not answer within {AT_ONCE:g} s") from None


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError(f"cannot read --timeout: {error}") from None


def _without_keeper(settings: Settings) -> int:
    """A live agent starts another keeper, and hears of the emergency from that one."""
    run = settings.paths.run
    click.echo(f"the keeper, {_processes(force_.keepers(run))}, does not answer; killing it and the services", err=True)
    try:
        report = force_.end_everything(run)
    except OSError as error:
        raise BlackholeError(f"cannot write into {run}: {error.strerror}; kill the processes by hand") from None
    if force_.agents(run):
        with suppress(KeeperError):
            wait_for_keeper(settings.paths)
            kill_everything(run)
    _tell(report, settings.plain)
    _must_be_gone(report["remaining"])
    return 0


def _tell(report: dict[str, Any], plain: bool) -> None:
    click.echo(f"killed {_count(report['killed'])}; none is started again before `blackhole start`", err=not plain)


def _must_be_gone(left: list[int]) -> None:
    if left:
        raise BlackholeError(
            f"cannot kill {_processes(left)}: another user's, or stuck in the kernel; try again as root, or look at "
            f"`ps -o pid,user,stat,cmd -p {','.join(map(str, left))}`"
        )


def _count(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def _processes(pids: list[int]) -> str:
    return f"process{'es' if len(pids) > 1 else ''} {' '.join(map(str, pids))}"
