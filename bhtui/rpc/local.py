"""This machine's agent: whether it is there, and starting keeper and agent when they are not. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.core.paths import Paths, resolve
from bhtui.keeper.client import KeeperClient, KeeperError, NoKeeper
from bhtui.keeper.client import start as start_keeper

from . import stopped
from .stopped import AgentStopped, Wake

START_TIMEOUT = 40.0
"""Seconds that an agent has to answer after it was started; a slow host compiles all modules at its first start."""

DEATHS = 3
"""So often an agent may die before it answers: its keeper starts it again within tenths of a second."""

POLL = 0.005
LOOK = 0.25
"""Seconds between looks at whether it dies instead of starting."""

THIS = "this machine"


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


def ensure_agent(paths: Paths, wake: Wake = Wake.UNLESS_STOPPED, timeout: float = START_TIMEOUT) -> bool:
    """Returns when the agent accepts connections, having started what was missing as far as `wake` allows; whether it
    was.

    Raises AgentStopped when somebody stopped it, and NoConnection with the reason when it dies instead of starting, or
    does not answer within `timeout` seconds.
    """
    if answers(paths.agent_socket):
        return False
    refuse_if_asleep(paths, wake)
    log = paths.logs / "agent.log"
    told = _size(log)
    try:
        _start(paths)
        deaths = _deaths(paths)
    except KeeperError as error:
        raise NoConnection(f"{error}; look into {paths.logs}") from None
    deadline, look = time.monotonic() + timeout, time.monotonic() + LOOK
    while not answers(paths.agent_socket):
        now = time.monotonic()
        if now > deadline:
            raise NoConnection(f"cannot start the agent: no answer in {timeout:.0f} s{_last_line(log, told)}")
        if now > look:
            look = now + LOOK
            if _deaths(paths) - deaths >= DEATHS:
                raise NoConnection(f"cannot start the agent, it ends at once{_last_line(log, told)}")
        time.sleep(POLL)
    return True


def refuse_if_asleep(paths: Paths, wake: Wake) -> None:
    """Raises AgentStopped or NoConnection for an agent that does not run and may not be started."""
    if wake is Wake.ALWAYS:
        return
    if mark := stopped.read(paths.state):
        raise AgentStopped(f"{mark.text(THIS, time.time_ns())}; start it with `{stopped.start_command()}`")
    if wake is Wake.NEVER:
        raise NoConnection(f"cannot reach the agent: none runs here; start it with `{stopped.start_command()}`")


def boot(words: Sequence[str]) -> str:
    """Runs `python -m bhtui.agent.boot` here, which is all that a client may know of the agent; what it said.

    Raises BlackholeError with its error.
    """
    argv = [sys.executable, "-P", "-m", "bhtui.agent.boot", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BlackholeError("\n".join([*done.stdout.splitlines(), *(done.stderr.strip().splitlines()[-1:])]))
    return done.stdout


def _start(paths: Paths) -> None:
    """A keeper that stands alone after `agent stop --keep-services` starts the agent; else a new keeper does."""
    try:
        with KeeperClient(paths.run) as keeper:
            keeper.request("agent", action="start")
    except NoKeeper:
        start_keeper(paths.run, paths.logs, [sys.executable, "-P", "-m", "bhtui.agent"], env=_environment(os.environ))


def _deaths(paths: Paths) -> int:
    """How often the keeper has had to start its agent again."""
    with KeeperClient(paths.run) as keeper:
        return int(keeper.request("stats")["agent"]["restarts"])


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For a process that outlives this one and may stand in another folder."""
    env = dict(environ)
    if home := env.get("BLACKHOLE_HOME"):
        env["BLACKHOLE_HOME"] = str(Path(home).expanduser().absolute())
    return env


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _last_line(path: Path, after: int) -> str:
    """What an agent said last since its log had `after` bytes: without time and stream, and where to read more."""
    try:
        text = path.read_bytes()[after:][-8192:].decode(errors="replace")
    except OSError:
        text = ""
    lines = [re.sub(r"^\S+Z (?:stdout|stderr) [FP] ", "", line).strip() for line in text.splitlines()]
    said = next((line for line in reversed(lines) if line), "")
    if said.startswith("{"):
        with contextlib.suppress(ValueError):
            said = str(json.loads(said).get("message", said))
    said = re.sub(r"^(?:CRITICAL|ERROR|WARNING|INFO|DEBUG) [\w.]+: ", "", said)
    return (f": {said}" if said else "") + f"; read more in {path}"
