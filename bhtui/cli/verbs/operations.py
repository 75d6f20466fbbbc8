"""`blackhole operations`: what was done, by whom, how far; one in full, watched, cancelled, resumed or rolled back."""

from __future__ import annotations

import asyncio
import sys
import time

import click

from bhtui.cli.app import MainVerb, Verb
from bhtui.cli.carry import carry_out, conclude, follow
from bhtui.cli.output import write_record
from bhtui.cli.present import age, printable, state_cell, table
from bhtui.cli.progress import Progress
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Target, ask_all, everywhere, one, opened
from bhtui.core.errors import NotFound
from bhtui.core.request import PastRequest, ResumeRequest, RollBackRequest
from bhtui.rpc.blackhole.v1.operations_pb2 import Operation
from bhtui.rpc.convert.operations import operation_to_json


@click.command(
    cls=Verb,
    help="Lists the operations, newest first; shows one of them in full, or watches it to its end. The beginning of an "
    "id is enough. Further words: `cancel ID`, `resume ID`, `rollback ID`.",
    epilog="""
    blackhole operations
    blackhole operations 1f0c22ab --watch
    blackhole operations cancel 1f0c22ab
    """,
)
@click.argument("operation_id", required=False, metavar="[ID]")
@click.option("--watch", "-w", is_flag=True, help="Follow it to its end; its exit code is 1 if it failed.")
@click.option("--open", "open_only", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="So many of each host.")
@click.pass_obj
def show(settings: Settings, operation_id: str | None, watch: bool, open_only: bool, limit: int) -> int:
    if operation_id is None:
        return _list(settings, limit, open_only)
    return asyncio.run(_one(settings, operation_id, watch))


command = MainVerb(name="operations", by_itself=show)
_dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")


@command.command(
    "cancel",
    help="Cancels an operation that is under way: what runs is let finish or undone, as its plan says.",
    epilog="blackhole operations cancel 1f0c22ab",
)
@click.argument("operation_id", metavar="ID")
@click.pass_obj
def cancel(settings: Settings, operation_id: str) -> int:
    settings.must_not_be_read_only("cancel an operation")
    return asyncio.run(_cancel(settings, operation_id))


@command.command(
    "resume",
    help="Goes on with what a failed or cancelled restart or reload did not get to: one instance at a time, what "
    "failed first. What got there by itself meanwhile is left alone.",
    epilog="""
    blackhole operations resume 1f0c22ab --dry-run
    blackhole operations resume 1f0c22ab
    """,
)
@click.argument("operation_id", metavar="ID")
@_dry_run
@click.pass_obj
def resume(settings: Settings, operation_id: str, dry_run: bool) -> int:
    return _again(settings, ResumeRequest(operation_id), dry_run)


@command.command(
    "rollback",
    help="Puts the configuration from before a reload back, one instance at a time; also long after it is done. What "
    "changed nothing that could be put back is refused.",
    epilog="""
    blackhole operations rollback 1f0c22ab --dry-run
    blackhole operations rollback 1f0c22ab
    """,
)
@click.argument("operation_id", metavar="ID")
@_dry_run
@click.pass_obj
def rollback(settings: Settings, operation_id: str, dry_run: bool) -> int:
    return _again(settings, RollBackRequest(operation_id), dry_run)


def _again(settings: Settings, request: PastRequest, dry_run: bool) -> int:
    """Carries it out where that operation was."""

    async def where(targets: list[Target]) -> list[Target]:
        return [(await _find(settings, targets, request.operation))[0]] if len(targets) > 1 else targets

    return carry_out(settings, request, dry_run=dry_run, dangerous=True, where=where)


def _list(settings: Settings, limit: int, open_only: bool) -> int:
    found = ask_all(settings, lambda client: client.operations(limit, open_only))
    if settings.plain and found.good:
        sys.stdout.write(_table([(target, each) for target, some in found.good for each in some], settings.remote))
    else:
        for target, some in found.good:
            for each in some:
                write_record(operation_to_json(each, target.name), settings.output)
    return found.report()


def _table(operations: list[tuple[Target, Operation]], hosts: bool) -> str:
    if not operations:
        return "no operations\n"
    heads = ["ID", "AGO", "KIND", "TARGET", "STATE", "BY", "STEPS", "REASON"]
    now = time.time_ns()
    rows = [_row(target, each, now, hosts) for target, each in operations]
    below = {number: each.error.splitlines()[:1] for number, (_, each) in enumerate(operations) if each.error}
    return table(["HOST", *heads] if hosts else heads, rows, below)


def _row(target: Target, each: Operation, now: int, hosts: bool) -> list[tuple[str, str]]:
    done = sum(step.state == "done" for step in each.steps)
    row = [
        (each.id[:8], ""),
        (age((now - each.created_ns) / 1e9), ""),
        (each.kind, ""),
        (" ".join(each.targets)[:40], ""),
        state_cell(each.state),
        (_who(each), ""),
        (f"{done}/{len(each.steps)}" if each.steps else "-", ""),
        (printable(each.reason), ""),
    ]
    return [(target.name, ""), *row] if hosts else row


def _who(operation: Operation) -> str:
    actor = operation.actor
    return f"{actor.name}@{actor.origin}" if actor.origin else actor.name


async def _find(settings: Settings, targets: list[Target], operation_id: str) -> tuple[Target, Operation]:
    """The operation and where it is; ids are random, so at most one host has it. Raises NotFound."""

    async def ask(target: Target) -> Operation:
        return await (await target.client()).operation(operation_id)

    found = await everywhere(settings, targets, ask)
    if found.good:
        return found.good[0]
    for _, error in found.failed:
        if not isinstance(error, NotFound):
            raise error
    raise found.failed[0][1]


async def _one(settings: Settings, operation_id: str, watch: bool) -> int:
    async with opened(settings) as targets:
        target, operation = await _find(settings, targets, operation_id)
        if watch:
            operation = await follow(settings, target, operation, Progress())
            return conclude(settings, target, operation)
        if settings.plain:
            sys.stdout.write(_in_full(operation))
        else:
            write_record(operation_to_json(operation, target.name), settings.output)
        return 0


def _in_full(operation: Operation) -> str:
    text, _ = state_cell(operation.state)
    lines = [f"{operation.id}  {operation.kind} {' '.join(operation.targets)}", f"{text}  by {_who(operation)}"]
    lines += [
        f"{name}: {printable(value)}" for name, value in (("why", operation.reason), ("note", operation.note)) if value
    ]
    rows = []
    for step in operation.steps:
        took = f"{(step.ended_ns - step.started_ns) / 1e9:.1f} s" if step.started_ns and step.ended_ns else ""
        detail = printable(step.detail.splitlines()[0]) if step.detail else ""
        rows.append(
            [(str(step.index + 1), ""), state_cell(step.state), (took, ""), (printable(step.title), ""), (detail, "")]
        )
    steps = table(["STEP", "STATE", "TOOK", "WHAT", "DETAIL"], rows) if rows else ""
    effects = "".join(f"effect: {printable(each)}\n" for each in operation.effects)
    error = "".join(f"{printable(line)}\n" for line in operation.error.splitlines())
    return "\n".join(lines) + "\n" + steps + effects + error


async def _cancel(settings: Settings, operation_id: str) -> int:
    async with opened(settings) as targets:
        if settings.remote and len(targets) > 1:
            target, operation = await _find(settings, targets, operation_id)
        else:
            target = one(targets, "cancel an operation")
            operation = await (await target.client()).operation(operation_id)
        await (await target.client()).cancel(operation.id)
        operation = await follow(settings, target, operation, Progress())
        if not settings.plain:
            write_record(operation_to_json(operation, target.name), settings.output)
        elif operation.state == "cancelled":
            click.echo(f"{operation.kind} {' '.join(operation.targets)} was cancelled")
        else:
            click.echo(f"too late to cancel: it is {operation.state}", err=True)
        return 0 if operation.state == "cancelled" else 1
