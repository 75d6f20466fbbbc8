"""`blackhole adopt`: a unit, a container or a process that runs becomes a declared service."""

from __future__ import annotations

import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.output import write_record
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.errors import UsageError
from bhtui.core.request import AdoptRequest
from bhtui.rpc.convert.operations import request_to_message


@click.command(
    cls=Verb,
    help="Writes the service that a systemd unit, a container or a process would be into the host's configuration and "
    "puts that in force; the plan shows the exact text. Comments and form of the file stay. Nothing that runs is "
    "touched: systemd and the engine go on supervising theirs, and a process goes on until you stop it and start the "
    "service in its place. Values that look secret are never written, only named.",
    epilog="""
    blackhole adopt nginx.service --dry-run
    blackhole adopt nginx.service
    blackhole adopt 2231 --name web --host ops@10.0.0.11
    blackhole adopt container:web --print
    """,
)
@click.argument("target", metavar="UNIT|CONTAINER|PID")
@click.option(
    "--name", default="", metavar="N", help="What the service is called; without it, after what it is made of."
)
@click.option("--print", "only_print", is_flag=True, help="Print the text alone, and write nothing.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(settings: Settings, target: str, name: str, only_print: bool, dry_run: bool) -> int:
    if settings.config or settings.profiles:
        raise UsageError(
            "cannot adopt into another configuration: it goes into the one in force there; leave out --config and "
            "--profile, or take what --print shows"
        )
    if not only_print:
        return carry_out(settings, AdoptRequest(target, name), dry_run=dry_run, dangerous=True)
    message = request_to_message(AdoptRequest(target, name, document_only=True))
    answers = ask_all(settings, lambda client: client.plan(message))
    for host, plan in answers.good:
        if settings.plain:
            sys.stdout.write(plan.document)
        else:
            write_record({"host": host.name, "name": plan.targets[0], "document": plan.document}, settings.output)
    return answers.report()
