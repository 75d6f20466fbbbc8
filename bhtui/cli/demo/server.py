"""asyncssh's server in the place of OpenSSH's: `python -m bhtui.cli.demo.server FOLDER PORT`.

It takes the one key of the folder, runs commands, gives SFTP, and forwards Unix sockets, on loopback only.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from pathlib import Path

import asyncssh


class Door(asyncssh.SSHServer):
    """Lets the throwaway key in; asyncssh checks it."""

    def unix_connection_requested(self, dest_path: str) -> bool:
        return bool(dest_path)


async def serve_command(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Runs one command in the user's shell, with its ends tied to the channel."""
    shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    argv = [shell, "-c", process.command] if process.command else [shell, "-l"]
    child = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path.home(),
        start_new_session=True,
    )
    try:
        await process.redirect(child.stdin, child.stdout, child.stderr)
        process.exit(await child.wait())
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def serve(folder: Path, port: int) -> None:
    """Until it is ended."""
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=Door,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=serve_command,
        sftp_factory=True,
        encoding=None,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
