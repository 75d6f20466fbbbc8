"""The agent as a child of the keeper: back whenever it dies, and told when the keeper is to end."""

from __future__ import annotations

import os
import signal

from bhtui.keeper import client, proc
from tests.keeper.support import IDLE, Running, is_alive, kill_now, log_lines, python, running_keeper, text_of
from tests.waiting import until


def agent(keeper: Running) -> int:
    return int(keeper.ask("stats")["agent"]["pid"])


def test_a_killed_agent_comes_back_and_services_notice_nothing(keeper: Running) -> None:
    service = keeper.spawn("a-1#1", IDLE)
    for _ in range(3):
        old = until(lambda: agent(keeper))
        kill_now(old)
        until(lambda old=old: agent(keeper) not in (0, old), what="another agent")  # type: ignore[misc]
    assert keeper.ask("stats")["agent"]["restarts"] == 3
    assert is_alive(service["pid"], service["start"])


def test_an_agent_that_dies_at_once_is_not_started_in_a_loop() -> None:
    with running_keeper(["/bin/false"]) as keeper:
        until(lambda: keeper.ask("stats")["agent"]["restarts"] >= 3)
        before = keeper.ask("stats")
        until(lambda: keeper.ask("stats")["uptime_s"] > before["uptime_s"] + 1)
        assert keeper.ask("stats")["agent"]["restarts"] < before["agent"]["restarts"] + 5


def test_an_agent_that_cannot_start_is_said_to() -> None:
    with running_keeper(["/nowhere/agent"]) as keeper:
        log = keeper.logs / "keeper.log"
        until(lambda: any("cannot start the agent" in text_of(line) for line in log_lines(log)))
        keeper.ask("agent", action="restart", argv=IDLE)
        until(lambda: agent(keeper))


def test_stop_start_restart(keeper: Running) -> None:
    first = until(lambda: agent(keeper))
    keeper.ask("agent", action="stop")
    until(lambda: not is_alive(first))
    until(lambda: agent(keeper) == 0)
    keeper.ask("agent", action="start")
    second = until(lambda: agent(keeper))
    keeper.ask("agent", action="restart", argv=["sleep", "777"])
    third = until(lambda: agent(keeper) not in (0, second) and agent(keeper))
    assert proc.read(f"/proc/{third}/cmdline") == b"sleep\x00777\x00"


def test_shutdown_ends_agent_and_keeper_but_no_service_by_mistake(keeper: Running) -> None:
    service = keeper.spawn("a-1#1", IDLE)
    first = until(lambda: agent(keeper))
    try:
        client.shutdown(keeper.run)
    except client.KeeperError as error:
        assert "1 processes run (a-1#1)" in str(error)
    assert client.shutdown(keeper.run, force=True)["killed"] == 1
    until(lambda: not is_alive(keeper.pid), what="the keeper to end")
    assert not is_alive(service["pid"])
    assert not is_alive(first)
    assert not os.path.exists(client.socket_path(keeper.run))


def test_sigterm_asks_the_agent_first_and_a_second_one_does_not(keeper: Running) -> None:
    service = keeper.spawn("a-1#1", IDLE)
    os.kill(keeper.pid, signal.SIGTERM)
    message, _ = keeper.client.receive()
    assert message == {"event": "terminate"}
    assert is_alive(service["pid"])
    with client.KeeperClient(keeper.run) as late:
        assert late.request("hello", events=True)["terminating"]
        assert late.receive()[0] == {"event": "terminate"}
    os.kill(keeper.pid, signal.SIGTERM)
    until(lambda: not is_alive(keeper.pid), what="the keeper to end")
    assert not is_alive(service["pid"])


def test_an_agent_that_ignores_sigterm_is_killed_at_last() -> None:
    with running_keeper(
        python("import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(999)")
    ) as one:
        until(lambda: log_lines(one.logs / "agent.log"))
        old = agent(one)
        one.ask("agent", action="stop")
        until(lambda: not is_alive(old), 30, "the agent to be killed")
