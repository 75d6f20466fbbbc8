"""`blackhole metrics page`: what the Prometheus endpoint says, whether its port is open or not."""

from __future__ import annotations

import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.errors import UsageError


@click.command(
    "page",
    cls=Verb,
    help="Prints what the Prometheus endpoint of a host says, whether `metrics.listen` is set or not.",
    epilog="""
    blackhole metrics page
    blackhole metrics page --host web-1 | promtool check metrics
    """,
)
@click.pass_obj
def command(settings: Settings) -> int:
    if len(settings.hosts) > 1 or settings.groups:
        raise UsageError(
            "cannot print the pages of several hosts at once: name one; `blackhole fleet prometheus-sd` is for all"
        )
    answers = ask_all(settings, lambda client: client.metrics_page())
    for _, text in answers.good:
        sys.stdout.write(text)
    return answers.report()
