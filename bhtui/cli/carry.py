"""Carrying out an operation: the plan, the question before it, its beginning, its progress, its end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import click

from bhtui.core.errors import ConfigError, NoConnection, Refused, UsageError
from bhtui.core.operation import NEVER_RAN, NONE_BEFORE, OPERATION_ENDED, RAN_BEFORE
from bhtui.core.request import ReloadConfigRequest, Request, StartRequest, StopRequest
from bhtui.rpc.blackhole.v1.operations_pb2 import Operation, OperationPlan, OperationRequest
from bhtui.rpc.client import this_actor
from bhtui.rpc.convert.operations import operation_to_json, plan_to_json, request_to_message
from bhtui.rpc.stopped import Wake

from .output import write_record
from .present import printable
from .progress import Progress, Silent
from .settings import Settings
from .targets import Target, everywhere, opened

BEGIN_ATTEMPTS = 5
"""The id is ours, so asking again can never begin it twice."""

BACK = {
    "service.start": "what had been started was stopped again",
    "service.stop": "what had been stopped was started again",
    "limits.set": "the limits from before are in force again",
    "priority.set": "the priorities from before are in force again",
    "scaling.set": "its number follows its load, or not, as before",
    "service.scale": "the number of replicas from before holds again",
    "restore.swap": "the data from before was put back",
    "config.write": "the file is as it was before",
    "spec.apply": "the configuration from before is in force again",
    "spec.switch": "the configuration from before is in force again",
}
"""Kind of a step that was undone: what that means."""

REFUSED = "nothing was changed: what was in force stays so; correct that, and give the command again"
"""Below the problems of a configuration that was to be applied."""

EMERGENCY_PATIENCE = 3.0
"""Seconds for an agent to begin an emergency stop, before the keeper is asked instead."""


Where = Callable[[list[Target]], Awaitable[list[Target]]]
"""Which of the targets are meant."""


async def _all(targets: list[Target]) -> list[Target]:
    return targets


def carry_out(
    settings: Settings,
    request: Request,
    *,
    dry_run: bool = False,
    dangerous: bool = False,
    where: Where = _all,
    quietly: bool = False,
) -> int:
    """Carries the request out on every target at once, or prints what it would do. The worst exit code.

    `quietly`: people are told nothing of it, unless it fails.
    """
    return asyncio.run(_carry_out(settings, request, dry_run, dangerous, where, quietly))


async def _carry_out(
    settings: Settings, request: Request, dry_run: bool, dangerous: bool, where: Where, quietly: bool
) -> int:
    async with opened(settings, _wake(request, dry_run)) as reached:
        targets = await where(reached)
        message = request_to_message(request, reason=settings.reason)
        message.actor.CopyFrom(this_actor())
        if dry_run:
            plans = await everywhere(settings, targets, lambda target: _plan(target, message))
            for target, plan in plans.good:
                _show_plan(settings, target, plan)
            return plans.report()
        if dangerous and not settings.yes:
            await _confirm(settings, [each for each in targets if each.production], message)
        many = len(targets) > 1
        codes = await everywhere(settings, targets, lambda target: _run(settings, target, message, many, quietly))
        return max([codes.report(), *(code for _, code in codes.good)])


def _wake(request: Request, dry_run: bool) -> Wake:
    """What was asked to run is started with its agent; looking at a plan and stopping revive nothing."""
    if dry_run or isinstance(request, StopRequest):
        return Wake.UNLESS_STOPPED
    return Wake.TO_START if isinstance(request, StartRequest | ReloadConfigRequest) else Wake.ALWAYS


async def _plan(target: Target, message: OperationRequest) -> OperationPlan:
    return await (await target.client()).plan(message)


def _show_plan(settings: Settings, target: Target, plan: OperationPlan) -> None:
    if settings.plain:
        click.echo(plan_text(plan, target.name if settings.remote else ""), nl=False)
    else:
        write_record(plan_to_json(plan, target.name), settings.output)


def plan_text(plan: OperationPlan, host: str = "") -> str:
    """A plan for people."""
    lines = [f"{host}: {plan.kind}" if host else plan.kind]
    if not plan.steps:
        lines.append("  nothing to do")
    for number, step in enumerate(plan.steps, 1):
        after = f"  after {', '.join(str(index + 1) for index in step.after)}" if step.after else ""
        lines.append(f"  {number}. {printable(step.title)}{after}")
    lines += [f"    | {printable(each)}" for each in plan.document.splitlines()]
    lines += [f"  effect: {printable(each)}" for each in plan.effects]
    lines += [f"  in the way: {printable(each)}" for each in plan.conflicts]
    if plan.undo_on_failure and plan.steps:
        lines.append("  when a step fails, what was done is undone")
    if plan.recent_seconds:
        lines.append(f"  took lately: {', '.join(f'{each:.1f} s' for each in plan.recent_seconds)}")
    return "".join(f"{line}\n" for line in lines)


async def _confirm(settings: Settings, production: list[Target], message: OperationRequest) -> None:
    """Shows the plans and has each production host's name typed. Raises Refused."""
    if not production:
        return
    names = ", ".join(target.name for target in production)
    if not sys.stdin.isatty():
        raise Refused(
            f"cannot do this on production ({names}) without being asked to: add --yes, or run it on a terminal"
        )
    plans = await everywhere(settings, production, lambda target: _plan(target, message))
    for target, plan in plans.good:
        click.echo(plan_text(plan, target.name), nl=False, err=True)
        typed = click.prompt(f"production: type {target.name} to do this", default="", show_default=False, err=True)
        if typed.strip() != target.name:
            raise Refused(f"cannot do this on {target.name}: its name was not typed; nothing was changed")


async def _run(settings: Settings, target: Target, message: OperationRequest, many: bool, quietly: bool) -> int:
    if target.read_only:
        raise Refused(f"cannot change anything on {target.name}: it is read-only (--read-only, or hosts.yaml)")
    own = OperationRequest()
    own.CopyFrom(message)
    own.id = os.urandom(16).hex()
    progress = Silent() if quietly else Progress(target.name if many else "")
    try:
        if own.HasField("start"):
            plan = await _plan(target, own)
            if not plan.steps and not plan.conflicts:
                return _say_it_runs(settings, target, plan)
        operation = await _begin(target, own)
    except ConfigError as error:
        raise UsageError(f"{error}\n{REFUSED}") from None
    for effect in operation.effects:
        progress.note(printable(effect))
    operation = await follow(settings, target, operation, progress)
    return conclude(settings, target, operation, quietly)


def _say_it_runs(settings: Settings, target: Target, plan: OperationPlan) -> int:
    """A start that has nothing to do needs no operation."""
    if settings.plain:
        host = f"{target.name}: " if settings.remote else ""
        click.echo(f"{host}everything runs already" if plan.targets else f"{host}no services are declared here")
        for effect in plan.effects:
            click.echo(f"{host}{printable(effect)}", err=True)
    else:
        write_record(plan_to_json(plan, target.name), settings.output)
    return 0


async def _begin(target: Target, request: OperationRequest) -> Operation:
    client = await target.client()
    attempts = 1 if request.stop.emergency else BEGIN_ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            async with asyncio.timeout(EMERGENCY_PATIENCE if request.stop.emergency else None):
                return await client.begin(request)
        except TimeoutError:
            raise NoConnection(f"cannot reach the agent of {target.name}: it does not answer") from None
        except NoConnection:
            if attempt == attempts:
                raise
            client = await target.again()
    raise AssertionError("the last attempt returns or raises")


async def follow(settings: Settings, target: Target, operation: Operation, progress: Progress) -> Operation:
    """Shows an operation until it has ended, across lost connections; Ctrl-C leaves it alone and says how to return."""
    host = f" --host {target.name}" if settings.remote else ""
    try:
        return await _watch(target, operation, progress)
    except asyncio.CancelledError:
        short = operation.id[:8]
        progress.note(
            f"\nthe operation goes on; watch it with `blackhole operations {short} --watch{host}`, "
            f"cancel it with `blackhole operations cancel {short}{host}`"
        )
        raise


async def _watch(target: Target, operation: Operation, progress: Progress) -> Operation:
    client = await target.client()
    is_lost = False
    while operation.state not in OPERATION_ENDED:
        try:
            async for seen in client.watch_operation(operation.id):
                operation, is_lost = seen, False
                progress.show(operation)
        except NoConnection:
            if not is_lost:  # an agent that is coming up may accept and close several times
                progress.note("the connection was lost; the operation goes on, connecting again")
            is_lost = True
            client = await target.again()
    progress.show(operation)
    return operation


def note_text(operation: Operation, host: str = "") -> str:
    """The note for people; commands in it name the host where they are to be given."""
    short = operation.id[:8]
    note = printable(operation.note)
    return note.replace(f" {short}`", f" {short} --host {host}`") if host else note


def conclude(settings: Settings, target: Target, operation: Operation, quietly: bool = False) -> int:
    """Tells how it ended (`quietly`: people only when it failed); its exit code."""
    if not settings.plain:
        write_record(operation_to_json(operation, target.name), settings.output)
    host = f"{target.name}: " if settings.remote else ""
    took = f" in {(operation.ended_ns - operation.started_ns) / 1e9:.1f} s" if operation.started_ns else ""
    if operation.state == "done":
        if settings.plain and not quietly:
            click.echo(f"{host}{operation.kind} {' '.join(operation.targets)} done{took}")
        return 0
    error = operation.error or f"{operation.kind} was {operation.state}"
    lines = [printable(line) for line in error.splitlines()]
    click.echo("\n".join([f"{host}{lines[0]}", *lines[1:]]), err=True)
    for done, back in BACK.items():
        undone = [step for step in operation.steps if step.state == "undone" and step.kind == done]
        undone = [step for step in undone if step.detail not in (NEVER_RAN, RAN_BEFORE)]
        if undone:
            told = NONE_BEFORE if undone[0].detail == NONE_BEFORE else back
            click.echo(f"{host}{told}: {' '.join(step.target for step in undone)}", err=True)
    if operation.note:
        click.echo(f"{host}{note_text(operation, target.name if settings.remote else '')}", err=True)
    return operation.code or 1
