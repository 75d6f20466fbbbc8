"""`blackhole metrics remote-write`: whether samples are sent to a Prometheus elsewhere, and how far that has come."""

from __future__ import annotations

import sys
import time

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import RED, printable
from bhtui.cli.sending import Cell, any_late, listed, state_cell, waiting_cells
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.units import format_count
from bhtui.rpc.convert.metrics import remote_write_from_message
from bhtui.rpc.convert.sending import sending_to_json

HEADS = ("NAME", "STATE", "SENT", "WAIT", "AGE", "AGAIN", "REFUSED", "LOST", "TARGET")

Found = list[tuple[str, RemoteWriteStatus]]


@click.command(
    "remote-write",
    cls=Verb,
    help="Shows each `metrics.remote_write`: whether it sends, how many samples were sent, wait on disk, were sent "
    "again, were refused for good and were lost because the buffer was full, and the last error. The exit code is 1 "
    "when one fails or lags.",
    epilog="""
    blackhole metrics remote-write
    blackhole metrics remote-write --output json
    """,
)
@click.pass_obj
def command(settings: Settings) -> int:
    answers = ask_all(settings, lambda client: client.remote_write())
    found = [(target.name, one) for target, each in answers.good for one in remote_write_from_message(each)]
    if not settings.plain:
        write_list([sending_to_json(status, host) for host, status in found], settings.output)
    elif answers.good:
        sys.stdout.write(render(found, time.time_ns(), hosts=settings.remote))
    return max(answers.report(), int(any_late(found)))


def render(found: Found, now_ns: int, *, hosts: bool) -> str:
    """The table, with the last error below each that has one."""
    if not found:
        return "remote write is not declared: see metrics.remote_write in the configuration\n"
    return listed(found, HEADS, _row, now_ns, hosts)


def _row(status: RemoteWriteStatus) -> list[Cell]:
    return [
        (printable(status.name), ""),
        state_cell(status),
        (format_count(status.sent), ""),
        *waiting_cells(status, status.behind_samples, status.behind_bytes),
        (format_count(status.retried), ""),
        (format_count(status.rejected), RED if status.rejected else ""),
        (format_count(status.dropped), RED if status.dropped else ""),
        (printable(status.target), ""),
    ]
