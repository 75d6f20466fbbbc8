"""What can go wrong on the way to an engine, in words: the cause, and what to do next."""

from __future__ import annotations

import errno
import getpass
import grp
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from bhtui.core.errors import BlackholeError, NoConnection, NotFound, Refused

from .http import BadAnswer
from .sockets import PODMAN, Place

COMMANDS = {"docker": "systemctl start docker", "podman": "systemctl enable --now podman.socket"}
LAUNCH = {
    "docker": f"is Docker installed and running? `{COMMANDS['docker']}` starts it",
    "podman": f"is Podman installed? `{COMMANDS['podman']}` opens its socket",
}
LAUNCH_AS_USER = {
    "docker": "`systemctl --user start docker` starts a rootless Docker",
    "podman": "`systemctl --user enable --now podman.socket` opens the socket of a user's Podman",
}


def nowhere(container: str, places: Sequence[Place]) -> BlackholeError:
    """Why a container is not to be found where no engine has a socket."""
    names = " nor ".join(dict.fromkeys(place.engine for place in places))
    paths = ", ".join(place.path for place in places)
    ways = " or ".join(f"`{COMMANDS[name]}`" for name in dict.fromkeys(place.engine for place in places))
    return NoConnection(
        f"cannot find the container {container}: neither {names} has a socket here ({paths}); if one is installed, "
        f"{ways} opens it"
    )


def unreachable(place: Place, error: Exception) -> BlackholeError:
    """Why the socket gave no answer."""
    start = f"cannot reach {place.engine} at {place.path}: "
    match error:
        case FileNotFoundError():
            return NoConnection(f"{start}there is no socket; {_launch(place)}")
        case PermissionError():
            return Refused(start + _no_right(place.path))
        case ConnectionRefusedError():
            return NoConnection(f"{start}nobody listens there any more; {_launch(place)}")
        case TimeoutError():
            return NoConnection(f"{start}it does not answer; look at its log: `journalctl -u {place.engine}`")
        case BadAnswer():
            return NoConnection(f"{start}{error}; is it really {place.engine} that listens there?")
        case OSError(errno=errno.ENOTSOCK | errno.ENOTDIR):
            return NoConnection(f"{start}that is no socket; {_launch(place)}")
        case OSError():
            return NoConnection(f"{start}{(error.strerror or str(error)).lower()}; {_launch(place)}")
    return NoConnection(f"{start}{error}")


def _launch(place: Place) -> str:
    return (LAUNCH_AS_USER if "/run/user/" in place.path else LAUNCH)[place.engine]


def _no_right(path: str) -> str:
    """Who may use the socket, and how the agent's user becomes one of them."""
    user = _user()
    try:
        there = Path(path).stat()
        group = grp.getgrgid(there.st_gid).gr_name
    except (OSError, KeyError):
        return f"{user} may not use it; run the agent as root, or as a user who may (`ls -l {path}` tells who)"
    if there.st_mode & stat.S_IWGRP and there.st_gid:
        return (
            f"{user} may not use it, the group {group} may: `usermod -aG {group} {user}` and a new start of the agent; "
            "who is in that group can become root"
        )
    own = "; or use the user's own Podman: `systemctl --user enable --now podman.socket`" if PODMAN in path else ""
    return f"{user} may not use it, only its owner; run the agent as root{own}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def refused(engine: str, what: str, status: int, body: bytes) -> BlackholeError:
    """Why the engine did not do it, in its own words. `what`: `stop web`, `list the containers`."""
    said = message(body) or f"HTTP {status}"
    match status:
        case 404:
            return NotFound(f"cannot {what}: {engine} says: {said}; `{engine} ps -a` lists what there is")
        case 409:
            return Refused(f"cannot {what}: {engine} says: {said}; `{engine} ps -a` shows how it is")
        case 401 | 403:
            return Refused(f"cannot {what}: {engine} says: {said}; it does not let this user")
    return BlackholeError(f"cannot {what}: {engine} says: {said}")


def message(body: bytes) -> str:
    """The text of an engine's refusal, in one line."""
    try:
        said = json.loads(body)
        text = said["message"] if isinstance(said, dict) else str(said)
    except (ValueError, KeyError):
        text = body.decode(errors="replace")
    return " ".join(str(text).split())[:500]
