"""How this machine brings things up at boot."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from bhtui.agent import identity
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths

from . import cron
from .tools import succeeds, user
from .unit import unit_name

SYSTEMD = Path("/run/systemd/system")
"""There only where systemd runs the machine (sd_booted(3))."""
SYSTEM_UNITS = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class Way:
    """How this machine brings things up at boot."""

    kind: str
    """`system`, `user` or `cron`."""
    unit: Path | None = None

    def __str__(self) -> str:
        if self.unit is None:
            return f"an @reboot line in the crontab of {user()}"
        whose = "system" if self.kind == "system" else f"user {user()}, with linger"
        return f"the systemd unit {self.unit} ({whose})"


def find_way(paths: Paths) -> Way:
    """The first that works here. Raises BlackholeError when there is none."""
    if SYSTEMD.is_dir() and shutil.which("systemctl"):
        if os.getuid() == 0:
            return Way("system", SYSTEM_UNITS / unit_name(paths))
        if succeeds(["systemctl", "--user", "show-environment"]):
            base = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
            return Way("user", base / "systemd/user" / unit_name(paths))
    if shutil.which("crontab"):
        return Way("cron")
    raise BlackholeError(
        "cannot install the agent: this machine has neither systemd nor cron; "
        f"have its init run `{shlex.join(['/bin/sh', str(identity.launcher(paths)), 'start'])}` at boot"
    )


def installed(paths: Paths) -> Way | None:
    """How it comes up at boot now; None: it does not."""
    try:
        way = find_way(paths)
    except BlackholeError:
        return None
    there = way.unit.exists() if way.unit is not None else cron.is_there(paths)
    return way if there else None


def noted(paths: Paths) -> str:
    """What `install` said of the way, without asking any program; empty: it was not installed."""
    try:
        return note(paths).read_text()
    except OSError:
        return ""


def note(paths: Paths) -> Path:
    return paths.state / "boot"


def systemctl(way: Way) -> list[str]:
    return ["systemctl", *(["--user"] if way.kind == "user" else [])]


def reach_user_manager() -> None:
    """A session that PAM did not make has no XDG_RUNTIME_DIR, without which systemctl --user finds nobody."""
    folder = Path(f"/run/user/{os.getuid()}")
    if "XDG_RUNTIME_DIR" not in os.environ and folder.is_dir():
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
