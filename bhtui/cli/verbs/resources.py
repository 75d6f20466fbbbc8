"""`blackhole resources`: what services use of what they may; limits, priorities, caches and garbage."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from bhtui.cli.app import Verbs
from bhtui.cli.carry import carry_out
from bhtui.cli.output import write_list
from bhtui.cli.resourcetables import LIMITS_OF, Row, check_table, host_line, render
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, ask_all
from bhtui.core.request import (
    ClearCacheRequest,
    CollectGarbageRequest,
    ResetLimitsRequest,
    SetLimitsRequest,
    SetPriorityRequest,
)
from bhtui.core.resources import findings
from bhtui.core.units import parse_size
from bhtui.rpc.blackhole.v1.resources_pb2 import ResourcesResponse
from bhtui.rpc.convert.resources import from_message, to_json
from bhtui.rpc.convert.status import host_from_message


class Size(click.ParamType[int]):
    """`64M`, `4G`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


NONE = "none"


class OrNone(click.ParamType[Any]):
    """A value of that kind, or `none`."""

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self.kind = kind
        self.name = f"{kind.name}|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return NONE if str(value).lower() == NONE else self.kind.convert(value, param, ctx)


def _with_lifted(**values: Any) -> dict[str, Any]:
    """The fields of a request: what was `none` is lifted."""
    lift = tuple(name for name, value in values.items() if value == NONE)
    return {name: value for name, value in values.items() if name not in lift} | {"lift": lift}


def _services(help_text: str, required: bool = False) -> Callable[[Any], Any]:
    return click.option("--service", "services", multiple=True, metavar="S", required=required, help=help_text)


_dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")


@click.group(
    "resources",
    cls=Verbs,
    help="Shows what services use of what they may, and what holds them to it; sets limits and priorities, which hold "
    "at once and after every restart, until they are reset.",
    epilog="""
    blackhole resources memory
    blackhole resources set-limit storage --memory 4G
    blackhole resources check --host web-1
    """,
)
def command() -> None:
    return


# ---- questions -------------------------------------------------------------------------------------------------------


@command.command(
    "memory",
    help="Memory of each instance, its limit, where that comes from and what holds it; how often it was at the limit "
    "and what the kernel killed for it.",
    epilog="blackhole resources memory --service storage",
)
@_services("Only this service; may be repeated.")
@click.pass_obj
def memory(settings: Settings, services: tuple[str, ...]) -> int:
    return _show(settings, services, "memory")


@command.command(
    "cpu",
    help="CPU of each instance in per cent of one core, its limit, and how much of its time it had to wait for that.",
    epilog="blackhole resources cpu",
)
@_services("Only this service; may be repeated.")
@click.pass_obj
def cpu(settings: Settings, services: tuple[str, ...]) -> int:
    return _show(settings, services, "cpu")


@command.command(
    "disk",
    help="What each instance reads from and writes to its disks, its limits there, and the room that is left.",
    epilog="blackhole resources disk --output json",
)
@_services("Only this service; may be repeated.")
@click.pass_obj
def disk(settings: Settings, services: tuple[str, ...]) -> int:
    return _show(settings, services, "disk")


@command.command(
    "check",
    help="Names what is at 0.9 of a limit or above (memory, CPU, processes, file descriptors, disks) and what the "
    "kernel killed for want of memory. The exit code is 1 when there is something.",
    epilog="blackhole resources check && echo all is well",
)
@_services("Only this service; may be repeated.")
@click.pass_obj
def check(settings: Settings, services: tuple[str, ...]) -> int:
    answers = _ask(settings, services)
    found = [
        (row.host, row.seen.instance, resource, said) for row in _rows(answers) for resource, said in findings(row.seen)
    ]
    if not settings.plain:
        keys = ("host", "instance", "resource", "says")
        write_list([dict(zip(keys, each, strict=True)) for each in found], settings.output)
    elif answers.good:
        sys.stdout.write(check_table(found, settings.remote))
    return max(answers.report(), int(bool(found)))


def _ask(settings: Settings, services: tuple[str, ...]) -> Answers[ResourcesResponse]:
    return ask_all(settings, lambda client: client.resources(services))


def _rows(answers: Answers[ResourcesResponse]) -> list[Row]:
    return [Row(target.name, from_message(each)) for target, said in answers.good for each in said.instances]


def _show(settings: Settings, services: tuple[str, ...], verb: str) -> int:
    answers = _ask(settings, services)
    rows = _rows(answers)
    if not settings.plain:
        write_list([to_json(row.seen, row.host) for row in rows], settings.output)
    elif answers.good:
        for target, said in answers.good:
            sys.stdout.write(host_line(verb, target.name, host_from_message(said.host)))
        sys.stdout.write(render(*_columns(verb, rows), settings.remote))
    return answers.report()


def _columns(verb: str, rows: list[Row]) -> tuple[Any, list[Row], tuple[str, ...]]:
    columns, limits = LIMITS_OF[verb]
    return columns, rows, limits


# ---- changes ---------------------------------------------------------------------------------------------------------


@command.command(
    "set-limit",
    help="Limits what each instance of a service may use: at once, and after every restart of service, agent or host, "
    "until `reset-limit`. What is not named stays as it is; `none` lifts a limit, also a declared one.",
    epilog="""
    blackhole resources set-limit storage --memory 4G
    blackhole resources set-limit ledger --cpu 2.0 --pids 200
    blackhole resources set-limit storage --iops 1000 --bandwidth 10M
    blackhole resources set-limit storage --memory none
    """,
)
@click.argument("service")
@click.option(
    "--memory", type=OrNone(Size()), metavar="SIZE", help="Bytes that it may hold, its children included: 512M, 4G."
)
@click.option("--cpu", type=OrNone(click.FLOAT), metavar="CORES", help="Cores; 0.5 is half of one.")
@click.option(
    "--iops",
    type=OrNone(click.INT),
    metavar="N",
    help="Operations a second on each of its disks, reads and writes each.",
)
@click.option(
    "--bandwidth",
    type=OrNone(Size()),
    metavar="SIZE",
    help="Bytes a second on each of its disks, reads and writes each: 10M.",
)
@click.option("--pids", type=OrNone(click.INT), metavar="N", help="Processes and threads.")
@_dry_run
@click.pass_obj
def set_limit(
    settings: Settings,
    service: str,
    memory: Any,
    cpu: Any,
    iops: Any,
    bandwidth: Any,
    pids: Any,
    dry_run: bool,
) -> int:
    limits = _with_lifted(memory=memory, cpu=cpu, pids=pids, iops=iops, bandwidth=bandwidth)
    request = SetLimitsRequest(service, **limits)
    return carry_out(settings, request, dry_run=dry_run, dangerous=True)


@command.command(
    "reset-limit",
    help="Takes back every limit and priority that was set at run time: what the configuration declares holds again.",
    epilog="blackhole resources reset-limit storage",
)
@click.argument("service")
@_dry_run
@click.pass_obj
def reset_limit(settings: Settings, service: str, dry_run: bool) -> int:
    return carry_out(settings, ResetLimitsRequest(service), dry_run=dry_run, dangerous=True)


@command.command(
    "priority",
    help="Sets the priorities of all processes of a service: at once, and after every restart, until `reset-limit`. "
    "`none` gives it the agent's own, also where another is declared.",
    epilog="blackhole resources priority storage --nice 10 --ionice idle",
)
@click.argument("service")
@click.option(
    "--nice", type=OrNone(click.IntRange(-20, 19)), metavar="N", help="Of the processor, -20 (first) to 19 (last)."
)
@click.option("--ionice", metavar="C", help="Of the disks: idle, best-effort:0-7, realtime:0-7.")
@_dry_run
@click.pass_obj
def priority(settings: Settings, service: str, nice: Any, ionice: str | None, dry_run: bool) -> int:
    request = SetPriorityRequest(service, **_with_lifted(nice=nice, ionice=ionice))
    return carry_out(settings, request, dry_run=dry_run, dangerous=True)


@command.command(
    "clear-cache",
    help="Asks services, by their contract, to give back the memory that can be filled again.",
    epilog="blackhole resources clear-cache --service storage",
)
@_services("Of this service; may be repeated.", required=True)
@_dry_run
@click.pass_obj
def clear_cache(settings: Settings, services: tuple[str, ...], dry_run: bool) -> int:
    return carry_out(settings, ClearCacheRequest(services), dry_run=dry_run)


@command.command(
    "gc",
    help="Asks services, by their contract, to collect garbage.",
    epilog="blackhole resources gc --service identity --force",
)
@_services("Of this service; may be repeated.", required=True)
@click.option("--force", is_flag=True, help="Clear its caches first, so that what they hold is collected too.")
@_dry_run
@click.pass_obj
def gc(settings: Settings, services: tuple[str, ...], force: bool, dry_run: bool) -> int:
    return carry_out(settings, CollectGarbageRequest(services, force), dry_run=dry_run)
