"""`blackhole fleet`: what is about all hosts together."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from bhtui.cli.app import Verbs
from bhtui.cli.files import write_whole
from bhtui.cli.gateway import Gateway, address, discovery
from bhtui.cli.remote import hosts_file, inventory
from bhtui.cli.settings import Settings
from bhtui.cli.targets import opened
from bhtui.core.errors import NotFound, UsageError
from bhtui.ssh.inventory import Host

DEFAULT_LISTEN = "127.0.0.1:9464"


@click.group(
    "fleet",
    cls=Verbs,
    help="What is about all hosts together.",
    epilog="blackhole fleet prometheus-sd --file /etc/prometheus/blackhole.json --serve",
)
def command() -> None:
    return


@command.command(
    "prometheus-sd",
    help="Writes Prometheus' service discovery for the hosts of hosts.yaml, or for those of --host and --group. What "
    "is found is a gateway on this machine, which --serve runs until Ctrl-C: it fetches each host's figures over SSH "
    "when Prometheus asks, so that no port need be open anywhere.",
    epilog="""
    blackhole fleet prometheus-sd
    blackhole fleet prometheus-sd --group web --file /etc/prometheus/blackhole.json --serve
    """,
)
@click.option("--file", "path", metavar="F", help="Write it there, whole, for `file_sd_configs`. Else it is printed.")
@click.option(
    "--serve", is_flag=True, help="Run the gateway; it serves the discovery too, at /sd, for `http_sd_configs`."
)
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="HOST:PORT", help="Where the gateway is.")
@click.pass_obj
def prometheus_sd(settings: Settings, path: str | None, serve: bool, listen: str) -> int:
    address(listen)  # before a file of what cannot be is written for Prometheus
    hosts = _hosts(settings)
    found = discovery(hosts, listen)
    if path:
        try:
            write_whole(Path(path), f"{json.dumps(found, indent=1)}\n", mode=0o644)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None
    elif not serve:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    if serve:
        settings.hosts[:] = [host.name for host in hosts]
        asyncio.run(_serve(settings, listen, found))
    return 0


def _hosts(settings: Settings) -> list[Host]:
    chosen = list(inventory(settings).select(settings.hosts, settings.groups))
    if not chosen:
        raise NotFound(f"cannot find a host; declare some in {hosts_file(settings)}, or give --host")
    return chosen


async def _serve(settings: Settings, listen: str, found: list[dict[str, object]]) -> None:
    async with opened(settings) as targets:
        gateway = Gateway({target.name: target for target in targets}, found)
        async with await gateway.start(listen) as server:
            click.echo(f"serving {len(targets)} hosts at http://{listen}/sd; Ctrl-C ends it", err=True)
            await server.serve_forever()
