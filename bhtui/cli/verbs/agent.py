"""`blackhole agent`: the agent itself."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import click

from bhtui.cli.app import Verbs
from bhtui.cli.output import write_list, write_object
from bhtui.cli.present import age, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Target, everywhere, opened
from bhtui.core.errors import NoConnection, Refused
from bhtui.rpc.blackhole.v1.agent_pb2 import AgentInfo
from bhtui.rpc.local import answers, ensure_agent


@click.group(
    "agent",
    cls=Verbs,
    help="The agent itself, which runs the services and watches them when nobody is connected.",
    epilog="""
    blackhole agent status
    blackhole agent install
    blackhole agent stop --keep-services
    """,
)
def command() -> None:
    return


@command.command(
    "status", help="Who the agent is. It is not started for this.", epilog="blackhole agent status --output json"
)
@click.pass_obj
def status(settings: Settings) -> int:
    if not settings.remote and not answers(settings.paths.agent_socket):
        raise NoConnection("cannot reach the agent: none runs here; start it with `blackhole agent start`")
    return asyncio.run(_status(settings))


async def _status(settings: Settings) -> int:
    async with opened(settings) as targets:
        found = await everywhere(settings, targets, _info)
    objects = [_object(target, info) for target, info in found.good]
    if settings.plain:
        for each in objects:
            rows = [[(name.replace("_", " "), ""), (_text(name, value), "")] for name, value in each.items()]
            sys.stdout.write(table(["", ""], rows).split("\n", 1)[1])
    elif settings.remote:
        write_list(objects, settings.output)
    elif objects:
        write_object(objects[0], settings.output)
    return found.report()


async def _info(target: Target) -> AgentInfo:
    return await (await target.client()).info()


def _object(target: Target, info: AgentInfo) -> dict[str, Any]:
    """The object of `agent status --output json`; its keys and their order are fixed."""
    return {
        "host": target.name,
        "agent_pid": info.agent_pid,
        "keeper_pid": info.keeper_pid,
        "version": info.version,
        "uptime_seconds": round(info.uptime_seconds, 3),
        "bundle": info.bundle,
        "hostname": info.hostname,
        "boot_id": info.boot_id,
        "config_path": info.config_path,
        "config_error": info.config_error,
        "run_dir": info.run_dir,
        "state_dir": info.state_dir,
        "log_dir": info.log_dir,
        "limits": info.limits,
        "last_seq": info.last_seq,
    }


def _text(name: str, value: Any) -> str:
    return age(value) if name == "uptime_seconds" else str(value) or "-"


@command.command("start", help="Starts keeper and agent, unless they run.", epilog="blackhole agent start")
@click.pass_obj
def start(settings: Settings) -> int:
    settings.only_here("start the agent")
    settings.must_not_be_read_only("start the agent")
    started = ensure_agent(settings.paths)
    click.echo("the agent was started" if started else "the agent runs already")
    return 0


@command.command(
    "stop",
    help="Stops the services in reverse order, then agent and keeper; with --keep-services the agent alone.",
    epilog="""
    blackhole agent stop
    blackhole agent stop --keep-services
    """,
)
@click.option("--keep-services", is_flag=True, help="Leave the services and their keeper running, unwatched.")
@click.pass_obj
def stop(settings: Settings, keep_services: bool) -> int:
    settings.must_not_be_read_only("stop the agent")
    if settings.remote:
        return asyncio.run(_stop_there(settings, keep_services))
    from bhtui.cli.halt import halt

    was_there = asyncio.run(halt(settings.paths, keep_services))
    what = "the agent was stopped; the services go on" if keep_services else "services, agent and keeper were stopped"
    click.echo(what if was_there else "no agent runs here")
    return 0


async def _stop_there(settings: Settings, keep_services: bool) -> int:
    async def ask(target: Target) -> None:
        if target.production and not settings.yes:
            raise Refused(f"cannot stop the agent of {target.name}, a production host, without --yes")
        await (await target.client()).shutdown(keep_services)

    async with opened(settings) as targets:
        found = await everywhere(settings, targets, ask)
    for target, _ in found.good:
        click.echo(f"{target.name}: stopping")
    return found.report()


@command.command(
    "upgrade",
    help="Replaces the running keeper and agent by those installed now, in place: the services do not notice.",
    epilog="blackhole agent upgrade",
)
@click.pass_obj
def upgrade(settings: Settings) -> int:
    settings.must_not_be_read_only("upgrade the agent")
    return asyncio.run(_upgrade(settings))


async def _upgrade(settings: Settings) -> int:
    async def ask(target: Target) -> str:
        return await (await target.client()).upgrade()

    async with opened(settings) as targets:
        found = await everywhere(settings, targets, ask)
    for target, version in found.good:
        click.echo(f"{target.name}: keeper and agent are now {version}")
    return found.report()


@command.command(
    "install",
    help="Makes the agent come up at boot: by a systemd unit, your own unit with linger, or cron's @reboot.",
    epilog="blackhole agent install",
)
@click.pass_obj
def install(settings: Settings) -> int:
    from bhtui.cli import boot

    settings.only_here("install the agent")
    settings.must_not_be_read_only("install the agent")
    way = boot.find_way(os.getuid())
    boot.install(way, settings.paths)
    click.echo(f"the agent comes up at boot: {way.where}")
    return 0


@command.command(
    "uninstall", help="Takes back what install did; what runs goes on.", epilog="blackhole agent uninstall"
)
@click.pass_obj
def uninstall(settings: Settings) -> int:
    from bhtui.cli import boot

    settings.only_here("uninstall the agent")
    settings.must_not_be_read_only("uninstall the agent")
    way = boot.find_way(os.getuid())
    removed = boot.uninstall(way)
    click.echo(f"removed: {way.where}" if removed else "it was not installed")
    return 0
