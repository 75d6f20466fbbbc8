"""`blackhole logs outputs`: where captured lines are sent besides the files, and how far that has come."""

from __future__ import annotations

import sys
import time

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import GREEN, GREY, RED, YELLOW, age, printable, shapely, size, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.outputs import OutputStatus
from bhtui.rpc.convert.logs import output_from_message, output_to_json

STATES = {"ok": ("●", "*", GREEN), "idle": ("○", "o", GREY), "lagging": ("↻", "~", YELLOW), "failing": ("✗", "x", RED)}
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
        write_list([output_to_json(status, host) for host, status in found], settings.output)
    elif answers.good:
        sys.stdout.write(render(found, time.time_ns(), hosts=settings.remote))
    return max(answers.report(), int(any(status.state in ("failing", "lagging") for _, status in found)))


def render(found: Found, now_ns: int, *, hosts: bool) -> str:
    """The table, with the last error below each that has one."""
    if not found:
        return "no outputs are declared: lines stay in the captured files; see logging.outputs in the configuration\n"
    heads = ["HOST", *HEADS] if hosts else list(HEADS)
    rows = [[*([(host, "")] if hosts else []), *_row(status)] for host, status in found]
    below = {at: [_error(status, now_ns)] for at, (_, status) in enumerate(found) if status.last_error}
    return table(heads, rows, below)


def _row(status: OutputStatus) -> list[tuple[str, str]]:
    shape, plain, colour = STATES.get(status.state, ("?", "?", ""))
    is_late = YELLOW if status.state in ("lagging", "failing") else ""
    return [
        (status.name, ""),
        (f"{shape if shapely() else plain} {status.state}", colour),
        (short(status.sent), ""),
        (f"{short(status.behind_lines)} {size(status.behind_bytes)}" if status.behind_bytes else "0", is_late),
        (age(status.behind_seconds) if status.behind_seconds >= 1 else "-", is_late),
        (short(status.retried), ""),
        (short(status.dead_lettered), YELLOW if status.dead_lettered else ""),
        (short(status.dropped), RED if status.dropped else ""),
        (printable(status.target or status.type), ""),
    ]


def short(number: int) -> str:
    """A number in few columns; `--output json` has every digit."""
    if number < 100_000:
        return f"{number:,}"
    return f"{number / 1e6:.1f} M" if number >= 999_500 else f"{number / 1e3:.0f} k"


def _error(status: OutputStatus, now_ns: int) -> str:
    if status.failing_since_ns:
        return f"for {age((now_ns - status.failing_since_ns) / 1e9)}: {status.last_error}"
    return f"{age((now_ns - status.last_error_ns) / 1e9)} ago: {status.last_error}"
