"""Many links at once: none waits for another, and no sshd is asked for more handshakes than it takes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..rpc.stopped import Wake
from .inventory import Host
from .link import Link
from .local_route import LocalRoute
from .route import Route

if TYPE_CHECKING:
    from .ports import Ports


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/blackhole`: wheels, bundles, runtimes and the places of agents; all of it can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blackhole"


class Fleet:
    """The links to these hosts, by name. Use as `async with Fleet(hosts) as fleet`, or `start()` and `close()`.

    `wake` and `force`: as for Link.
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        cache: Path | None = None,
        *,
        wake: Wake = Wake.UNLESS_STOPPED,
        force: bool = False,
    ) -> None:
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self._ssh = None
        if any(not host.local for host in self.hosts.values()):
            from .ssh_route import SshRoutes  # asyncssh costs 300 ms, which this machine alone does not need

            self._ssh = SshRoutes(cache or cache_folder())
        self._ports: dict[str, Ports] = {}
        self.links: Mapping[str, Link] = {
            name: Link(name, self._route(host), wake=wake, force=force) for name, host in self.hosts.items()
        }

    def _route(self, host: Host) -> Route:
        if host.local or self._ssh is None:
            return LocalRoute()
        return self._ssh.to(host)

    async def socket(self, name: str, address: str, port: int) -> str:
        """The path of a local socket behind which a port of that host answers; empty: it is this machine's own.

        Raises LinkError.
        """
        host = self.hosts[name]
        if host.local or self._ssh is None:
            return ""
        if name not in self._ports:
            self._ports[name] = self._ssh.ports(host)
        return await self._ports[name].socket(address, port)

    def start(self) -> None:
        """Begins to connect to every host."""
        for link in self.links.values():
            link.start()

    async def close(self, timeout: float = 5.0) -> None:
        """Ends every link, at most `timeout` seconds; a connection that does not say goodbye is dropped."""
        closing = [asyncio.create_task(link.close()) for link in self.links.values()]
        closing += [asyncio.create_task(ports.close()) for ports in self._ports.values()]
        if closing:
            _, late = await asyncio.wait(closing, timeout=timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._ssh:
            self._ssh.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
