"""What a full disk takes is told: with counts that only grow told once, and on a file system that is really full."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent import losses
from bhtui.agent.events.log import EventLog
from bhtui.agent.keeper import KeeperError
from bhtui.agent.losses import Losses
from bhtui.agent.store import Store
from tests.live.home import Home, home
from tests.waiting import until


class Counts:
    """A keeper's counts."""

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}

    async def __call__(self) -> Mapping[str, Any]:
        if not self.dropped:
            raise KeeperError("cannot stats: the keeper is gone")
        return {"logs": {path: {"dropped": count, "problem": "no space left"} for path, count in self.dropped.items()},
                "limited": {}}  # fmt: skip


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventLog]:
    store = Store(tmp_path / "agent.db")
    yield EventLog(store)
    store.close()


async def test_lost_lines_are_told_once_with_their_count(events: EventLog) -> None:
    counts = Counts()
    watch = Losses(counts, events, ())
    await watch.look()  # no keeper answers
    for dropped in (5, 12, 12, 3):
        counts.dropped = {"/l/api/api-1.log": dropped}
        await watch.look()
    told = [(each.kind, each.target, each.data) for each in events.read()]
    assert told == [
        ("logs.lost", "api-1", {"count": 7, "reason": "no space left"}),
        ("logs.lost", "api-1", {"count": 3, "reason": "no space left"}),  # another keeper counts from nought
    ]


async def test_a_full_disk_is_told_once_until_it_is_not(
    events: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 1 << 30
    monkeypatch.setattr(losses, "room", lambda _: (free, 1 << 40))
    (tmp_path / "logs").mkdir()
    watch = Losses(Counts(), events, (tmp_path, tmp_path / "logs"))
    for free in (1 << 30, 1 << 20, 0, 1 << 30, 0):  # noqa: B007 - what `room` answers
        await watch.look()
    told = [(each.kind, each.target, each.data["free_bytes"]) for each in events.read()]
    assert told == [("disk.full", str(tmp_path), 1 << 20), ("disk.full", str(tmp_path), 0)]


async def test_a_small_disk_is_not_full_from_the_start(events: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "room", lambda _: (1 << 20, 2 << 20))
    await Losses(Counts(), events, (Path("/"),)).look()
    assert events.read() == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a tmpfs")
def test_one_event_says_that_the_disk_is_full_and_services_run_on() -> None:
    config = """
        services:
          chatty: {command: [sh, -c, 'while :; do yes 0123456789 | head -c 100000; sleep 0.01; done']}
    """
    with home(config) as here:
        here.paths.logs.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", here.paths.logs], check=True)
        try:
            here.cli("start")
            pid = here.status()["chatty-1"]["pid"]
            found = until(lambda: len(found := _facts(here)) == 2 and found, 60)
            assert found["disk.full"]["target"] == str(here.paths.logs)
            assert found["logs.lost"]["target"] == "chatty-1"
            assert found["logs.lost"]["data"]["count"] > 0
            assert "no space left" in found["logs.lost"]["message"]
            assert here.status()["chatty-1"]["pid"] == pid
            here.cli("agent", "stop")
        finally:
            subprocess.run(["umount", "-l", here.paths.logs], check=True)


def _facts(here: Home) -> dict[str, Any]:
    """By kind; each kind once for all the time that the disk is full, where that is promised."""
    said = here.cli("events", "--kind", "logs.lost", "--kind", "disk.full", "--output", "json").stdout
    facts = [json.loads(line) for line in said.splitlines()]
    assert sum(each["kind"] == "disk.full" for each in facts) <= 1
    return {each["kind"]: each for each in facts}
