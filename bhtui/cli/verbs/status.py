"""`blackhole status`: how every service is, once or all the time."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list, write_record
from bhtui.cli.present import age, notes_text, status_table, terminal_width, unwell
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, Target, ask_all, everywhere, opened
from bhtui.rpc.blackhole.v1.status_pb2 import Snapshot
from bhtui.rpc.convert.status import message_to_json

REDRAW = 0.5
"""Seconds."""

Rows = dict[tuple[str, str], dict[str, Any]]


@click.command(
    cls=Verb,
    help="Shows how the services are (all, or those named), with the reason below each that is not well. "
    "The exit code is 1 when one of them is failed or unhealthy.",
    epilog="""
    blackhole status
    blackhole status storage --detailed
    blackhole status --watch --group web
    blackhole status --output json | jq '.[] | select(.state != "running")'
    """,
)
@click.argument("services", nargs=-1)
@click.option("--watch", "-w", is_flag=True, help="Go on showing what changes, until Ctrl-C.")
@click.option("--detailed", is_flag=True, help="More columns, and reasons in full.")
@click.pass_obj
def command(settings: Settings, services: tuple[str, ...], watch: bool, detailed: bool) -> int:
    if watch:
        return asyncio.run(_watch(settings, services, detailed))
    found = ask_all(settings, lambda client: client.status(services))
    rows = rows_of(found)
    if found.good or not settings.plain:
        show(settings, rows, detailed)
    if settings.plain:
        for target, snapshot in found.good:
            sys.stdout.write(notes_text(snapshot.notes, target.name if settings.remote else ""))
    return max(found.report(), int(any(map(unwell, rows))))


def rows_of(found: Answers[Snapshot]) -> list[dict[str, Any]]:
    """The objects of all hosts' answers."""
    return [message_to_json(each, target.name) for target, snapshot in found.good for each in snapshot.instances]


def show(settings: Settings, rows: list[dict[str, Any]], detailed: bool) -> None:
    if settings.plain:
        width = terminal_width()
        sys.stdout.write(status_table(rows, detailed=detailed, hosts=settings.remote, width=width))
    else:
        write_list(rows, settings.output)


async def _watch(settings: Settings, services: tuple[str, ...], detailed: bool) -> int:
    rows: Rows = {}
    redraw = settings.plain and sys.stdout.isatty()

    def took(target: Target, snapshot: Snapshot) -> None:
        for name in snapshot.removed:
            rows.pop((target.name, name), None)
        for message in snapshot.instances:
            row = message_to_json(message, target.name)
            before = rows.get((target.name, row["instance"]))
            rows[target.name, row["instance"]] = row | {"_seen": time.monotonic()}
            if not settings.plain:
                write_record(row, settings.output)
            elif not redraw and _changed(before, row):
                sys.stdout.write(_line(row, settings.remote))
        sys.stdout.flush()

    async def watch(target: Target) -> None:
        client = await target.client()
        async for snapshot in client.watch_status(services):
            took(target, snapshot)

    async with opened(settings) as targets:
        drawing = asyncio.create_task(_redraw(rows, detailed, settings.remote)) if redraw else None
        try:
            return (await everywhere(settings, targets, watch)).report()
        finally:
            if drawing:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)


async def _redraw(rows: Rows, detailed: bool, hosts: bool) -> None:
    """The table again and again, also when only time goes on; a last time when the watching ends."""
    try:
        while True:
            _draw(rows, detailed, hosts)
            await asyncio.sleep(REDRAW)
    finally:
        _draw(rows, detailed, hosts)


def _draw(rows: Rows, detailed: bool, hosts: bool) -> None:
    """The whole table, over the last one."""
    if rows:
        now = time.monotonic()
        shown = [_aged(row, now) for _, row in sorted(rows.items())]
        table = status_table(shown, detailed=detailed, hosts=hosts, width=terminal_width())
        sys.stdout.write("\x1b[H\x1b[J" + table)
        sys.stdout.flush()


def _aged(row: dict[str, Any], now: float) -> dict[str, Any]:
    """The agent does not repeat a row in which only time went on."""
    passed = now - row["_seen"]
    uptime = row["uptime_seconds"]
    left = row["next_start_seconds"]
    return row | {
        "uptime_seconds": None if uptime is None else uptime + passed,
        "next_start_seconds": None if left is None else max(0.0, left - passed),
    }


def _changed(before: dict[str, Any] | None, row: dict[str, Any]) -> bool:
    keys = ("state", "health", "pid", "restarts", "last_error")
    return before is None or any(before[key] != row[key] for key in keys)


def _line(row: dict[str, Any], hosts: bool) -> str:
    """For a file or a pipe: one line at each change."""
    host = f"{row['host']} " if hosts else ""
    reason = f"  {row['last_error'].splitlines()[0]}" if row["last_error"] and row["state"] != "running" else ""
    moment = time.strftime("%H:%M:%S")
    return f"{moment} {host}{row['instance']} {row['state']} {row['health']} up {age(row['uptime_seconds'])}{reason}\n"
