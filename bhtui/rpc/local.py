"""This machine's agent: whether it is there, and starting keeper and agent when they are not. Standard library only."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bhtui.core.errors import NoConnection
from bhtui.core.paths import Paths, resolve
from bhtui.keeper.client import KeeperClient, KeeperError, NoKeeper
from bhtui.keeper.client import start as start_keeper

START_TIMEOUT = 20.0
"""Seconds that an agent has to answer after it was started."""

POLL = 0.005


def local_paths() -> Paths:
    """Where things are for this process's user and environment."""
    return resolve(os.environ, os.getuid(), Path.home())


def answers(path: Path) -> bool:
    """Whether somebody accepts connections at this socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def keeper_answers(paths: Paths) -> bool:
    """Whether a keeper runs there, with or without an agent."""
    try:
        with KeeperClient(paths.run, timeout=2.0):
            return True
    except KeeperError:
        return False


def ensure_agent(paths: Paths, timeout: float = START_TIMEOUT) -> bool:
    """Returns when the agent accepts connections, having started what was missing; whether anything was.

    Raises NoConnection with the last lines of the agent's log when it does not come up within `timeout` seconds.
    """
    if answers(paths.agent_socket):
        return False
    try:
        _start(paths)
    except KeeperError as error:
        raise NoConnection(f"{error}; look into {paths.logs}") from None
    deadline = time.monotonic() + timeout
    while not answers(paths.agent_socket):
        if time.monotonic() > deadline:
            said = _last_lines(paths.logs / "agent.log")
            raise NoConnection(f"cannot start the agent: it does not answer after {timeout:.0f} s{said}")
        time.sleep(POLL)
    return True


def _start(paths: Paths) -> None:
    """A keeper that stands alone after `agent stop --keep-services` starts the agent; else a new keeper does."""
    try:
        with KeeperClient(paths.run) as keeper:
            keeper.request("agent", action="start")
    except NoKeeper:
        start_keeper(paths.run, paths.logs, [sys.executable, "-m", "bhtui.agent"], env=_environment(os.environ))


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For a process that outlives this one and may stand in another folder."""
    env = dict(environ)
    if home := env.get("BLACKHOLE_HOME"):
        env["BLACKHOLE_HOME"] = str(Path(home).expanduser().absolute())
    return env


def _last_lines(path: Path, count: int = 5) -> str:
    try:
        lines = path.read_bytes()[-8192:].decode(errors="replace").splitlines()[-count:]
    except OSError:
        return ""
    return "; its last lines:\n" + "\n".join(lines) if lines else ""
