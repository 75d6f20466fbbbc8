"""`blackhole agent`: the agent itself."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from bhtui.cli.app import Verbs
from bhtui.cli.output import write_list, write_object
from bhtui.cli.present import age, table
from bhtui.cli.settings import Settings
from bhtui.cli.targets import Target, everywhere, opened
from bhtui.core.errors import Refused
from bhtui.rpc.blackhole.v1.agent_pb2 import AgentInfo
from bhtui.rpc.local import ensure_agent, must_answer
from bhtui.rpc.stopped import Wake


@click.group(
    "agent",
    cls=Verbs,
    help="The agent itself, which runs the services and watches them when nobody is connected.",
    epilog="""
    blackhole agent status
    blackhole agent install
    blackhole --host web-1 agent install
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
    return asyncio.run(_status(settings))


async def _status(settings: Settings) -> int:
    async with opened(settings, Wake.NEVER) as targets:
        found = await everywhere(settings, targets, _info)
    objects = [_object(target, info) for target, info in found.good]
    if settings.plain:
        for each in objects:
            rows = [[(_label(name), ""), (_text(name, value), "")] for name, value in each.items()]
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
        "boot": info.boot,
        "keeper_trouble": info.keeper_trouble,
    }


def _label(name: str) -> str:
    """A key as a table shows it, whose values are as people read them."""
    return name.removesuffix("_seconds").replace("_", " ")


def _text(name: str, value: Any) -> str:
    return age(value) if name == "uptime_seconds" else str(value) or "-"


@command.command(
    "start",
    help="Starts keeper and agent, unless they run, also after somebody stopped them.",
    epilog="""
    blackhole agent start
    blackhole --host web-1 agent start
    """,
)
@click.pass_obj
def start(settings: Settings) -> int:
    settings.must_not_be_read_only("start the agent")
    if not settings.remote:
        started = ensure_agent(settings.paths, Wake.ALWAYS)
        if not started:
            must_answer(settings.paths)
        click.echo("the agent was started" if started else "the agent runs already")
        return 0
    return asyncio.run(_start_there(settings))


async def _start_there(settings: Settings) -> int:
    async with opened(settings, Wake.ALWAYS) as targets:
        found = await everywhere(settings, targets, _info)
    for target, info in found.good:
        click.echo(f"{target.name}: the agent runs for {age(info.uptime_seconds)}, version {info.version}")
    return found.report()


@command.command(
    "stop",
    help="Stops the services in reverse order, then agent and keeper; with --keep-services the agent alone. It stays "
    "stopped until `agent start`, `start`, `restart` or the next boot.",
    epilog="""
    blackhole agent stop
    blackhole --host web-1 agent stop --keep-services
    """,
)
@click.option("--keep-services", is_flag=True, help="Leave the services and their keeper running, unwatched.")
@click.pass_obj
def stop(settings: Settings, keep_services: bool) -> int:
    settings.must_not_be_read_only("stop the agent")
    return asyncio.run(_stop(settings, keep_services))


async def _stop(settings: Settings, keep_services: bool) -> int:
    async def ask(target: Target) -> bool:
        _must_be_allowed(settings, target, "stop the agent of")
        return await target.stop(keep_services)

    async with opened(settings, Wake.NEVER) as targets:
        found = await everywhere(settings, targets, ask)
    what = "the agent was stopped; the services go on" if keep_services else "services, agent and keeper were stopped"
    for target, was_there in found.good:
        _say(settings, target, what if was_there else "no agent runs here")
    return found.report()


def _must_be_allowed(settings: Settings, target: Target, what: str) -> None:
    """Raises Refused for a host that is read-only, or production without --yes."""
    if target.read_only:
        raise Refused(f"cannot {what} {target.name}: it is read-only (--read-only, or hosts.yaml)")
    if target.production and not settings.yes:
        raise Refused(f"cannot {what} {target.name}, a production host, without --yes")


def _say(settings: Settings, target: Target, text: str) -> None:
    """Every line with its host, where hosts were asked for."""
    for line in text.splitlines():
        click.echo(f"{target.name}: {line}" if settings.remote else line)


@command.command(
    "upgrade",
    help="Replaces the running keeper and agent, in place: the services do not notice. Here by those that are "
    "installed now; on other hosts by this command line's own, which are placed there.",
    epilog="""
    blackhole agent upgrade
    blackhole --host web-1 agent upgrade
    """,
)
@click.pass_obj
def upgrade(settings: Settings) -> int:
    settings.must_not_be_read_only("upgrade the agent")
    return asyncio.run(_upgrade(settings))


async def _upgrade(settings: Settings) -> int:
    async def ask(target: Target) -> str:
        if target.read_only:
            raise Refused(f"cannot upgrade the agent of {target.name}: it is read-only (--read-only, or hosts.yaml)")
        client = await target.client()
        return (await client.info()).version if settings.remote else await client.upgrade()

    # On another host, what is there is replaced while connecting.
    async with opened(settings, force=True) as targets:
        found = await everywhere(settings, targets, ask)
    for target, version in found.good:
        click.echo(f"{target.name}: keeper and agent are now {version}")
    return found.report()


@command.command(
    "install",
    help="Makes the agent come up at boot: by a systemd unit, your own unit with linger, or cron's @reboot; says by "
    "which, and starts it now. On other hosts the agent is placed first.",
    epilog="""
    blackhole agent install --dry-run
    blackhole agent install
    blackhole --host web-1 agent install
    """,
)
@click.option("--dry-run", is_flag=True, help="Say by which way and what would be written, and do nothing.")
@click.pass_obj
def install(settings: Settings, dry_run: bool) -> int:
    if dry_run:
        return asyncio.run(_boot(settings, ["install", "--dry-run"], Wake.NEVER))
    settings.must_not_be_read_only("install the agent")
    return asyncio.run(_boot(settings, ["install"], Wake.UNLESS_STOPPED))


@command.command(
    "uninstall",
    help="Stops services, agent and keeper, and removes what was installed and placed: unit, sockets, database, "
    "bundles. Configuration and logs stay unless --purge; what services keep themselves always does.",
    epilog="""
    blackhole agent uninstall --dry-run
    blackhole agent uninstall
    blackhole --host web-1 agent uninstall --purge
    """,
)
@click.option("--purge", is_flag=True, help="Remove blackhole.yaml and all logs, too.")
@click.option("--dry-run", is_flag=True, help="Say what would be stopped and removed, and do nothing.")
@click.pass_obj
def uninstall(settings: Settings, purge: bool, dry_run: bool) -> int:
    if not dry_run:
        settings.must_not_be_read_only("uninstall the agent")
    flags = [*(["--purge"] if purge else []), *(["--dry-run"] if dry_run else [])]
    return asyncio.run(_boot(settings, ["uninstall", *flags], Wake.NEVER))


async def _boot(settings: Settings, words: list[str], wake: Wake) -> int:
    async def ask(target: Target) -> str:
        if "--dry-run" not in words:
            _must_be_allowed(settings, target, f"{words[0]} the agent of")
        return await target.boot(words)

    async with opened(settings, wake) as targets:
        found = await everywhere(settings, targets, ask)
    for target, said in found.good:
        _say(settings, target, said)
    return found.report()
