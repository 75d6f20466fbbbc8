"""The folder of the demonstration and its configuration."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

from bhtui.cli.files import write_whole
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.paths import Paths
from bhtui.platform.demo import PORTS, demo_backup, demo_yaml
from bhtui.rpc.local import local_paths

MARK = "# Made by `blackhole demo up`; written anew each time."
FIRST_PORT = 7400
LAST_PORT = 9400


def enter() -> Paths:
    """Makes the demonstration's folder this process's BLACKHOLE_HOME: the one given, or one beside the user's state."""
    if not os.environ.get("BLACKHOLE_HOME"):
        state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
        os.environ["BLACKHOLE_HOME"] = str(state / "blackhole-demo")
    paths = local_paths()
    os.environ["BLACKHOLE_HOME"] = str(paths.config.parent)
    return paths


def folder(paths: Paths) -> Path:
    """Where everything of it is."""
    return paths.config.parent


def configure(paths: Paths, base_port: int | None) -> str:
    """Writes the configuration and returns its text. Raises Refused when another one is there."""
    home = folder(paths)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = paths.config.read_text() if paths.config.exists() else MARK
    if not before.startswith(MARK):
        raise Refused(
            f"cannot set up the demonstration in {home}: there is another configuration; "
            "set BLACKHOLE_HOME to an empty folder"
        )
    port = base_port or _remembered(home) or free_block()
    data = home / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    backups = home / "backups"
    backups.mkdir(mode=0o700, exist_ok=True)
    if not (backups / "password").exists():
        write_whole(backups / "password", secrets.token_urlsafe())
    text = f"{MARK}\n{demo_yaml(port, str(data), sys.executable)}{demo_backup(str(backups))}"
    write_whole(paths.config, text)
    write_whole(home / "port", str(port))
    return text


def base_port(paths: Paths) -> int:
    """The first port of the services that were set up. Raises BlackholeError when there are none."""
    port = _remembered(folder(paths))
    if port is None:
        raise BlackholeError("cannot find the demonstration: it was not set up; run `blackhole demo up` first")
    return port


def _remembered(home: Path) -> int | None:
    try:
        return int((home / "port").read_text())
    except (OSError, ValueError):
        return None


def free_block() -> int:
    """The first of PORTS ports in a row that nobody listens on. Raises BlackholeError."""
    for first in range(FIRST_PORT, LAST_PORT, PORTS):
        if all(_is_free(port) for port in range(first, first + PORTS)):
            return first
    raise BlackholeError(f"cannot find {PORTS} free ports in a row from {FIRST_PORT} on; give --base-port")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
