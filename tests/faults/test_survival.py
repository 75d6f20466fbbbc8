"""The survival table: what dies, and what must go on as if nothing had happened."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live.home import Home, home
from tests.live.numbered import PROGRAM, markers, numbers
from tests.long import times
from tests.waiting import until

SERVICES = ("one", "two", "three")
CONFIG = "services:\n" + "".join(
    f"""
  {name}:
    command: [{sys.executable}, {PROGRAM}, "2000", "60"]
    restart: always
    logging: {{rotate: {{max_size: 1M, max_backups: 100}}}}
"""
    for name in SERVICES
)
INSTANCES = tuple(f"{name}-1" for name in SERVICES)


@pytest.fixture
def running() -> Iterator[Home]:
    with home(CONFIG) as made:
        made.cli("start")
        yield made


def pids(made: Home) -> dict[str, int]:
    return {name: status["pid"] for name, status in made.status().items()}


def end_of(made: Home) -> None:
    made.cli("stop")
    until(lambda: all(status["state"] == "stopped" for status in made.status().values()), 20)


def kill_agent(made: Home) -> None:
    """SIGKILL, and wait until another answers."""
    agent = made.agent_pid()
    os.kill(agent, signal.SIGKILL)
    until(lambda: made.status() and made.agent_pid() != agent, 20, "the agent is back")


def assert_lines_whole(made: Home) -> None:
    for name, instance in zip(SERVICES, INSTANCES, strict=True):
        found = numbers(made.paths.logs / name, instance)
        assert found == list(range(1, len(found) + 1)), f"{instance}: lines lost or repeated"
        assert found


def test_agent_killed_again_and_again_under_load(running: Home) -> None:
    before = pids(running)
    for _ in range(times(8, 50)):
        kill_agent(running)
        assert pids(running) == before
    end_of(running)
    assert_lines_whole(running)


ROLL = """
services:
  api:
    command: [sh, -c, "{words}exec sleep 1000"]
    replicas: 4
    environment: {{VERSION: "{version}"}}
    healthcheck: {{test: [CMD, sleep, "0.3"], interval: 5s}} # long enough to see an end before it
"""


@pytest.mark.parametrize("way", ["stop", "rollback"])
def test_a_rolling_reload_goes_on_after_the_agent_was_killed_in_it(way: str) -> None:
    """At several of its steps; with one that fails at the end, forward and back."""
    with home(ROLL.format(version="1", words="")) as made:
        made.cli("start")
        first = pids(made)
        gate = made.path / "gate"
        broken = f"case $BLACKHOLE_INSTANCE_NAME in api-4) [ -e {gate} ] || exit 3;; esac; "
        made.write_config(ROLL.format(version="2", words=broken))
        words = [sys.executable, "-m", "bhtui.cli.main", "restart", "--reload-config", "--rolling", "--on-failure", way]
        with subprocess.Popen(words, env=made.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as asked:
            for name in ("api-1", "api-3"):
                until(lambda name=name: pids(made).get(name, first[name]) != first[name], 30, f"{name} has its turn")
                kill_agent(made)
            _, said = asked.communicate(timeout=90)
        assert asked.returncode == 1
        operation = json.loads(made.cli("operations", "--limit", "1", "--output", "json").stdout)
        assert "resumed after the agent was restarted" in operation["note"]
        in_force = made.cli("config", "show").stdout
        if way == "rollback":
            assert {step["state"] for step in operation["steps"]} == {"undone"}
            assert "VERSION: '1'" in in_force.replace('"', "'")
            assert all(status["state"] == "running" for status in made.status().values())
            return
        short = operation["id"][:8]
        assert f"`blackhole operations resume {short}` goes on" in said.decode()
        assert "VERSION: '2'" in in_force.replace('"', "'")
        gate.touch()
        made.cli("operations", "resume", short)
        assert all(status["state"] == "running" for status in made.status().values())
        made.cli("operations", "rollback", short)
        assert "VERSION: '1'" in made.cli("config", "show").stdout.replace('"', "'")
        refused = made.cli("operations", "rollback", short, code=5).stderr
        assert "another configuration was put in force since" in refused


def test_what_a_maintenance_window_holds_is_held_by_the_next_agent_too() -> None:
    """Ended before the agent was killed, and while there was none."""
    with home(CONFIG) as made:
        made.cli("start")
        made.cli("maintenance", "windows", "open", "one", "two", "--for", "1h", "--reason", "new disk")
        os.kill(pids(made)["one-1"], signal.SIGKILL)
        until(lambda: "maintenance window" in made.status()["one-1"]["held"], 20, "one-1 is held")
        agent, second, third = made.agent_pid(), pids(made)["two-1"], pids(made)["three-1"]
        os.kill(agent, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        os.kill(third, signal.SIGKILL)
        until(lambda: made.status() and made.agent_pid() != agent, 20, "the agent is back")
        made.wait_state("three-1", "running")
        assert {name: bool(status["held"]) for name, status in made.status().items()} == {
            "one-1": True, "two-1": True, "three-1": False
        }  # fmt: skip
        [window] = json.loads(made.cli("maintenance", "windows", "--output", "json").stdout)
        assert (window["open"], window["services"], window["reason"]) == (True, ["one", "two"], "new disk")
        made.cli("maintenance", "windows", "close")
        made.wait_state("one-1", "running")
        made.wait_state("two-1", "running")


def test_keeper_replaced_in_place_under_load(running: Home) -> None:
    before, keeper = pids(running), running.keeper_pid()
    for _ in range(times(2, 5)):
        agent = running.agent_pid()
        running.cli("agent", "upgrade")
        until(lambda agent=agent: running.status() and running.agent_pid() != agent, 20, "a new agent")
        assert running.keeper_pid() == keeper
        assert pids(running) == before
    end_of(running)
    assert_lines_whole(running)


def test_keeper_killed_under_load(running: Home) -> None:
    before, keeper = pids(running), running.keeper_pid()
    os.kill(keeper, signal.SIGKILL)
    until(lambda: running.keeper_pid() != keeper, 20, "a new keeper")
    grown = {name: len(numbers(running.paths.logs / name, f"{name}-1")) for name in SERVICES}
    until(
        lambda: all(len(numbers(running.paths.logs / n, f"{n}-1")) > grown[n] + 1000 for n in SERVICES),
        20,
        "the new keeper captures",
    )
    assert pids(running) == before
    assert all(psutil.Process(pid).is_running() for pid in before.values())
    assert sorted(p.pid for p in service_processes(running)) == sorted(before.values()), "started twice"
    end_of(running)
    for name, instance in zip(SERVICES, INSTANCES, strict=True):
        found = numbers(running.paths.logs / name, instance)
        assert found == sorted(set(found)), f"{instance}: lines repeated or out of order"
        gaps = [after - before - 1 for before, after in itertools.pairwise(found) if after != before + 1]
        assert len(gaps) <= 1, f"{instance}: more than the chunk in hand is missing: {gaps}"
        assert any("keeper" in marker for marker in markers(running.paths.logs / name, instance))
    events = running.cli("events", "--output", "json").stdout
    assert '"keeper.replaced"' in events


def service_processes(made: Home) -> list[psutil.Process]:
    found = []
    for pid in made.processes():
        try:
            process = psutil.Process(pid)
            if PROGRAM in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_agent_and_keeper_killed_together_start_nothing_twice(running: Home) -> None:
    """Nobody holds the pipes then: the services end by SIGPIPE or live on unheard, but none runs twice."""
    keeper, agent = running.keeper_pid(), running.agent_pid()
    os.kill(keeper, signal.SIGSTOP)
    os.kill(agent, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    running.cli("start")
    for instance in INSTANCES:
        running.wait_state(instance, "running")
    until(lambda: len(service_processes(running)) == len(INSTANCES), 20, "one process an instance")
    assert sorted(p.pid for p in service_processes(running)) == sorted(pids(running).values())


DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        time.sleep(1000)
    os._exit(0)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", [["stop"], ["stop", "--force"], ["stop", "--emergency"]])
def test_double_forked_children_are_gone_after_stop(how: list[str], tmp_path: Path) -> None:
    program = tmp_path / "forker.py"
    program.write_text(DOUBLE_FORK)
    with home(f"services:\n  forker:\n    command: [{sys.executable}, {program}]\n") as made:
        made.cli("start")

        def family() -> list[int]:
            return [p for p in made.processes() if str(program) in " ".join(cmdline(p))]

        until(lambda: len(family()) == 2, 20, "the daemon is there")
        made.cli(*how)
        until(lambda: not family(), 10, "its double-forked child is gone")


def cmdline(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.mark.timeout(300)
def test_many_restarts_leave_no_zombie_no_descriptor_no_growth(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    config = f"""
services:
  brief:
    command: [sh, -c, "while [ ! -e {broken} ]; do sleep 0.05; done; exit 1"]
    restart: {{policy: always, delay: 1ms, factor: 1, maximum: 1ms, start_limit: 0}}
"""
    with home(config) as made:
        made.cli("start")
        broken.touch()

        def restarts() -> int:
            return int(made.status()["brief-1"]["restarts"])

        keeper, agent = psutil.Process(made.keeper_pid()), psutil.Process(made.agent_pid())
        until(lambda: restarts() > 100, 60)
        before = {p.pid: (p.num_fds(), p.memory_info().rss) for p in (keeper, agent)}
        until(lambda: restarts() > times(400, 1100), 240, "many restarts")
        for process in (keeper, agent):
            fds, memory = before[process.pid]
            # The files that its samples are read from are open while it runs, a dozen; a leak would be hundreds.
            assert process.num_fds() <= fds + 30
            assert process.memory_info().rss < memory * 1.25 + (4 << 20)
        made.cli("stop", "brief")
        zombies = [c for c in keeper.children() + agent.children() if c.status() == psutil.STATUS_ZOMBIE]
        assert not zombies


def saying(word: str) -> str:
    """A configuration whose service notes in a file with which one it was started."""
    return f"""
        services:
          api: {{command: [sh, -c, 'echo {word} >> $SAID; exec sleep 1000'], environment: {{SAID: "%s"}}}}
          web: {{command: [sh, -c, 'echo web-{word} >> $SAID; exec sleep 1000'], environment: {{SAID: "%s"}}}}
    """


@pytest.mark.parametrize(
    ("end", "words"),
    [("kill", ["start"]), ("kill", ["start", "web"]), ("stop", ["start"]), ("kill", ["restart", "--reload-config"])],
)
def test_an_agent_that_a_start_revives_brings_nothing_up_with_the_configuration_before(
    end: str, words: list[str], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with home(saying("old").replace("%s", str(said))) as here:
        here.cli("start")
        if end == "kill":
            services = pids(here).values()
            os.kill(here.keeper_pid(), signal.SIGSTOP)  # so that neither starts the other again
            for pid in (here.agent_pid(), here.keeper_pid(), *services):
                os.kill(pid, signal.SIGKILL)
            until(lambda: not here.processes(), 20, "all are gone")
        else:
            here.cli("agent", "stop")
        here.write_config(saying("new").replace("%s", str(said)))
        here.cli(*words)
        for instance in ("api-1", "web-1"):
            here.wait_state(instance, "running")
        # It runs before it has said so.
        words = until(lambda: len(found := sorted(said.read_text().split())) >= 4 and found, what="all have said it")
        assert words == ["new", "old", "web-new", "web-old"]
        assert not (here.paths.state / "coming").exists()


def test_what_was_up_comes_up_although_the_start_that_revived_the_agent_is_refused() -> None:
    with home("services: {api: {command: [sleep, '1000']}}") as here:
        here.cli("start")
        here.cli("agent", "stop")
        here.write_config("services: {api: {comand: [sleep, '1000']}}")
        here.cli("start", code=2)
        here.wait_state("api-1", "running")
