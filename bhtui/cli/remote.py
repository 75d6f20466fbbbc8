"""Other hosts as targets: over SSH, all at once. Imported only when asked for: asyncssh takes a third of a second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bhtui.core.errors import NotFound
from bhtui.rpc.client import AgentClient
from bhtui.ssh.fleet import Fleet
from bhtui.ssh.inventory import Host, Inventory, load
from bhtui.ssh.link import Link
from bhtui.ssh.state import LinkError

from .settings import Settings
from .targets import RECONNECT_TIMEOUT


class Remote:
    """A host behind a link."""

    def __init__(self, host: Host, link: Link, read_only: bool) -> None:
        self.name = host.name
        self.production = host.production
        self.read_only = read_only or host.read_only
        self._link = link

    async def client(self) -> AgentClient:
        return await self._link.ready()

    async def again(self) -> AgentClient:
        deadline = time.monotonic() + RECONNECT_TIMEOUT
        while True:
            try:
                return await self._link.ready(max(1.0, deadline - time.monotonic()))
            except LinkError as error:
                if not error.retry or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)


def hosts_file(settings: Settings) -> Path:
    """`hosts.yaml` lies beside the configuration."""
    return settings.paths.config.parent / "hosts.yaml"


def inventory(settings: Settings) -> Inventory:
    """What hosts.yaml and ~/.ssh/config declare. Raises ConfigError."""
    return load(hosts_file(settings))


@contextlib.asynccontextmanager
async def opened_remote(settings: Settings) -> AsyncIterator[list[Remote]]:
    """The hosts of --host and --group, connecting at once. Raises NotFound when a group has none."""
    chosen = inventory(settings).select(settings.hosts, settings.groups)
    if not chosen:
        raise NotFound(f"cannot find a host in {', '.join(settings.groups)}; add some to {hosts_file(settings)}")
    async with Fleet(chosen) as fleet:
        yield [Remote(host, fleet.links[host.name], settings.read_only) for host in chosen]
