"""Anything in any order with a real agent and real processes: once calm, what runs is what was asked, once each."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.live.home import Home, home
from tests.waiting import until

MARK = "100000.125"
CONFIG = f"""
services:
  db:
    command: [sleep, "{MARK}"]
    restart: {{policy: always, start_limit: 0, maximum: 100ms}}
    stop_grace_period: 1s
  api:
    command: [sh, -c, "sleep {MARK} & trap '' TERM; wait; wait"]
    replicas: 2
    depends_on: {{db: {{condition: service_started}}}}
    restart: {{policy: always, start_limit: 0, maximum: 100ms}}
    stop_grace_period: 200ms
"""
NAMES = ("db-1", "api-1", "api-2")
STEPS = 18


class Host:
    """A home and what was asked of each instance."""

    def __init__(self, made: Home, dice: random.Random) -> None:
        self.made, self.dice = made, dice
        self.up = dict.fromkeys(NAMES, False)

    def start(self) -> None:
        name = self.dice.choice(NAMES)
        self.made.cli("start", name, code=None)
        self.up |= {name: True, "db-1": True}  # with what it depends on

    def stop(self) -> None:
        name = self.dice.choice(NAMES)
        self.made.cli("stop", name)
        self.up[name] = False

    def emergency(self) -> None:
        self.made.cli("stop", "--emergency")
        self.up = dict.fromkeys(NAMES, False)

    def crash(self) -> None:
        rows = self.made.status()
        for name in self.dice.sample(NAMES, 2):
            if pid := rows.get(name, {}).get("pid"):
                kill(pid)

    def kill_agent(self) -> None:
        kill(self.made.agent_pid())

    def kill_keeper(self) -> None:
        self.made.cli("agent", "start")  # an agent, which replaces the keeper
        kill(self.made.keeper_pid())

    def stop_keeper(self) -> None:
        keeper = self.made.keeper_pid()
        if psutil.pid_exists(keeper):
            os.kill(keeper, signal.SIGSTOP)

    def is_as_asked(self) -> bool:
        rows = self.made.status()
        if set(rows) != set(NAMES):
            return False
        wanted = {name: "running" if up else "stopped" for name, up in self.up.items()}
        return {name: row["state"] for name, row in rows.items()} == wanted and self.processes() == sorted(
            row["pid"] for row in rows.values() if row["pid"]
        )

    def processes(self) -> list[int]:
        """The first processes of the services, by what they run."""
        found = []
        for pid in self.made.processes():
            try:
                one = psutil.Process(pid)
                words, parent = one.cmdline(), one.parent()
            except psutil.Error:
                continue
            if MARK in " ".join(words) and not (parent and MARK in " ".join(parent.cmdline())):
                found.append(pid)
        return sorted(found)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(int(os.environ.get("BHTUI_SEEDS", "2"))))
def test_any_order_of_what_can_happen_to_a_host(seed: int) -> None:
    dice = random.Random(seed)
    with home(CONFIG) as made:
        made.cli("start")
        host = Host(made, dice)
        host.up = dict.fromkeys(NAMES, True)
        deeds: list[Callable[[], None]] = [host.start, host.stop, host.crash, host.kill_agent, host.kill_keeper]
        for _ in range(STEPS):
            dice.choices([*deeds, host.stop_keeper, host.emergency], [4, 3, 4, 2, 2, 1, 1])[0]()
        for name, up in host.up.items():  # whatever a start could not reach in the storm
            if up:
                made.cli("start", name, code=None)
                host.up |= {name: True, "db-1": True}
        until(host.is_as_asked, 60, f"what was asked: {host.up}; {made.status()}; {host.processes()}")
