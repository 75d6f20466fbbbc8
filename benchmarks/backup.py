"""Backups of the same data by our engine, restic and borg, in one run: time, repository size, memory.

Two sets of data: 600 MB of many kinds with a SQLite file of 200 MB in it, and 200,000 small files in 2,000 folders.
Each is backed up, backed up again unchanged, again with 2 % changed, and restored. Every program compresses by zstd and
encrypts; a process is measured from its start to its end, with the processor time of all its processes, and their
proportional memory (PSS) looked at ten times a second. `--percent 10` takes a tenth of the data, `--data mixed` one set
only; `--place` is where the data lie (a tmpfs shows the programs and not the disk).
"""

from __future__ import annotations

import argparse
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

from _common import program, report, workplace

WORDS = [
    f"{a}{b}{c}" for a in ("ser", "con", "pro", "re", "log") for b in ("vi", "ta", "mo", "de") for c in ("ce", "r", "n")
]
PASSWORD = "benchmark"
STEPS = ("first", "unchanged", "changed", "restore")


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


class Program:
    """A program that backs up. `command` gives its words."""

    name = ""

    def __init__(self, repo: Path) -> None:
        self.repo = repo

    def env(self) -> dict[str, str]:
        return {}

    def init(self) -> list[str]:
        raise NotImplementedError

    def backup(self, source: Path) -> list[str]:
        raise NotImplementedError

    def restore(self, target: Path) -> list[str]:
        raise NotImplementedError


class Blackhole(Program):
    name = "blackhole"

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("_backup.py")), str(self.repo), *words]

    def init(self) -> list[str]:
        return self._words("init")

    def backup(self, source: Path) -> list[str]:
        return self._words("backup", str(source))

    def restore(self, target: Path) -> list[str]:
        return self._words("restore", str(target))


class Restic(Program):
    name = "restic"

    def env(self) -> dict[str, str]:
        return {
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_REPOSITORY": str(self.repo),
            "RESTIC_CACHE_DIR": f"{self.repo}-cache",
        }

    def init(self) -> list[str]:
        return ["restic", "init", "--repository-version", "2"]

    def backup(self, source: Path) -> list[str]:
        return ["restic", "backup", "--quiet", str(source)]

    def restore(self, target: Path) -> list[str]:
        return ["restic", "restore", "--quiet", "latest", "--target", str(target)]


class Borg(Program):
    name = "borg"
    _archives = 0

    def env(self) -> dict[str, str]:
        return {"BORG_PASSPHRASE": PASSWORD, "BORG_REPO": str(self.repo), "BORG_BASE_DIR": f"{self.repo}-cache"}

    def init(self) -> list[str]:
        return ["borg", "init", "--encryption", "repokey"]

    def backup(self, source: Path) -> list[str]:
        self._archives += 1
        return ["borg", "create", "--compression", "zstd,3", f"::{self._archives}", str(source)]

    def restore(self, target: Path) -> list[str]:
        target.mkdir()
        return ["borg", "extract", f"::{self._archives}"]


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


def measured(command: list[str], env: dict[str, str], folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and the most memory in MB."""
    subprocess.run(["sync"], check=True)
    peak, ended = 0, threading.Event()
    begun = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | env, cwd=folder, stdout=subprocess.DEVNULL)

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            try:
                peak = max(peak, pss(process.pid))
            except OSError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = code = os.waitstatus_to_exitcode(status)
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)} ended with code {code}")
    return seconds, used.ru_utime + used.ru_stime, peak / 1e6


def size(folder: Path) -> float:
    """MB of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def steps(programs: list[Program], source: Path, change: Callable[[Path], None], place: Path) -> dict[str, list[float]]:
    """For each program: both times of each step, peak memory of the first backup and of the restore, size."""
    found: dict[str, list[float]] = {one.name: [] for one in programs}
    memory: dict[str, list[float]] = {one.name: [] for one in programs}
    for one in programs:
        measured(one.init(), one.env(), place)
    for step in STEPS:
        if step == "changed":
            change(source)
        for one in programs:
            target = place / "out"
            command = one.restore(target) if step == "restore" else one.backup(source)
            inside = target if step == "restore" and one.name == "borg" else place
            seconds, processor, peak = measured(command, one.env(), inside)
            found[one.name] += [seconds, processor]
            if step in ("first", "restore"):
                memory[one.name].append(peak)
            if step == "restore":
                subprocess.run(["diff", "-r", str(source), str(target / source.relative_to("/"))], check=True)
                shutil.rmtree(target)
    for one in programs:
        found[one.name] += [*memory[one.name], size(one.repo)]
    return found


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--percent", type=int, default=100)
    words.add_argument("--data", choices=("mixed", "small"), default="")
    words.add_argument("--place", default="/tmp")
    words.add_argument("--only", default="")
    chosen = words.parse_args()
    peers = [kind for kind in (Restic, Borg) if program(kind.name, f"apt-get install {kind.name}")]
    peers = [kind for kind in peers if not chosen.only or kind.name in chosen.only]
    sets = {"mixed": (mixed, mixed_changed), "small": (small, few)}
    times = (f"{step}{kind} (s)" for step in STEPS for kind in ("", ", processor"))
    titles = (*times, "memory, first (MB)", "memory, restore (MB)", "repository (MB)")
    for name, (grow, change) in sets.items():
        if chosen.data in ("", name):
            with workplace(Path(chosen.place)) as place:
                source = place / "data"
                source.mkdir()
                grow(source, chosen.percent)
                found = steps([kind(place / kind.name) for kind in (Blackhole, *peers)], source, change, place)
            ours = found.pop(Blackhole.name)
            for at, title in enumerate(titles):
                unit = title.rpartition("(")[2].rstrip(")")
                if not found:
                    print(f"{name}, {title}: {ours[at]:.2f}")
                for peer, theirs in found.items():
                    report(f"{name}, {title}", unit, ours[at], peer, theirs[at])


if __name__ == "__main__":
    main()
