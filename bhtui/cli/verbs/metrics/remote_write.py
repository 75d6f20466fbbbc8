"""`blackhole metrics remote-write`: whether samples are sent to a Prometheus elsewhere, and how far that has come."""

from __future__ import annotations

import sys
import time

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import RED, YELLOW, age, printable, shapely, size, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.cli.verbs.logs.outputs import STATES, short
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.rpc.convert.metrics import remote_write_from_message, remote_write_to_json

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
        write_list([remote_write_to_json(status, host) for host, status in found], settings.output)
    elif answers.good:
        sys.stdout.write(render(found, time.time_ns(), hosts=settings.remote))
    return max(answers.report(), int(any(status.state in ("failing", "lagging") for _, status in found)))


def render(found: Found, now_ns: int, *, hosts: bool) -> str:
    """The table, with the last error below each that has one."""
    if not found:
        return "remote write is not declared: see metrics.remote_write in the configuration\n"
    heads = ["HOST", *HEADS] if hosts else list(HEADS)
    rows = [[*([(host, "")] if hosts else []), *_row(status)] for host, status in found]
    below = {at: [_error(status, now_ns)] for at, (_, status) in enumerate(found) if status.last_error}
    return table(heads, rows, below)


def _row(status: RemoteWriteStatus) -> list[tuple[str, str]]:
    shape, plain, colour = STATES.get(status.state, ("?", "?", ""))
    is_late = YELLOW if status.state in ("lagging", "failing") else ""
    return [
        (printable(status.name), ""),
        (f"{shape if shapely() else plain} {status.state}", colour),
        (short(status.sent), ""),
        (f"{short(status.behind_samples)} {size(status.behind_bytes)}" if status.behind_samples else "0", is_late),
        (age(status.behind_seconds) if status.behind_seconds >= 1 else "-", is_late),
        (short(status.retried), ""),
        (short(status.rejected), RED if status.rejected else ""),
        (short(status.dropped), RED if status.dropped else ""),
        (printable(status.target), ""),
    ]


def _error(status: RemoteWriteStatus, now_ns: int) -> str:
    if status.failing_since_ns:
        return f"for {age((now_ns - status.failing_since_ns) / 1e9)}: {status.last_error}"
    return f"{age((now_ns - status.last_error_ns) / 1e9)} ago: {status.last_error}"
