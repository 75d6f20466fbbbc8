"""Other programs, and who runs them."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from collections.abc import Sequence

from bhtui.core.errors import BlackholeError

STOP_SECONDS = 170.0
"""For services, agent and keeper to end in order: a little longer than the agent gives them, and less than the unit."""


def run(argv: Sequence[str], what: str, text: str | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False, timeout=STOP_SECONDS + 20)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BlackholeError(f"cannot {what}: {shlex.join(argv)}: {said[0]}")


def succeeds(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0


def user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
