"""`blackhole demo`: a platform of five services to try things on."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys

import click

from bhtui.cli.app import Verbs
from bhtui.cli.carry import carry_out
from bhtui.cli.demo import home
from bhtui.cli.settings import Settings
from bhtui.core.errors import UsageError
from bhtui.core.request import StartRequest
from bhtui.rpc.local import ensure_agent
from bhtui.rpc.stopped import Wake

SERVICES = ("identity", "storage", "ledger", "node", "indexer")
FAULTS = ("crash", "exit", "hang", "leak", "slow", "noise", "errors", "sick", "clear")


@click.group(
    "demo",
    cls=Verbs,
    help="A platform of five real services (identity, storage, ledger, node, indexer) in a folder of its own: "
    "BLACKHOLE_HOME, or `blackhole-demo` in your state folder.",
    epilog="""
    blackhole demo up
    blackhole demo load --rate 200 --duration 60
    blackhole demo load --fault leak --service storage
    blackhole demo down
    """,
)
def command() -> None:
    return


@command.command(
    "up",
    help="Starts the five services and returns when they are healthy. With --ssh also an SSH server on loopback with "
    "throwaway keys, so that `blackhole --host demo` and `bhtui` come the same way as to any other host.",
    epilog="""
    blackhole demo up
    blackhole demo up --ssh
    """,
)
@click.option("--ssh", is_flag=True, help="Also an SSH server on loopback, and hosts.yaml.")
@click.option(
    "--base-port", type=click.IntRange(1024, 65000), help="The first of the ten ports; else the first free ones."
)
@click.pass_obj
def up(settings: Settings, ssh: bool, base_port: int | None) -> int:
    settings.only_here("set up the demonstration")
    settings.must_not_be_read_only("set up the demonstration")
    paths = home.enter()
    text = home.configure(paths, base_port)
    fresh = ensure_agent(paths, Wake.ALWAYS)
    request = StartRequest() if fresh else StartRequest(config_yaml=text, config_path=str(paths.config))
    code = carry_out(settings, request)
    if code == 0 and ssh:
        from bhtui.cli.demo import sshd  # asyncssh takes a third of a second

        click.echo(f"reachable over SSH as `--host {sshd.HOST}` ({sshd.up(home.folder(paths))} on loopback)")
    if code == 0:
        here = f"BLACKHOLE_HOME={shlex.quote(str(home.folder(paths)))}"
        click.echo(f"look with: {here} bhtui\nend with: {here} blackhole demo down")
    return code


@command.command(
    "down", help="Stops services, agent, keeper and SSH server. The data stays.", epilog="blackhole demo down"
)
@click.pass_obj
def down(settings: Settings) -> int:
    from bhtui.cli.demo import sshd
    from bhtui.cli.halt import halt

    settings.only_here("end the demonstration")
    settings.must_not_be_read_only("end the demonstration")
    paths = home.enter()
    server = sshd.down(home.folder(paths))
    agent = asyncio.run(halt(paths, keep_services=False))
    click.echo("the demonstration has ended" if server or agent else "the demonstration does not run")
    return 0


@command.command(
    "load",
    help="Makes the services work for a while, or makes one fail in a certain way.",
    epilog="""
    blackhole demo load --rate 200 --duration 60
    blackhole demo load --fault hang --service node
    """,
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=50.0, show_default=True, help="Requests a second."
)
@click.option("--duration", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Seconds.")
@click.option("--fault", type=click.Choice(FAULTS), metavar="KIND", help=f"Instead of load: {', '.join(FAULTS)}.")
@click.option("--service", type=click.Choice(SERVICES), metavar="S", help=f"Which one fails: {', '.join(SERVICES)}.")
@click.pass_obj
def load(settings: Settings, rate: float, duration: float, fault: str | None, service: str | None) -> None:
    settings.only_here("load the demonstration")
    if bool(fault) != bool(service):
        raise UsageError("cannot tell what shall fail: give both --fault and --service")
    port = home.base_port(home.enter())
    words = ["--base-port", str(port), "--rate", str(rate), "--duration", str(duration)]
    words += ["--fault", fault, "--service", service] if fault and service else []
    sys.stdout.flush()
    argv = [sys.executable, "-P", "-m", "bhtui.platform.load", *words]
    os.execv(sys.executable, argv)  # noqa: S606 - its output, Ctrl-C and exit code are this program's
