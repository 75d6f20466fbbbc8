"""`blackhole overview`: what a host runs and has, declared or not."""

from __future__ import annotations

import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.overviewtables import render
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.rpc.convert.overview import from_message, to_json


@click.command(
    cls=Verb,
    help="Shows what a host runs, also where nothing is declared: failed and busiest units, containers, what listens, "
    "the busiest processes; and what it has: processors, memory, disks, network. Takes half a second, in which it is "
    "measured what is busy. What the agent may not see is said at the end.",
    epilog="""
    blackhole overview
    blackhole overview --host ops@10.0.0.11
    blackhole overview --output json | jq '.[].listeners[] | select(.instance == "")'
    """,
)
@click.option("--all", "every", is_flag=True, help="Every row of each list, not the first 8.")
@click.pass_obj
def command(settings: Settings, every: bool) -> int:
    answers = ask_all(settings, lambda client: client.overview())
    found = [(target.name, from_message(each)) for target, each in answers.good]
    if not settings.plain:
        write_list([to_json(seen, name) for name, seen in found], settings.output)
    elif found:
        sys.stdout.write("\n".join(render(seen, name, every) for name, seen in found))
    return answers.report()
