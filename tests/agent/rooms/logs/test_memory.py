"""What readers take of memory is bounded, whatever is in the files: lines of 10 MB, binary, no end of line at all.

Each question is asked in a process of its own (this file is its program), whose greatest memory is looked at.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bhtui.agent.rooms.logs import files
from bhtui.agent.rooms.logs.follow import Follower
from bhtui.agent.rooms.logs.outputs.chains import Chain
from bhtui.agent.rooms.logs.outputs.tail import Tail
from bhtui.agent.rooms.logs.query import Matcher
from bhtui.agent.rooms.logs.room import Logs
from bhtui.agent.rooms.logs.scan import Scanner
from bhtui.core.logs import LogsQuery
from tests.agent.rooms.logs.logmaker import START, line

LONG, PART = 10 << 20, 144 << 10
MOST = 45 << 20
"""Of the 100 MB that there are; a reader of a whole line without an end would take several times its 30 MB."""


def long_line(number: int) -> bytes:
    """As the keeper writes it: in parts."""
    text = (b"%d " % number) * (LONG // 2)
    parts = [text[at : at + PART] for at in range(0, LONG, PART)]
    flags = ["P"] * (len(parts) - 1) + ["F"]
    return b"".join(line(START + number, part, flag=flag) for part, flag in zip(parts, flags, strict=True))


def garbage(size: int) -> bytes:
    return random.Random(1).randbytes(size)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("large")
    for service in ("long", "binary", "endless", "damaged"):
        (made / service).mkdir()
    with (made / "long" / "long-1.log").open("wb") as file:
        for number in range(6):
            file.write(long_line(number))
    binary = garbage(1 << 20).split(b"\n")
    with (made / "binary" / "binary-1.log").open("wb") as file:
        for turn in range(3):
            file.write(b"".join(line(START + turn, text) for text in binary))
    with (made / "endless" / "endless-1.log").open("wb") as file:
        file.write(line(START, b"x" * (30 << 20)))
    (made / "damaged" / "damaged-1.log").write_bytes(garbage(4 << 20).replace(b"\n", b"\0") + b"\n")
    return made


QUERIES = {
    "all": LogsQuery(),
    "tail": LogsQuery(tail=100_000),
    "context": LogsQuery(grep="^5 5", context=1000),
}


async def _ask(folder: Path, name: str) -> int:
    """Characters of what was answered."""
    room, size = Logs(folder, tuple), 0
    if name == "count":
        async for counts in room.count(LogsQuery(), 0, 100):
            size += sum(each.bytes for each in counts.counts)
    else:
        async for batch in room.read(QUERIES[name]):
            size += sum(len(each.message) for each in batch.lines)
    room.close()
    return size


def _follow(folder: Path) -> int:
    size = 0
    for path in folder.glob("*/*.log"):
        follower = Follower(path, Scanner("s", "s-1", Matcher(LogsQuery())))
        while True:
            lines, is_busy = follower.poll()
            size += sum(len(each.message) for each in lines)
            if not is_busy:
                break
        size += sum(len(each.message) for each in follower.scanner.flush())
        follower.close()
    return size


def _send(folder: Path) -> int:
    size = 0
    for path in folder.glob("*/*.log"):
        tail = Tail(chain := Chain("s", "s-1", path, lambda _: None), -1)
        tail.begin(chain.begin(), None, 0)
        while tail.has_more:
            size += sum(len(each.text) for each in tail.read())
        tail.close()
        chain.close()
    return size


@pytest.mark.parametrize("name", [*QUERIES, "count", "follow", "send"])
def test_the_memory_of_a_reader_is_bounded(folder: Path, name: str) -> None:
    program = [sys.executable, "-m", __name__, str(folder), name]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120)
    said = json.loads(done.stdout)
    assert said["grown"] < MOST, said
    if name in ("all", "follow", "send", "count"):
        there = sum(path.stat().st_size for path in folder.glob("*/*.log"))
        assert said["answered"] > there * 0.9


def test_the_newest_of_the_long_ones_are_those_that_were_asked_for(folder: Path) -> None:
    async def tail(count: int) -> list[str]:
        room = Logs(folder, tuple)
        found = [each.message async for batch in room.read(LogsQuery(("long",), tail=count)) for each in batch.lines]
        room.close()
        return found

    many, few = asyncio.run(tail(200)), asyncio.run(tail(20))
    # A line of which only pieces are put together is cut at other places when it is read from its end.
    assert 200 <= len(many) < 240
    assert len(few) == 20
    assert many[-20:] == few


def test_a_follower_goes_on_after_what_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(START, "before") + b"y" * (3 * files.LONGEST))
    follower = Follower(path, Scanner("s", "s-1", Matcher(LogsQuery())))
    lines = [each.message for each in _polled(follower)]
    assert lines[0] == "before"
    with path.open("ab") as file:
        file.write(b"yy\n" + line(START + 5, "after"))
    lines += [each.message for each in _polled(follower)]
    assert lines[-1] == "after"
    assert sum(map(len, lines[1:-1])) == 3 * files.LONGEST + 2
    follower.close()


def _polled(follower: Follower) -> list:
    found, is_busy = [], True
    while is_busy:
        lines, is_busy = follower.poll()
        found += lines
    return found


def _peak() -> int:
    """Bytes."""
    with open("/proc/self/status") as status:
        return next(int(each.split()[1]) << 10 for each in status if each.startswith("VmHWM"))


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    before = _peak()
    ask = {"follow": _follow, "send": _send}.get(name)
    answered = ask(folder) if ask else asyncio.run(_ask(folder, name))
    print(json.dumps({"grown": _peak() - before, "answered": answered, "pid": os.getpid()}))


if __name__ == "__main__":
    main()
