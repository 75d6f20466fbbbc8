"""`blackhole health`: ask every probe now."""

from __future__ import annotations

import sys
from typing import Any

import click

from bhtui.cli.app import Verbs
from bhtui.cli.output import write_list
from bhtui.cli.present import GREEN, HEALTH, RED, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.errors import UsageError

from .status import rows_of


@click.group("health", cls=Verbs, help="Asks the probes of services.", epilog="blackhole health check --all")
def command() -> None:
    return


@command.command(
    "check",
    help="Runs the probes of the services named now, whatever their interval, and says what each answered. "
    "The exit code is 1 unless all are healthy that are to run.",
    epilog="""
    blackhole health check --all
    blackhole health check storage --host web-1
    """,
)
@click.argument("services", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All services.")
@click.pass_obj
def check(settings: Settings, services: tuple[str, ...], every: bool) -> int:
    if bool(services) == every:
        raise UsageError("cannot tell what to check: name services, or give --all")
    found = ask_all(settings, lambda client: client.check_health(services))
    rows = rows_of(found)
    if settings.plain and not found.good:
        return found.report()
    if settings.plain:
        heads = ["HOST", "INSTANCE", "HEALTH", "STATE", "PROBE", "SAYS"]
        cells = [
            [
                (row["host"], ""),
                (row["instance"], ""),
                (row["health"], HEALTH.get(row["health"], "")),
                (row["state"], GREEN if row["state"] == "running" else "" if _rests(row) else RED),
                (row["probe"], ""),
                (_says(row), ""),
            ]
            for row in rows
        ]
        drop = 0 if settings.remote else 1
        sys.stdout.write(table(heads[drop:], [row[drop:] for row in cells]))
    else:
        write_list(rows, settings.output)
    return max(found.report(), int(any(row["health"] != "healthy" and not _rests(row) for row in rows)))


def _rests(row: dict[str, Any]) -> bool:
    """Whether it does not run and need not: it was stopped, or has done what it had to do."""
    return bool(row["state"] == "stopped" and (row["goal"] == "down" or row["result"] == "success"))


def _says(row: dict[str, Any]) -> str:
    """What its probe answered, or why there is nobody to ask. The past says nothing of a healthy one."""
    if _rests(row):
        return "it was stopped" if row["goal"] == "down" else "it has completed"
    past = "" if row["health"] == "healthy" else row["last_error"]
    return str(row["health_detail"] or past or "-").splitlines()[0]
