"""What the launcher does: starts keeper and agent, and ends them with everything that they run."""

from __future__ import annotations

import os
import signal
import time

from bhtui.agent import identity
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths
from bhtui.keeper import force
from bhtui.keeper.client import KeeperClient, KeeperError, NoKeeper
from bhtui.keeper.client import shutdown as end_keeper
from bhtui.rpc import local, stopped

from .tools import STOP_SECONDS, user
from .unit import pid_file


def start(paths: Paths) -> None:
    """Starts keeper and agent unless they run, and writes the keeper's pid for systemd. Raises BlackholeError."""
    started = local.ensure_agent(paths, stopped.Wake.ALWAYS)
    pid = _keeper_pid(paths)
    identity.write_whole(pid_file(paths), f"{pid}\n", 0o600)
    print(f"the agent {'was started' if started else 'runs already'}, keeper process {pid}; logs are in {paths.logs}")


def stop(paths: Paths) -> None:
    """Has the services stopped in order, then agent and keeper; returns when they have ended. Raises BlackholeError."""
    if halt(paths):
        print("services, agent and keeper were stopped")
    else:
        print("nothing runs here")


def halt(paths: Paths) -> bool:
    """As `stop`; whether anything ran."""
    if not local.anything_runs(paths):
        return False
    pid = _keeper_pid(paths)
    # systemd's ExecStop has nobody's name; for it and for uninstall the user must do.
    stopped.write(paths.state, "systemd" if "INVOCATION_ID" in os.environ else user(), time.time_ns())
    if not pid or force.is_stuck(paths.run):
        force.end_agents(paths.run)  # first, or it would start another keeper
        force.end_everything(paths.run, hold=False)
    elif local.answers(paths.agent_socket):
        os.kill(pid, signal.SIGTERM)
    else:
        _end_by_force(paths)
    deadline = time.monotonic() + STOP_SECONDS
    while local.keeper_answers(paths):
        if time.monotonic() > deadline:
            raise BlackholeError(
                f"cannot end the agent: it still runs after {STOP_SECONDS:.0f} s; `blackhole status` shows what holds "
                "it up, `blackhole stop --emergency` kills that"
            )
        time.sleep(0.02)
    return True


def _end_by_force(paths: Paths) -> None:
    """Without an agent nobody knows the order."""
    try:
        end_keeper(paths.run, force=True)
    except NoKeeper:
        return  # it ended meanwhile
    except KeeperError as error:
        raise BlackholeError(f"{error}; end its processes by hand, `ps` shows them") from None


def _keeper_pid(paths: Paths) -> int:
    """0: none runs."""
    try:
        with KeeperClient(paths.run) as keeper:
            return int(keeper.request("stats")["pid"])
    except KeeperError:
        return 0
