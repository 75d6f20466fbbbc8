"""Stopping when something is in the way: removed sockets, a stuck keeper or agent, another user's home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bhtui.rpc import quick
from tests.keeper.support import is_alive, skip
from tests.live.home import Home, home
from tests.waiting import until

CONFIG = """
services:
  api:
    command: [/bin/sleep, "1000"]
"""


def _keepers(there: Home) -> list[int]:
    return [pid for pid in there.processes() if b"bhtui.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_an_emptied_run_folder_makes_no_second_keeper() -> None:
    with home(CONFIG) as there:
        there.cli("start")
        keeper, agent = there.keeper_pid(), there.agent()["agent_pid"]
        service = there.status()["api-1"]["pid"]
        for path in list(there.paths.run.iterdir()):
            path.unlink()
        there.cli("status")
        there.cli("agent", "status")
        assert (there.agent()["agent_pid"], there.keeper_pid(), _keepers(there)) == (agent, keeper, [keeper])
        (there.paths.run / "keeper.sock").unlink()
        (there.paths.run / "agent.sock").unlink()
        there.cli("stop", "--emergency")
        assert not is_alive(service)


def test_a_stopped_keeper_does_not_save_the_services() -> None:
    with home(CONFIG) as there:
        there.cli("start")
        service = there.status()["api-1"]["pid"]
        os.kill(there.keeper_pid(), signal.SIGSTOP)
        there.cli("stop", "--emergency")
        assert not is_alive(service)
        there.cli("agent", "stop")
        until(lambda: not there.processes(), 20, "everything to end")


def test_a_stuck_agent_is_told_and_ended() -> None:
    with home(CONFIG) as there:
        there.cli("start")
        agent = there.agent()["agent_pid"]
        os.kill(agent, signal.SIGSTOP)
        told = (
            f"cannot get an answer: the agent, process {agent}, was stopped (SIGSTOP); the services run on, unwatched; "
            f"`kill -CONT {agent}` lets it go on; `kill -9 {agent}` ends it alone, and its keeper starts another; "
            "`blackhole agent stop` ends it with its services\n"
        )
        begun = time.monotonic()
        with ThreadPoolExecutor() as pool:
            words = (["status"], ["status", "--output", "yaml"], ["agent", "start"], ["agent", "status"], ["start"])
            for done in pool.map(lambda each: there.cli(*each, code=4), words):
                assert done.stderr == told
        assert time.monotonic() - begun < len(words) * quick.TIMEOUT  # none of them waits for an answer
        os.kill(agent, signal.SIGCONT)
        assert there.cli("status").stdout
        os.kill(agent, signal.SIGSTOP)
        there.cli("agent", "stop")
        until(lambda: not there.processes(), 20, "everything to end")


def test_a_start_that_fails_leaves_no_keeper() -> None:
    with home(CONFIG) as there:
        there.paths.database.mkdir(parents=True)
        assert "agent.log" in there.cli("agent", "start", code=4).stderr
        until(lambda: not there.processes(), 20, "the keeper to end")


@pytest.mark.parametrize("words", [["status"], ["agent", "status"], ["agent", "start"], ["stop", "--emergency"]])
def test_the_home_of_another_user_is_refused(words: list[str]) -> None:
    if os.getuid():
        skip("needs root, to be another user")
    with home(CONFIG) as there:
        there.path.chmod(0o755)
        there.paths.run.mkdir(mode=0o700)
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-P"]
        argv += ["-m", "bhtui.cli.main", *words]
        done = subprocess.run(argv, env=there.environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 5, done
        assert f"{there.paths.run} belongs to root; run this as root" in done.stderr


def test_an_emergency_stop_does_not_wait_for_a_hung_agent() -> None:
    with home(CONFIG) as there:
        there.cli("start")
        service, agent = there.status()["api-1"]["pid"], there.agent_pid()
        os.kill(agent, signal.SIGSTOP)
        said = there.cli("stop", "--emergency")
        assert "does not answer within 0.3 s; the keeper did it without" in said.stderr
        assert not is_alive(service)
        os.kill(agent, signal.SIGCONT)
        until(lambda: (row := there.status().get("api-1")) and (row["state"], row["goal"]) == ("stopped", "down"), 20)


def test_a_stopped_keeper_whose_agent_has_died_is_woken_by_whoever_wants_the_agent() -> None:
    with home(CONFIG) as there:
        there.cli("start")
        service, agent, keeper = there.status()["api-1"]["pid"], there.agent_pid(), there.keeper_pid()
        os.kill(keeper, signal.SIGSTOP)
        os.kill(agent, signal.SIGKILL)
        there.cli("status")
        assert (there.status()["api-1"]["pid"], there.keeper_pid()) == (service, keeper)
