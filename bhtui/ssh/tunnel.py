"""A local Unix socket behind which the agent of a host answers: by SSH's own forwarding, or through a bridge program.

"open failed" is all that sshd says, whether the socket is missing there or forwarding is forbidden: the bridge finds
out which.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shlex
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import asyncssh

from ..core.paths import SOCKET_PATH_LIMIT
from ..rpc.stopped import start_command
from .connect import Connection
from .state import LinkError, LinkState

_OPEN_TIMEOUT = 10.0
_CHUNK = 1 << 16
_NOBODY = 3
"""Exit code of agent/bridge.py when nobody answers at the socket."""


class SocketFolder:
    """A private folder (0700: forwarded sockets get the umask's mode) with a short path for this process's sockets."""

    def __init__(self) -> None:
        base = os.environ.get("XDG_RUNTIME_DIR", "")
        short = bool(base) and len(base) < SOCKET_PATH_LIMIT - 30 and os.access(base, os.W_OK)
        self.path = Path(tempfile.mkdtemp(prefix="bh-", dir=base if short else "/tmp"))  # noqa: S108 - made 0700 by mkdtemp
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return str(self.path / f"{next(self._numbers)}")

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Tunnel:
    """One listening local socket. `kind` is `forward` or `bridge`."""

    def __init__(self, path: str, kind: str, server: asyncssh.SSHListener | asyncio.Server) -> None:
        self.path = path
        self.kind = kind
        self._server = server

    def close(self) -> None:
        self._server.close()
        Path(self.path).unlink(missing_ok=True)


async def open_tunnel(link: Connection, remote: str, python: str, local: str) -> Tunnel:
    """Listens at `local` for the host's socket `remote`; `python` is an interpreter there, for the bridge.

    Raises LinkError: agent-stopped when nobody answers at the socket.
    """
    try:
        async with asyncio.timeout(_OPEN_TIMEOUT):
            _, writer = await link.conn.open_unix_connection(remote)
    except asyncssh.ChannelOpenError:
        return await _bridge(link, remote, python, local)
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise LinkError(
            LinkState.RECONNECTING,
            f"lost {link.host.name} while reaching its agent: {error or 'no answer'}",
            retry=True,
        ) from None
    writer.close()
    listener = await link.conn.forward_local_path(local, remote)
    Path(local).chmod(0o600)
    return Tunnel(local, "forward", listener)


async def _bridge(link: Connection, remote: str, python: str, local: str) -> Tunnel:
    source = (Path(__file__).parents[1] / "agent/bridge.py").read_text()
    command = shlex.join([python or "python3", "-I", "-c", source, remote])
    process = await _start_bridge(link, command)
    process.close()
    bridge = _Bridge(link, command)
    server = await asyncio.start_unix_server(bridge.serve, local, limit=_CHUNK)
    Path(local).chmod(0o600)
    return Tunnel(local, "bridge", server)


async def _start_bridge(link: Connection, command: str) -> asyncssh.SSHClientProcess[bytes]:
    """A bridge that has reached the agent. Raises LinkError."""
    name = link.host.name
    try:
        async with asyncio.timeout(_OPEN_TIMEOUT):
            process = await link.conn.create_process(command, encoding=None)
            first = await process.stdout.read(1)
            if first == b"+":
                return process
            await process.wait_closed()
            said = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    except asyncssh.ChannelOpenError as error:
        raise LinkError(
            LinkState.FAILED, f"cannot reach the agent of {name}: sshd refused a session ({error.reason})",
            "see MaxSessions, AllowStreamLocalForwarding and ForceCommand in its sshd_config", retry=True,
        ) from None  # fmt: skip
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise LinkError(
            LinkState.RECONNECTING, f"lost {name} while reaching its agent: {error or 'no answer'}", retry=True
        ) from None
    if process.exit_status == _NOBODY:
        raise LinkError(
            LinkState.AGENT_STOPPED,
            f"the agent of {name} does not run",
            f"start it with `{start_command(name)}`",
            retry=True,
        )
    raise LinkError(
        LinkState.FAILED,
        f"cannot reach the agent of {name}: its sshd forwards no sockets, and the bridge failed: "
        f"{said[-1] if said else f'it ended with code {process.exit_status}'}",
        "allow AllowStreamLocalForwarding in its sshd_config, or set python: in hosts.yaml",
        retry=True,
    )


class _Bridge:
    """A bridge process for each local connection."""

    def __init__(self, link: Connection, command: str) -> None:
        self._link = link
        self._command = command

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            process = await _start_bridge(self._link, self._command)
        except LinkError:
            writer.close()  # the client sees a lost connection, and the link's heartbeat finds the cause
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_outward(reader, process))
                both.create_task(_inward(process, writer))
        finally:
            process.close()


async def _outward(reader: asyncio.StreamReader, process: asyncssh.SSHClientProcess[bytes]) -> None:
    with suppress(OSError, asyncssh.Error):
        while data := await reader.read(_CHUNK):
            process.stdin.write(data)
            await process.stdin.drain()
        process.stdin.write_eof()


async def _inward(process: asyncssh.SSHClientProcess[bytes], writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncssh.Error):
        while data := await process.stdout.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
