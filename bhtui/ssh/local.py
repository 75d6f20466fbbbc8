"""This machine's own agent: found, and started when it does not run. Without asyncssh and gRPC, which are slow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ..core.errors import NoConnection
from ..core.paths import Paths, resolve
from . import onhost


def places() -> Paths:
    """Where this user's agent is on this machine. Raises UsageError when the paths are too long."""
    return resolve(os.environ, os.getuid(), Path.home())


def ensure_agent(paths: Paths, timeout: float = 20.0) -> None:
    """Returns when the agent answers at its socket; keeper and agent are started, detached, when it does not.

    Blocks at most `timeout` seconds and a little. Raises NoConnection with the last words of what did not start.
    """
    try:
        onhost.start(sys.executable, "", str(paths.run), str(paths.logs), {}, timeout)
    except onhost.Fault as error:
        raise NoConnection(f"cannot start this machine's agent: {error}; see {paths.logs}/agent.log") from None
    except subprocess.TimeoutExpired:
        raise NoConnection(f"cannot start this machine's agent: the keeper gave no answer; see {paths.logs}") from None
    except OSError as error:
        raise NoConnection(
            f"cannot start this machine's agent: {error.strerror}: {error.filename}; "
            "make the folder writable, or set BLACKHOLE_HOME to another one"
        ) from None
