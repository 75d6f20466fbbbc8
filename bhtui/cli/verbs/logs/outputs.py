"""`blackhole logs outputs`: where captured lines are sent besides the files, and how far that has come."""

from __future__ import annotations

import sys
import time

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import RED, YELLOW, printable
from bhtui.cli.sending import Cell, any_late, listed, state_cell, waiting_cells
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.outputs import OutputStatus
from bhtui.core.units import format_count
from bhtui.rpc.convert.logs import output_from_message
from bhtui.rpc.convert.sending import sending_to_json

HEADS = ("OUTPUT", "STATE", "SENT", "WAIT", "AGE", "AGAIN", "REFUSED", "LOST", "TARGET")

Found = list[tuple[str, OutputStatus]]


@click.command(
    cls=Verb,
    help="Shows each of `logging.outputs`: whether it sends, how many lines were sent, wait in the captured files "
    "(about), were sent again, were refused for good (and are kept in the dead-letter file) and were lost to rotation, "
    "and the last error. The exit code is 1 when one fails or lags.",
    epilog="""
    blackhole logs outputs
    blackhole logs outputs --output json
    """,
)
@click.pass_obj
def command(settings: Settings) -> int:
    answers = ask_all(settings, lambda client: client.log_outputs())
    found = [(target.name, output_from_message(each)) for target, some in answers.good for each in some]
    if not settings.plain:
        write_list([sending_to_json(status, host) for host, status in found], settings.output)
    elif answers.good:
        sys.stdout.write(render(found, time.time_ns(), hosts=settings.remote))
    return max(answers.report(), int(any_late(found)))


def render(found: Found, now_ns: int, *, hosts: bool) -> str:
    """The table, with the last error below each that has one."""
    if not found:
        return "no outputs are declared: lines stay in the captured files; see logging.outputs in the configuration\n"
    return listed(found, HEADS, _row, now_ns, hosts)


def _row(status: OutputStatus) -> list[Cell]:
    return [
        (status.name, ""),
        state_cell(status),
        (format_count(status.sent), ""),
        *waiting_cells(status, status.behind_lines, status.behind_bytes),
        (format_count(status.retried), ""),
        (format_count(status.dead_lettered), YELLOW if status.dead_lettered else ""),
        (format_count(status.dropped), RED if status.dropped else ""),
        (printable(status.target or status.type), ""),
    ]
