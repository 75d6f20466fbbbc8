"""Killed agents and killed keepers under load: the same processes, every line once, and losses marked."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bhtui.agent.keeper import Keeper, Launch, Listener, LogSpec, Replaced, SpawnRequest
from bhtui.keeper import client
from bhtui.keeper.capture import CHUNK
from bhtui.keeper.ops import INCOMPLETE
from tests.keeper.support import IDLE, Running, end_hard, is_alive, kill_now, log_lines, python, running_keeper, text_of
from tests.live.numbered import written
from tests.long import times
from tests.waiting import eventually, until

# Writes until it is told by a file to end, so that every fault meets it at work.
WRITER = """
import os, sys
number = 0
while not os.path.exists(sys.argv[1]):
    for number in range(number, number + 200):
        sys.stdout.write(f"{number} some text to go with it\\n")
    number += 1
print(number, flush=True)
"""
FAKE_AGENT = """
import sys
from bhtui.keeper.client import KeeperClient
keeper = KeeperClient(sys.argv[1], timeout=60)
keeper.request("hello", events=True)
print("agent", keeper.request("stats")["running"], flush=True)
while True:
    keeper.receive()
"""


def writer(stop: Path) -> list[str]:
    return [*python(WRITER), str(stop)]


def numbers(lines: list[bytes]) -> list[int]:
    texts = (text_of(line) for line in lines)
    return [int(text.split()[0]) for text in texts if not text.startswith("[blackhole]")]


def test_the_agent_killed_again_and_again_under_load(tmp_path: Path) -> None:
    stop, kills = tmp_path / "stop", times(15, 50)
    with running_keeper(IDLE) as keeper:
        keeper.ask("agent", action="restart", argv=[*python(FAKE_AGENT), str(keeper.run)])
        bounds = {"max_bytes": 20_000_000, "keep": 10_000}
        services = [keeper.spawn(f"a-{number}#1", writer(stop), log=bounds) for number in (1, 2)]
        for _ in range(kills):
            _kill_the_agent(keeper)
        stop.touch()
        for service in services:
            assert keeper.ended(service["key"])["code"] == 0
            found = numbers(keeper.lines(service["key"]))
            assert found == list(range(len(found)))
        assert [one["pid"] for one in keeper.list()] == [one["pid"] for one in services]
        assert keeper.ask("stats")["agent"]["restarts"] >= kills


def _kill_the_agent(keeper: Running) -> None:
    # The wait between two starts grows; what is tested is the kill, so each is made at once.
    old = until(lambda: keeper.ask("stats")["agent"]["pid"])
    kill_now(old)
    until(lambda: keeper.ask("stats")["agent"]["pid"] != old)
    keeper.ask("agent", action="restart")


@pytest.fixture
def root() -> Iterator[Path]:
    """A place whose keeper is ended afterwards, also when the test fails."""
    folder = Path(tempfile.mkdtemp(prefix="bhk", dir="/tmp"))
    yield folder
    with suppress(client.NoKeeper):
        end_hard(folder)
    shutil.rmtree(folder)


async def test_the_keeper_killed_again_and_again_under_load(root: Path) -> None:
    stop, kills, replaced = root / "stop", times(4, 8), list[Replaced]()
    listener = Listener(replaced=replaced.append)
    keeper = await Keeper.connect(root / "run", launch=Launch(root / "log", tuple(IDLE)), listener=listener)
    try:
        logs = {f"a-{n}#1": LogSpec(str(root / "log" / f"a-{n}.log"), 50_000_000, 0, 1000) for n in (1, 2, 3)}
        requests = [SpawnRequest(key, tuple(writer(stop)), log, env=dict(os.environ)) for key, log in logs.items()]
        spawned = [await keeper.spawn(request) for request in requests]
        for turn in range(kills):
            size = _written(logs["a-1#1"])
            await eventually(lambda size=size: _written(logs["a-1#1"]) > size + 1_000_000)  # type: ignore[misc]
            kill_now(keeper.pid)
            await eventually(lambda turn=turn: len(replaced) > turn, what="the new keeper")  # type: ignore[misc]
        assert all(set(one.adopted) == set(logs) and not one.lost for one in replaced)
        assert all(is_alive(one.pid, one.start) for one in spawned)
        assert [one.pid for one in await keeper.list()] == [one.pid for one in spawned]
        stop.touch()
        await eventually(lambda: _all_ended(keeper), 60)
        for log in logs.values():
            _check_losses(log_lines(Path(log.path)), kills)
    finally:
        await keeper.close()


def _written(log: LogSpec) -> int:
    path = Path(log.path)
    return written(path.parent, f"{path.stem}*")


async def _all_ended(keeper: Keeper) -> bool:
    return all(one.exit for one in await keeper.list())


def _check_losses(lines: list[bytes], kills: int) -> None:
    """Nothing twice; what is missing lies at the marks, and is a chunk at most each time."""
    assert sum(text_of(line).startswith("[blackhole] the keeper was replaced") for line in lines) == kills
    assert text_of(lines[-1]).isdigit(), "the last line is there"
    before, torn, fragment = -1, False, False
    for text in map(text_of, lines):
        if text.startswith("[blackhole]"):
            torn = fragment = torn or text.endswith(INCOMPLETE)
            continue
        whole = re.fullmatch(r"(\d+) some text to go with it|(\d+)", text)
        number = int(text.split()[0]) if whole else -1
        if fragment and number <= before:
            fragment = False  # the first line after a gap may be the end of one that began in it
            continue
        if torn:
            assert (number - before - 1) * len(text) <= CHUNK + 2 * len(text), "more than a chunk is missing"
        else:
            assert number == before + 1, f"{text!r} after {before}"
        before, torn, fragment = number, False, False


def test_the_writer_is_what_it_says(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "stop").touch()
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "stop")], capture_output=True, check=True)
    assert done.stdout == b"0\n"
