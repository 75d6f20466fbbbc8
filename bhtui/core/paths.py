"""Where things are on a host. Computed from the environment and the user, never looked up on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path (sockaddr_un.sun_path, less its terminating zero)."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The four places of one installation on one host."""

    config: Path
    """The configuration file, `blackhole.yaml`."""
    run: Path
    """Sockets and locks; 0700."""
    state: Path
    """What must outlive a reboot: the database, environment files, placed bundles."""
    logs: Path
    """Captured output: `<service>/<instance>.log`, and `agent.log`."""

    @property
    def agent_socket(self) -> Path:
        return self.run / "agent.sock"

    @property
    def grpc_socket(self) -> Path:
        return self.run / "grpc.sock"

    @property
    def keeper_socket(self) -> Path:
        return self.run / "keeper.sock"

    @property
    def database(self) -> Path:
        return self.state / "agent.db"

    @property
    def bundles(self) -> Path:
        return self.state / "bundles"


def resolve(environ: Mapping[str, str], uid: int, home: Path) -> Paths:
    """The paths for this environment and user.

    `BLACKHOLE_HOME` moves everything; root has the system's places; other users have the XDG ones. A user's sockets
    are in the state folder and not in XDG_RUNTIME_DIR, which logind removes at logout while the agent lives on.
    Raises UsageError when it is relative, and when the sockets' paths would be too long for the kernel.
    """
    if base := environ.get("BLACKHOLE_HOME"):
        root = Path(base).expanduser()
        if not root.is_absolute():
            raise UsageError(
                f"cannot use BLACKHOLE_HOME={base}: it would be another folder wherever this is run; "
                "give its whole path, beginning with /"
            )
        paths = Paths(root / "blackhole.yaml", root / "run", root / "state", root / "logs")
    elif uid == 0:
        paths = Paths(
            Path("/etc/blackhole/blackhole.yaml"),
            Path("/run/blackhole"),
            Path("/var/lib/blackhole"),
            Path("/var/log/blackhole"),
        )
    else:
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "blackhole"
        paths = Paths(config / "blackhole/blackhole.yaml", state / "run", state / "lib", state / "log")
    if len(bytes(paths.keeper_socket)) > SOCKET_PATH_LIMIT:
        raise UsageError(
            f"cannot use {paths.run}: the path of a Unix socket in it is longer than {SOCKET_PATH_LIMIT} bytes; "
            "set BLACKHOLE_HOME to a shorter folder"
        )
    return paths
