"""A keeper that is there and does not answer is told, woken or replaced, and never without a reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.events.log import EventLog
from bhtui.agent.keeper import watch
from bhtui.agent.keeper.watch import Deed, KeeperWatch, decide
from bhtui.agent.store import Store
from bhtui.core.event import EventKind
from tests.keeper.support import is_alive
from tests.live.home import home
from tests.waiting import until


@pytest.mark.parametrize(
    ("state", "silent", "deed"),
    [
        ("T", 5.0, Deed.WAKE),
        ("T", 500.0, Deed.WAKE),
        ("t", 500.0, Deed.WAIT),
        ("D", 500.0, Deed.WAIT),
        ("R", 59.0, Deed.WAIT),
        ("R", 60.0, Deed.REPLACE),
        ("S", 60.0, Deed.REPLACE),
    ],
)
def test_what_is_done_goes_by_what_it_does(state: str, silent: float, deed: Deed) -> None:
    assert decide(state, silent)[0] is deed


class Mute:
    """A process that answers when the test says so."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "1000"])
        self.pid, self.well = self.process.pid, True

    async def answers(self, timeout: float) -> bool:
        return self.well


@pytest.fixture
def mute() -> Iterator[Mute]:
    made = Mute()
    yield made
    made.process.kill()
    made.process.wait()


async def test_it_is_told_once_and_killed_after_a_minute(mute: Mute, tmp_path: Path) -> None:
    store, now = Store(tmp_path / "agent.db"), 1000.0
    events = EventLog(store)
    watching = KeeperWatch(mute, events, lambda: now)
    await watching.look()
    assert watching.trouble == ""
    mute.well = False
    for _ in range(3):
        now += 10
        await watching.look()
    assert watching.trouble == f"the keeper, process {mute.pid}, does not answer: it is busy with something"
    mute.well = True
    await watching.look()
    assert watching.trouble == ""
    mute.well = False
    now += watch.REPLACE_SECONDS
    await watching.look()
    assert mute.process.wait(60) == -signal.SIGKILL
    await watching.look()  # it is gone: that is told by others
    told = [(event.data["done"], event.kind) for event in events.read()]
    assert told == [(done, EventKind.KEEPER_STUCK) for done in ("wait", "answers", "replace")]
    store.close()


def test_a_stopped_keeper_is_woken_and_told() -> None:
    with home("services: {api: {command: [sleep, '1000']}}") as made:
        made.cli("start")
        service, keeper = made.status()["api-1"]["pid"], made.keeper_pid()
        os.kill(keeper, signal.SIGSTOP)
        until(lambda: "answers" in [event["data"]["done"] for event in stuck(made)], 60, "it was woken")
        [woken, answers] = stuck(made)
        assert woken["message"] == (
            f"the keeper, process {keeper}, does not answer: it was stopped (SIGSTOP); it is woken"
        )
        assert answers["message"] == f"the keeper, process {keeper}, answers again"
        assert (made.keeper_pid(), made.status()["api-1"]["pid"], is_alive(service)) == (keeper, service, True)
        assert made.agent()["keeper_trouble"] == ""


def stuck(made: Any) -> list[dict[str, Any]]:
    said = made.cli("events", "--output", "json").stdout.splitlines()
    return [event for event in map(json.loads, said) if event["kind"] == "keeper.stuck"]
