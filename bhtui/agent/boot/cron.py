"""The line of the crontab that brings the agent up where there is no systemd."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from bhtui.agent import identity
from bhtui.core.paths import Paths

from .tools import run

CRON_MARK = "# blackhole agent"


def line(paths: Paths) -> str:
    """As it stands in the crontab."""
    return f"@reboot {_command(paths)} {CRON_MARK}"


def is_there(paths: Paths) -> bool:
    """Whether the crontab has it."""
    return line(paths) in _crontab()


def add(paths: Paths) -> None:
    """Puts it in, once. Raises BlackholeError."""
    _write([*_without(paths), line(paths)])


def take_back(paths: Paths) -> None:
    """Takes it out; what others wrote stays. Raises BlackholeError."""
    _write(_without(paths))


def _without(paths: Paths) -> list[str]:
    return [each for each in _crontab() if each != line(paths)]


def _command(paths: Paths) -> str:
    # A bare % ends a command in crontab(5).
    return shlex.join(["/bin/sh", str(identity.launcher(paths)), "start"]).replace("%", "\\%")


def _crontab() -> list[str]:
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _write(lines: Sequence[str]) -> None:
    run(["crontab", "-"], "write the crontab", "".join(f"{each}\n" for each in lines))
