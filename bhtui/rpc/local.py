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

from bhtui.core.errors import BlackholeError, NoConnection, Refused
from bhtui.core.paths import Paths, resolve
from bhtui.keeper.client import KeeperClient, KeeperError, NoKeeper
from bhtui.keeper.client import start as start_keeper

from . import coming, quick, stopped
from .stopped import AgentStopped, Wake

START_TIMEOUT = 40.0
"""Seconds that an agent has to answer after it was started; a slow host compiles all modules at its first start."""

DEATHS = 3
"""So often an agent may die before it answers: its keeper starts it again within tenths of a second."""

HEAL_TIMEOUT = 3.0
"""Seconds for keeper and agent to make again a socket that somebody removed."""

POLL = 0.005
LOOK = 0.25
"""Seconds between looks at whether it dies instead of starting."""

THIS = "this machine"


def local_paths() -> Paths:
    """Where things are for this process's user and environment."""
    return resolve(os.environ, os.getuid(), Path.home())


def answers(path: Path) -> bool:
    """Whether somebody accepts connections at this socket. Raises Refused when it is another user's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2.0)
        try:
            connection.connect(str(path))
        except PermissionError:
            raise _not_ours(path) from None
        except OSError:
            return False
    return True


def _not_ours(path: Path) -> Refused:
    """Names the owner of the nearest folder that can be looked at."""
    import pwd

    for folder in path.parents:
        try:
            uid = folder.stat().st_uid
        except OSError:
            continue
        try:
            owner = pwd.getpwuid(uid).pw_name
        except KeyError:
            owner = f"user {uid}"
        break
    return Refused(f"cannot reach the agent: {folder} belongs to {owner}; run this as {owner}")


def anything_runs(paths: Paths) -> bool:
    """Whether agent or keeper run here, also when somebody has removed their sockets; these are made again in a moment.

    Raises Refused when they are another user's.
    """
    from bhtui.keeper import force  # only what is said to be nothing is looked at so closely

    deadline = time.monotonic() + HEAL_TIMEOUT
    while not answers(paths.agent_socket) and not keeper_answers(paths):
        if not (force.keepers(paths.run) or force.agents(paths.run)):
            return False
        if time.monotonic() > deadline:
            return True
        time.sleep(10 * POLL)
    return True


def keeper_answers(paths: Paths) -> bool:
    """Whether a keeper runs there, with or without an agent."""
    try:
        with KeeperClient(paths.run, timeout=2.0):
            return True
    except KeeperError:
        return False


def wait_for_keeper(paths: Paths) -> bool:
    """Whether a keeper answers within HEAL_TIMEOUT seconds."""
    deadline = time.monotonic() + HEAL_TIMEOUT
    while not (there := keeper_answers(paths)) and time.monotonic() < deadline:
        time.sleep(10 * POLL)
    return there


def ensure_agent(paths: Paths, wake: Wake = Wake.UNLESS_STOPPED, timeout: float = START_TIMEOUT) -> bool:
    """Returns when the agent accepts connections, having started what was missing as far as `wake` allows; whether it
    was.

    Raises AgentStopped when somebody stopped it, Refused when this is another user's, and NoConnection with the reason
    when it dies instead of starting, or does not answer within `timeout` seconds; a keeper that was started for it is
    ended again then.
    """
    if answers(paths.agent_socket):
        _refuse_if_frozen(paths)
        return False
    refuse_if_asleep(paths, wake)
    log = paths.logs / "agent.log"
    told = _size(log)
    _wake_keeper(paths)
    if wake is Wake.TO_START:
        with contextlib.suppress(OSError):  # the agent says what is wrong with its folders
            coming.leave(paths.state)
    try:
        fresh = _start(paths)
        deaths = _deaths(paths)
    except KeeperError as error:
        raise NoConnection(f"{error}{_last_line(log, told)}") from None
    try:
        _wait(paths, deaths, told, timeout)
    except NoConnection:
        if fresh:
            _end_again(paths)
        raise
    return True


def _wake_keeper(paths: Paths) -> None:
    """A stopped keeper (SIGSTOP) whose agent has died is woken by nobody else."""
    from bhtui.keeper import force

    force.wake_stopped(paths.run)


def _wait(paths: Paths, deaths: int, told: int, timeout: float) -> None:
    log = paths.logs / "agent.log"
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


def _end_again(paths: Paths) -> None:
    """A keeper whose agent does not come up would try for ever. One that has services all the same stays."""
    with contextlib.suppress(KeeperError), KeeperClient(paths.run) as keeper:
        keeper.request("shutdown", force=False)


def must_answer(paths: Paths) -> None:
    """Raises NoConnection when the agent accepts connections and says nothing."""
    from .stuck import Watch

    watch = Watch(paths.run)
    try:
        quick.status_with_notes(str(paths.agent_socket), (), quick.TIMEOUT, watch.is_hopeless)
    except quick.QuickError:
        return  # it answers
    except OSError:
        raise NoConnection(watch.text(quick.TIMEOUT)) from None


def _refuse_if_frozen(paths: Paths) -> None:
    """Raises NoConnection when somebody has stopped the agent (SIGSTOP): it takes connections, and says nothing."""
    from . import stuck

    if pid := stuck.stopped_pid(paths.run):
        raise NoConnection(stuck.stopped_text(pid))


def refuse_if_asleep(paths: Paths, wake: Wake) -> None:
    """Raises AgentStopped or NoConnection for an agent that does not run and may not be started."""
    if wake in (Wake.ALWAYS, Wake.TO_START):
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


def _start(paths: Paths) -> bool:
    """Whether a keeper was started; one that stands alone after `agent stop --keep-services` starts the agent."""
    try:
        _ask_for_agent(paths)
        return False
    except NoKeeper:
        try:
            start_keeper(
                paths.run, paths.logs, [sys.executable, "-P", "-m", "bhtui.agent"], env=_environment(os.environ)
            )
            return True
        except KeeperError:
            from bhtui.keeper import force

            if not (there := force.keepers(paths.run)):
                raise
            if not wait_for_keeper(paths):  # its socket was removed, and is made again
                raise KeeperError(
                    f"cannot start the agent: the keeper, process {' '.join(map(str, there))}, does not answer; "
                    "`blackhole stop --emergency` ends it and the services"
                ) from None
        _ask_for_agent(paths)
        return False


def _ask_for_agent(paths: Paths) -> None:
    with KeeperClient(paths.run) as keeper:
        keeper.request("agent", action="start")


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
        return ""
    lines = [re.sub(r"^\S+Z (?:stdout|stderr) [FP] ", "", line).strip() for line in text.splitlines()]
    said = next((line for line in reversed(lines) if line), "")
    if said.startswith("{"):
        with contextlib.suppress(ValueError):
            said = str(json.loads(said).get("message", said))
    said = re.sub(r"^(?:CRITICAL|ERROR|WARNING|INFO|DEBUG) [\w.]+: ", "", said)
    return (f": {said}" if said else "") + f"; read more in {path}"
