"""The keeper replaced in place: the same process, children, pipes and connections."""

from __future__ import annotations

import os
import sys

import pytest

from bhtui.keeper import client
from tests.keeper.support import IDLE, Running, is_alive, log_lines, python, text_of
from tests.waiting import until

SELF = [sys.executable, "-m", "bhtui.keeper"]
NUMBERS = "import sys\nfor n in range({count}): sys.stdout.write(f'{{n}} some text to go with it\\n')"


def test_everything_stays(keeper: Running) -> None:
    keeper.sh("b-1#1", "exit 5")
    keeper.ended("b-1#1")
    keeper.ask("emergency")
    keeper.ask("resume")
    service = keeper.spawn("c-1#1", IDLE, tag={"x": [1]}, log={"max_bytes": 77, "keep": 3})
    agent, before = keeper.ask("stats")["agent"], keeper.list()
    answer = keeper.ask("upgrade", argv=SELF)
    assert answer["pid"] == keeper.pid
    assert keeper.ask("stats")["agent"] == agent
    assert keeper.list() == before
    assert is_alive(service["pid"], service["start"])
    keeper.ask("signal", key="c-1#1", signal=15)
    assert keeper.ended("c-1#1")["signal"] == 15
    keeper.sh("d-1#1", "exit 6")
    assert keeper.ended("d-1#1")["code"] == 6


def test_events_go_on_over_the_same_connection(keeper: Running) -> None:
    keeper.spawn("a-1#1", IDLE)
    keeper.ask("upgrade", argv=SELF)
    keeper.ask("signal", key="a-1#1", signal=9)
    message, _ = keeper.client.receive()
    assert (message["event"], message["key"], message["exit"]["signal"]) == ("exited", "a-1#1", 9)


def test_lines_under_load_come_exactly_once(keeper: Running) -> None:
    count = 1_500_000
    spawned = keeper.spawn("a-1#1", python(NUMBERS.format(count=count)), log={"max_bytes": 20_000_000, "keep": 100})
    upgrades = 0
    while (entry := keeper.entry("a-1#1")) and entry["exit"] is None:
        keeper.ask("upgrade", argv=SELF)
        upgrades += 1
    assert upgrades >= 3
    assert entry and (entry["pid"], entry["exit"]["code"]) == (spawned["pid"], 0)
    assert [int(text.split()[0]) for text in keeper.texts("a-1#1")] == list(range(count))


def test_an_unfinished_line_is_continued(keeper: Running) -> None:
    keeper.sh("a-1#1", "printf 'first half, '; sleep 0.6; echo 'second half'")
    keeper.ask("upgrade", argv=SELF)
    keeper.ended("a-1#1")
    assert keeper.texts("a-1#1") == ["first half, second half"]


def test_descriptors_do_not_pile_up_and_none_leaks_into_children(keeper: Running) -> None:
    keeper.spawn("a-1#1", IDLE)
    keeper.ask("upgrade", argv=SELF)
    before = keeper.ask("stats")["fds"]
    for _ in range(5):
        keeper.ask("upgrade", argv=SELF)
    assert keeper.ask("stats")["fds"] == before
    keeper.sh("b-1#1", "ls /proc/self/fd | wc -l")
    keeper.ended("b-1#1")
    assert keeper.texts("b-1#1") == ["4"]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["/nowhere/python"], "No such file"),
        (["/bin/false"], "exit code 1"),
        ([sys.executable, "-c", "raise SystemExit('too old for this')"], "too old for this"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "signal 9"),
    ],
)
def test_a_keeper_that_does_not_work_is_refused(keeper: Running, argv: list[str], reason: str) -> None:
    keeper.spawn("a-1#1", IDLE)
    before = keeper.ask("stats")["fds"]
    with pytest.raises(client.KeeperError, match="cannot upgrade the keeper") as caught:
        keeper.ask("upgrade", argv=argv)
    assert reason in str(caught.value)
    assert keeper.ask("stats")["fds"] == before
    keeper.ask("upgrade", argv=SELF)


def test_the_agent_is_upgraded_with_it(keeper: Running) -> None:
    old = until(lambda: keeper.ask("stats")["agent"]["pid"])
    new = python("import os, time; print('new agent', os.environ['COLOUR']); time.sleep(1000)")
    keeper.ask("upgrade", argv=SELF, agent={"argv": new, "env": {**os.environ, "COLOUR": "blue"}})
    until(lambda: keeper.ask("stats")["agent"]["pid"] not in (0, old))
    until(lambda: "new agent blue" in map(text_of, log_lines(keeper.logs / "agent.log")))
    assert not is_alive(old)


def test_a_hold_stays(keeper: Running) -> None:
    keeper.ask("emergency")
    keeper.ask("upgrade", argv=SELF)
    with pytest.raises(client.KeeperError, match="held"):
        keeper.spawn("a-1#1", IDLE)
