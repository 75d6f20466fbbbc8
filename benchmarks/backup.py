"""Backups of the same data by our engine, restic and borg, in one run: time, repository size, memory.

Two sets of data: 600 MB of many kinds with a SQLite file of 200 MB in it, and 200,000 small files in 2,000 folders.
Each is backed up, backed up again unchanged, again with 2 % changed, restored, and every byte of the repository
verified. Every program compresses by zstd and encrypts. A process is measured from its start to its end, with the
processor time of all its processes, and their proportional memory (PSS) looked at ten times a second; our engine is
the agent's child, asked as the agent asks it. `--quick` takes a tenth of the data, `--percent 30` so much of it,
`--data mixed` one set only; `--place` is where the data lie (a tmpfs shows the programs and not the disk).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from _common import program, report, workplace

WORDS = [
    f"{a}{b}{c}" for a in ("ser", "con", "pro", "re", "log") for b in ("vi", "ta", "mo", "de") for c in ("ce", "r", "n")
]
PASSWORD = "benchmark"
STEPS = ("first", "unchanged", "changed", "restore", "verify")


def text(draw: random.Random, size: int) -> bytes:
    """Words and numbers: what zstd makes a third of."""
    line = " ".join(draw.choice(WORDS) + str(draw.randrange(1000)) for _ in range(min(size // 8 + 1, 4000)))
    return (line.encode() + b"\n")[:size] if size < 30_000 else b"".join(
        line[at:].encode() + str(draw.random()).encode() + b"\n" for at in range(max(1, size // 30_000))
    )[:size]  # fmt: skip


def mixed(top: Path, percent: int) -> None:
    """A database, logs, pictures, sources."""
    draw = random.Random(1)
    database = sqlite3.connect(top / "data.db")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
    for part in range(200 * percent // 100):
        rows = ((part * 1000 + each, draw.choice(WORDS), text(draw, 500) + draw.randbytes(500)) for each in range(1000))
        database.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    database.commit()
    database.close()
    for each in range(10):
        with (top / f"{each}.log").open("wb") as file:
            for _ in range(150 * percent // 100):
                file.write(text(draw, 100_000))
    for each in range(20):
        (top / f"{each}.jpg").write_bytes(draw.randbytes(50_000 * percent))
    for each in range(60 * percent):
        folder = top / "src" / str(each % 50)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{each}.py").write_bytes(text(draw, draw.randrange(1000, 49_000)))


def mixed_changed(top: Path) -> None:
    """2 % of it: rows, the ends of logs, sources."""
    draw = random.Random(2)
    database = sqlite3.connect(top / "data.db")
    (count,) = database.execute("SELECT count(*) FROM t").fetchone()
    start = count // 3
    database.execute("UPDATE t SET name = 'changed' WHERE id BETWEEN ? AND ?", (start, start + count // 50))
    database.commit()
    database.close()
    for log in top.glob("*.log"):
        with log.open("ab") as file:
            file.write(text(draw, log.stat().st_size // 50))
    few(top / "src", draw)


def small(top: Path, percent: int) -> None:
    """Small files, 100 in a folder."""
    draw = random.Random(3)
    for folder in range(20 * percent):
        below = top / f"{folder % 40:02}" / f"{folder:04}"
        below.mkdir(parents=True)
        for each in range(100):
            (below / f"{each:03}.txt").write_bytes(text(draw, draw.randrange(100, 5000)))


def few(top: Path, draw: random.Random | None = None) -> None:
    """Every 50th file is another."""
    draw = draw or random.Random(4)
    for at, path in enumerate(sorted(path for path in top.rglob("*") if path.is_file())):
        if at % 50 == 7:
            path.write_bytes(text(draw, 3000))


class Task(NamedTuple):
    """What a process is begun with; `request` goes to its standard input, which then stays open."""

    command: list[str]
    request: dict[str, Any] | None = None


class Program:
    """A program that backs up."""

    name = ""

    def __init__(self, repo: Path) -> None:
        self.repo = repo

    def env(self) -> dict[str, str]:
        return {}

    def init(self) -> Task:
        raise NotImplementedError

    def backup(self, source: Path) -> Task:
        raise NotImplementedError

    def restore(self, target: Path) -> Task:
        raise NotImplementedError

    def verify(self) -> Task:
        raise NotImplementedError

    def ended(self, output: bytes) -> None:
        """Takes in what the process said."""


class Blackhole(Program):
    name = "blackhole"
    _latest = ""

    def _asked(self, do: str, **more: Any) -> Task:
        storage = {"type": "local", "path": str(self.repo)}
        request = {"do": do, "storage": storage, "password": PASSWORD, **more}
        return Task([sys.executable, "-P", "-m", "bhtui.agent.rooms.backup.engine"], request)

    def init(self) -> Task:
        return self._asked("init")

    def backup(self, source: Path) -> Task:
        return self._asked(
            "backup", paths=[str(source)], host="here", time_ns=time.time_ns(), parent=self._latest or None
        )

    def restore(self, target: Path) -> Task:
        return self._asked("restore", id=self._latest, target=str(target))

    def verify(self) -> Task:
        return self._asked("verify", read_data=True)

    def ended(self, output: bytes) -> None:
        done = json.loads(output.splitlines()[-1])["done"]
        if done.get("problems") or done.get("unreadable"):
            raise SystemExit(f"the engine found fault: {done}")
        if "tree" in done:
            self._latest = done["id"]


class Restic(Program):
    name = "restic"

    def env(self) -> dict[str, str]:
        return {
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_REPOSITORY": str(self.repo),
            "RESTIC_CACHE_DIR": f"{self.repo}-cache",
        }

    def init(self) -> Task:
        """One that our engine makes, so that a key costs both the same to derive: how much restic takes for its own
        depends on the load of that moment, and would decide about each backup in which nothing has changed."""
        return Blackhole(self.repo).init()

    def backup(self, source: Path) -> Task:
        return Task(["restic", "backup", "--quiet", str(source)])

    def restore(self, target: Path) -> Task:
        return Task(["restic", "restore", "--quiet", "latest", "--target", str(target)])

    def verify(self) -> Task:
        return Task(["restic", "check", "--quiet", "--read-data"])


class Borg(Program):
    name = "borg"
    _archives = 0

    def env(self) -> dict[str, str]:
        return {"BORG_PASSPHRASE": PASSWORD, "BORG_REPO": str(self.repo), "BORG_BASE_DIR": f"{self.repo}-cache"}

    def init(self) -> Task:
        return Task(["borg", "init", "--encryption", "repokey"])

    def backup(self, source: Path) -> Task:
        self._archives += 1
        return Task(["borg", "create", "--compression", "zstd,3", f"::{self._archives}", str(source)])

    def restore(self, target: Path) -> Task:
        target.mkdir()
        return Task(["borg", "extract", f"::{self._archives}"])

    def verify(self) -> Task:
        return Task(["borg", "check", "--verify-data"])


def tree(pid: int) -> Iterator[int]:
    """A process and those it began."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def pss(pid: int) -> int:
    """Bytes."""
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total << 10


def measured(one: Program, task: Task, folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and the most memory in MB."""
    subprocess.run(["sync"], check=True)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | one.env()
    peak, ended = 0, threading.Event()
    begun = time.monotonic()
    process = subprocess.Popen(task.command, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            try:
                peak = max(peak, pss(process.pid))
            except OSError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    if task.request:
        process.stdin.write(json.dumps(task.request).encode() + b"\n")
        process.stdin.flush()
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = code = os.waitstatus_to_exitcode(status)
    process.stdin.close()
    process.stdout.close()
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(task.command)} ended with code {code}: {output[-500:]!r}")
    one.ended(output)
    return seconds, used.ru_utime + used.ru_stime, peak / 1e6


def size(folder: Path) -> float:
    """MB of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def steps(programs: list[Program], source: Path, change: Callable[[Path], None], place: Path) -> dict[str, list[float]]:
    """For each program: both times and the peak memory of each step, and the size of the repository."""
    found: dict[str, list[float]] = {one.name: [] for one in programs}
    for one in programs:
        measured(one, one.init(), place)
    for step in STEPS:
        if step == "changed":
            change(source)
        for one in programs:
            target = place / "out"
            inside = target if step == "restore" and one.name == "borg" else place
            if step == "restore":
                found[one.name] += measured(one, one.restore(target), inside)
                subprocess.run(["diff", "-r", str(source), str(target / source.relative_to("/"))], check=True)
                shutil.rmtree(target)
            else:
                found[one.name] += measured(one, one.verify() if step == "verify" else one.backup(source), inside)
    for one in programs:
        found[one.name].append(size(one.repo))
    return found


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--percent", type=int, default=100)
    words.add_argument("--quick", action="store_const", const=10, dest="percent")
    words.add_argument("--data", choices=("mixed", "small"), default="")
    words.add_argument("--place", default="/tmp")
    words.add_argument("--only", default="")
    chosen = words.parse_args()
    packages = {Restic: "restic", Borg: "borgbackup"}
    peers = [kind for kind, package in packages.items() if program(kind.name, f"apt-get install {package}")]
    peers = [kind for kind in peers if not chosen.only or kind.name in chosen.only]
    sets = {"mixed": (mixed, mixed_changed), "small": (small, few)}
    titles = [f"{step}{kind}" for step in STEPS for kind in (" (s)", ", processor (s)", ", memory (MB)")]
    for name, (grow, change) in sets.items():
        if chosen.data in ("", name):
            with workplace(Path(chosen.place)) as place:
                source = place / "data"
                source.mkdir()
                grow(source, chosen.percent)
                found = steps([kind(place / kind.name) for kind in (Blackhole, *peers)], source, change, place)
            ours = found.pop(Blackhole.name)
            for at, title in enumerate([*titles, "repository (MB)"]):
                unit = title.rpartition("(")[2].rstrip(")")
                if not found:
                    print(f"{name}, {title}: {ours[at]:.2f}")
                for peer, theirs in found.items():
                    report(f"{name}, {title}", unit, ours[at], peer, theirs[at])


if __name__ == "__main__":
    main()
