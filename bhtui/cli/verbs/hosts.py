"""`blackhole hosts`: which hosts are known, without connecting to any."""

from __future__ import annotations

import sys

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import table
from bhtui.cli.remote import hosts_file, inventory
from bhtui.cli.settings import Settings
from bhtui.ssh.inventory import Host


@click.command(
    cls=Verb,
    help="Lists the hosts of hosts.yaml and the aliases of ~/.ssh/config. It connects to none of them.",
    epilog="""
    blackhole hosts
    blackhole hosts --group web --output json
    """,
)
@click.pass_obj
def command(settings: Settings) -> int:
    known = inventory(settings)
    chosen = known.select(settings.hosts, settings.groups)
    aliases = () if settings.remote else known.aliases
    if not settings.plain:
        write_list(
            [*map(_object, chosen), *({"host": name, "source": "ssh_config"} for name in aliases)], settings.output
        )
    elif not chosen and not aliases:
        click.echo(f"no hosts are known; declare some in {hosts_file(settings)}, or use --host user@host:port")
    else:
        rows = [
            [(host.name, ""), (_address(host), ""), (" ".join(host.groups), ""), (_marks(host), "")] for host in chosen
        ]
        rows += [[(name, ""), ("", ""), ("", ""), ("~/.ssh/config", "")] for name in aliases]
        sys.stdout.write(table(["HOST", "ADDRESS", "GROUPS", "NOTES"], rows))
    return 0


def _object(host: Host) -> dict[str, object]:
    return {
        "host": host.name,
        "address": host.address or host.name,
        "port": host.port or None,
        "user": host.user or None,
        "groups": list(host.groups),
        "jump": [hop.name for hop in host.jump],
        "production": host.production,
        "read_only": host.read_only,
        "source": "hosts.yaml",
    }


def _address(host: Host) -> str:
    user = f"{host.user}@" if host.user else ""
    port = f":{host.port}" if host.port else ""
    return f"{user}{host.address or host.name}{port}"


def _marks(host: Host) -> str:
    via = f"via {', '.join(hop.name for hop in host.jump)}" if host.jump else ""
    return ", ".join(filter(None, ["production" * host.production, "read-only" * host.read_only, via]))
