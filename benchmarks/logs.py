"""Reading a CRI log file of 200 MB of JSON lines: the agent's log room against tail and grep.

The peers are timed as processes, with their start (about a millisecond); the log room as the running agent uses it.
Both give every line they find. The size in MB is the only argument.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

from _common import median_of, report, workplace

from bhtui.agent.rooms.logs import cri
from bhtui.agent.rooms.logs.room import Logs
from bhtui.core.logs import LogsQuery

SIZE = (int(sys.argv[1]) if len(sys.argv) > 1 else 200) << 20
START = 1_767_323_045_000_000_000
STEP_NS = 500_000
LEVELS = ["info"] * 80 + ["debug"] * 15 + ["warn"] * 4 + ["error"]


def write_log(path: Path, size: int = SIZE) -> int:
    """Returns the number of lines."""
    path.parent.mkdir()
    number = 0
    with path.open("wb") as file:
        while file.tell() < size:
            for _ in range(10_000):
                number += 1
                text = (
                    f'{{"level":"{LEVELS[number % 100]}","ts":{number},"msg":"request served",'
                    f'"path":"/items/{number % 977}","ms":{number % 871},"id":"{number:08x}"}}\n'
                )
                file.write(cri.stamp(START + number * STEP_NS) + b" stdout F " + text.encode())
    return number


def ours(room: Logs, query: LogsQuery, expected: int) -> float:
    """Seconds for a whole read."""

    async def read() -> int:
        async with aclosing(room.read(query)) as batches:
            return sum([len(batch.lines) async for batch in batches])

    began = time.perf_counter()
    found = asyncio.run(read())
    took = time.perf_counter() - began
    if found != expected:
        sys.exit(f"{found} lines found, {expected} expected, for {query}")
    return took


def theirs(argv: list[str], expected: int) -> float:
    began = time.perf_counter()
    output = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout
    took = time.perf_counter() - began
    if (found := output.count(b"\n")) != expected:
        sys.exit(f"{found} lines found, {expected} expected, by {argv}")
    return took


def compare(title: str, room: Logs, query: LogsQuery, argv: list[str], expected: int) -> None:
    mine, peer = median_of(lambda: ours(room, query, expected)), median_of(lambda: theirs(argv, expected))
    report(title, "ms", 1000 * mine, argv[0], 1000 * peer)


def main() -> None:
    with workplace() as root:
        path = root / "api" / "api-1.log"
        lines = write_log(path)
        room, file = Logs(root, lambda: ()), str(path)
        middle = lines // 2
        rare = f"{middle:08x}"
        compare("last 100 lines", room, LogsQuery(tail=100), ["tail", "-n", "100", file], 100)
        compare("search for a text", room, LogsQuery(grep=rare), ["grep", "-F", rare, file], 1)
        compare(
            "search for a text, ignoring case",
            room, LogsQuery(grep=rare.upper(), ignore_case=True), ["grep", "-iF", rare.upper(), file], 1,
        )  # fmt: skip
        pattern = f'id":"{rare[:-1]}[0-9a-f]"'
        compare("search for a pattern", room, LogsQuery(grep=pattern), ["grep", pattern, file], 16)
        second = cri.stamp(START + middle * STEP_NS).decode()[:19]
        since = cri.time_of(f"{second}.000000000Z ".encode())
        query = LogsQuery(since_ns=since, until_ns=since + 1_000_000_000)
        compare("the lines of one second", room, query, ["grep", f"^{second}", file], 1_000_000_000 // STEP_NS)
        room.close()


if __name__ == "__main__":
    main()
