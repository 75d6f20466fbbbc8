"""Other hosts as targets: over SSH, all at once. Imported only when asked for: asyncssh takes a third of a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bhtui.core.errors import BlackholeError, NoConnection, NotFound
from bhtui.rpc.client import AgentClient
from bhtui.rpc.stopped import Wake
from bhtui.ssh.fleet import Fleet
from bhtui.ssh.inventory import Host, Inventory, PrometheusAt, load
from bhtui.ssh.state import LinkError, LinkState

from .settings import Settings
from .targets import RECONNECT_TIMEOUT

log = logging.getLogger(__name__)

END_TIMEOUT = 60.0
"""Seconds for an agent to end once its services have."""


class Remote:
    """A host behind a link."""

    def __init__(self, host: Host, fleet: Fleet, read_only: bool) -> None:
        self.name = host.name
        self._fleet, self._prometheus = fleet, host.prometheus
        self.production = host.production
        self.read_only = read_only or host.read_only
        self._link = fleet.links[host.name]

    @property
    def doing(self) -> str:
        return self._link.status.detail

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

    async def stop(self, keep_services: bool) -> bool:
        try:
            client = await self._link.ready()
        except LinkError as error:
            if error.state is not LinkState.AGENT_STOPPED:
                raise
            # Services that were kept run on without it; where nobody stopped one, there is nothing to end.
            left = error.stopped_by and not keep_services
            return bool(left) and not (await self.boot(["stop"])).startswith("nothing")
        try:
            await client.shutdown(keep_services)
        except NoConnection as error:
            log.debug("the agent ended before its answer was read: %s", error)
        try:
            async with asyncio.timeout(END_TIMEOUT):
                async for status in self._link.watch():
                    if status.state is LinkState.AGENT_STOPPED:
                        return True
        except TimeoutError:
            raise BlackholeError(
                f"cannot see the end of the agent of {self.name}: the link is {self._link.status.state} for "
                f"{END_TIMEOUT:.0f} s; look again with `blackhole --host {self.name} agent status`"
            ) from None
        raise NoConnection(f"cannot see the end of the agent of {self.name}: the link was closed")

    @property
    def prometheus(self) -> PrometheusAt | None:
        return self._prometheus

    async def socket(self, address: str, port: int) -> str:
        return await self._fleet.socket(self.name, address, port)

    async def layer(self, name: str) -> None:
        await self._link.layer(name)

    async def boot(self, words: Sequence[str]) -> str:
        return await self._link.route.boot(_say_nothing, words)


def _say_nothing(_: str) -> None:
    """A command line has no place for what goes on meanwhile."""


def hosts_file(settings: Settings) -> Path:
    """`hosts.yaml` lies beside the configuration."""
    return settings.paths.config.parent / "hosts.yaml"


def inventory(settings: Settings) -> Inventory:
    """What hosts.yaml and ~/.ssh/config declare. Raises ConfigError."""
    return load(hosts_file(settings))


@contextlib.asynccontextmanager
async def opened_remote(settings: Settings, wake: Wake, force: bool) -> AsyncIterator[list[Remote]]:
    """The hosts of --host and --group, each connected when it is first used. Raises NotFound when a group has none."""
    chosen = inventory(settings).select(settings.hosts, settings.groups)
    if not chosen:
        raise NotFound(f"cannot find a host in {', '.join(settings.groups)}; add some to {hosts_file(settings)}")
    fleet = Fleet(chosen, wake=wake, force=force)
    try:
        yield [Remote(host, fleet, settings.read_only) for host in chosen]
    finally:
        await fleet.close()
