"""`blackhole maintenance`: windows in which nothing is restarted by itself."""

from __future__ import annotations

import sys
from typing import Any

import click

from bhtui.cli.app import MainVerb, Verb, Verbs
from bhtui.cli.carry import carry_out
from bhtui.cli.output import write_list
from bhtui.cli.present import GREEN, age, printable, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.maintenance import Window
from bhtui.core.request import CloseWindowRequest, OpenWindowRequest
from bhtui.core.units import parse_duration
from bhtui.rpc.convert.maintenance import from_message, to_json

_dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")


class Duration(click.ParamType[float]):
    """`30m`, `1h`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(
    "maintenance",
    cls=Verbs,
    help="Maintenance windows: while one is open, what ends or fails its liveness probe is held instead of being "
    "restarted. What people ask for is done as ever.",
    epilog="""
    blackhole maintenance windows
    blackhole maintenance windows open --for 1h --reason "new kernel"
    """,
)
def command() -> None:
    return


@click.command(
    cls=Verb,
    help="Lists the windows: which are open, until when and who opened them, and when the declared ones open next.",
    epilog="""
    blackhole maintenance windows
    blackhole maintenance windows --output json
    """,
)
@click.pass_obj
def show(settings: Settings) -> int:
    answers = ask_all(settings, lambda client: client.windows())
    found = [(target.name, said.time_ns, from_message(each)) for target, said in answers.good for each in said.windows]
    if not settings.plain:
        write_list([to_json(window, host) for host, _, window in found], settings.output)
    elif answers.good:
        sys.stdout.write(_table(found, settings.remote))
    return answers.report()


def _table(found: list[tuple[str, int, Window]], hosts: bool) -> str:
    if not found:
        return "no maintenance windows; open one with `blackhole maintenance windows open --for 1h`\n"
    heads = ["WINDOW", "STATE", "SERVICES", "WHEN", "BY", "REASON"]
    rows = [([(host, "")] if hosts else []) + _row(window, now) for host, now, window in found]
    return table(["HOST", *heads] if hosts else heads, rows)


def _row(window: Window, now: int) -> list[tuple[str, str]]:
    lasts = age((window.until_ns - window.from_ns) / 1e9)
    if window.open:
        state, when = ("● open", GREEN), f"for another {age((window.until_ns - now) / 1e9)}"
    elif window.from_ns:
        state, when = ("○ closed", ""), f"in {age((window.from_ns - now) / 1e9)} for {lasts}"
    else:
        state, when = ("○ closed", ""), "never again"
    by = printable(window.actor) or f"cron {window.start}" + (f" {window.timezone}" if window.timezone else "")
    return [
        (window.id, ""),
        state,
        (" ".join(window.services) or "all", ""),
        (when, ""),
        (by, ""),
        (printable(window.reason), ""),
    ]


windows = MainVerb(name="windows", by_itself=show)
command.add_command(windows)


@windows.command(
    "open",
    help="Opens a window for these services, or for all. It is named after its operation, outlives the agent, and "
    "closes by itself; --reason is kept with it.",
    epilog="""
    blackhole maintenance windows open --for 1h --reason "new kernel"
    blackhole maintenance windows open api db --for 30m
    """,
)
@click.argument("services", nargs=-1)
@click.option("--for", "seconds", type=Duration(), required=True, help="How long it is open: 30m, 1h, 2d.")
@_dry_run
@click.pass_obj
def open_window(settings: Settings, services: tuple[str, ...], seconds: float, dry_run: bool) -> int:
    return carry_out(settings, OpenWindowRequest(seconds, services), dry_run=dry_run)


@windows.command(
    "close",
    help="Closes a window before its time and starts what it held. A declared one opens again when its time comes.",
    epilog="""
    blackhole maintenance windows close
    blackhole maintenance windows close 1f0c22ab
    """,
)
@click.argument("window", metavar="[WINDOW]", default="")
@_dry_run
@click.pass_obj
def close_window(settings: Settings, window: str, dry_run: bool) -> int:
    return carry_out(settings, CloseWindowRequest(window), dry_run=dry_run)
