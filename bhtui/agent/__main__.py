"""`python -m bhtui.agent`: the agent of this user on this host, in the foreground. The keeper starts it."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import resource
import sys
from pathlib import Path

from bhtui.agent import ownlog
from bhtui.agent.wiring import life
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.paths import Paths, resolve
from bhtui.keeper import places


def main() -> int:
    """Runs until it is told to end; the exit code of core.errors."""
    os.umask(0o077)
    # Pipes, pidfds and cgroup files of every instance are held open; services get the keeper's limits, not these.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ownlog.begin()
    try:
        paths = resolve(os.environ, os.getuid(), Path.home())
        _prepare(paths)
        asyncio.run(life.run(paths))
    except BlackholeError as error:
        logging.getLogger(__name__).error("%s", error)
        return error.exit_code
    return 0


def _prepare(paths: Paths) -> None:
    """Makes the folders, and sees to it that this is the only agent here. Raises Refused, BlackholeError."""
    try:
        for folder in (paths.run, paths.state, paths.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths.run.chmod(0o700)
        lock = os.open(paths.run / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BlackholeError(
            f"cannot use {error.filename}: {error.strerror}; make it writable for this user"
        ) from error
    try:
        # Held for as long as this process lives; the folder too, because a cleaner of old files takes the lock away.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        places.lock_folder(str(paths.state))
    except BlockingIOError:
        owner = " ".join(map(str, places.holders(paths.run / "agent.lock"))) or "unknown"
        raise Refused(f"cannot start another agent in {paths.run}: process {owner} is one already") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


if __name__ == "__main__":
    sys.exit(main())
