"""A port of a host as a local socket, by SSH: for what listens on the host's loopback besides the agent.

It has a connection of its own, made when a port is first asked for: that of the link ends with its agent, and a graph
of the past is wanted above all then.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh

from .connect import Connection, Gate, connect
from .inventory import Host
from .state import LinkError, LinkState
from .tunnel import SocketFolder


class Ports:
    """The ports of one host."""

    def __init__(self, host: Host, gate: Gate, sockets: SocketFolder) -> None:
        self._host, self._gate, self._sockets = host, gate, sockets
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._open: dict[tuple[str, int], str] = {}

    async def socket(self, address: str, port: int) -> str:
        """The path of a local socket behind which that port answers. Raises LinkError."""
        async with self._lock:
            if self._connection is None or self._connection.conn.is_closed():
                self._forget()
                self._connection = await connect(self._host, self._gate)
            path = self._open.get((address, port))
            if path is None:
                path = self._sockets.new()
                try:
                    await self._connection.conn.forward_local_path_to_port(path, address, port)
                except (asyncssh.Error, OSError) as error:
                    raise LinkError(
                        LinkState.FAILED, f"cannot reach port {port} of {self._host.name}: {error}", retry=True
                    ) from None
                Path(path).chmod(0o600)
                self._open[address, port] = path
            return path

    def _forget(self) -> None:
        for path in self._open.values():
            Path(path).unlink(missing_ok=True)
        self._open.clear()

    async def close(self) -> None:
        """Ends the connection."""
        self._forget()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
