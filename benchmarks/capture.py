"""Lines per second captured from one process with none lost, and the processor time that a GB of them takes.

Peers: s6-log, which puts a time before every line too; supervisord, which writes raw; systemd-journald, which indexes.
Each gets the same lines, by `cat`, from a file that is in memory, and must have all of them in its own files; of the
processor time only the capturing process counts, not `cat`. journald gets a tenth of the lines, as it takes so much
longer. Then the keeper with a hundred services that write: its memory before and after, and how many lines a limit
lets it drop. The number of lines is the only argument.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from _common import medians_in_turn, program, pss_kb, report, venv, workplace

from bhtui.keeper import client, wire

LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
LINE = "{:09d} GET /accounts/42/entries 200 1.4ms\n"
IDLE_PROCESSES, WRITERS = 20, 100
MAX_BYTES, KEEP = 100_000_000, 20
RUNS = 3


class Run(NamedTuple):
    """What one capture took, in seconds of time and of processor, and the files that were written."""

    took: float
    cpu: float
    files: Iterable[Path]


def write_input(path: Path, lines: int) -> None:
    with path.open("w") as file:
        for start in range(0, lines, 10_000):
            file.write("".join(LINE.format(number) for number in range(start, min(start + 10_000, lines))))


def cpu_of(pid: int) -> float:
    """Seconds that a process of one thread has run."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def figures(run: Callable[[], Run]) -> Sequence[float]:
    """Lines per second, processor seconds per GB; lines are counted afterwards, and a lost one ends the benchmark."""
    took, cpu, files = run()
    found = 0
    for path in files:
        with path.open("rb") as file:
            found += sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        path.unlink()
    check(found, LINES)
    return LINES / took, cpu * 1e9 / (LINES * len(LINE.format(0)))


def check(found: int, wanted: int) -> None:
    if found != wanted:
        sys.exit(f"{found} of {wanted} lines: figures of a run that loses lines mean nothing")


class OurKeeper:
    def __init__(self, root: Path) -> None:
        self.root = root
        client.start(root / "run", root / "log", ["sleep", "100000"])
        self.client = client.KeeperClient(root / "run", timeout=300)
        self.pid = self.client.request("hello", events=True)["pid"]
        self.number = 0

    def spawn(self, argv: list[str], **bounds: float) -> Path:
        self.number += 1
        path = self.root / "log" / f"{self.number}" / "x.log"
        log = {"path": str(path), "max_bytes": MAX_BYTES, "keep": KEEP, **bounds}
        self.client.request("spawn", key=f"x-{self.number}", argv=argv, log=log, env={"PATH": "/usr/bin:/bin"})
        return path

    def ended(self, count: int) -> None:
        """Waits for so many ends."""
        while count:
            message, fds = self.client.receive()
            wire.close_all(fds)
            count -= message.get("event") == "exited"

    def capture(self, source: Path) -> Run:
        began, before = time.perf_counter(), cpu_of(self.pid)
        path = self.spawn(["cat", str(source)])
        self.ended(1)
        return Run(time.perf_counter() - began, cpu_of(self.pid) - before, list(path.parent.iterdir()))

    def limited(self, source: Path) -> float:
        """Processor seconds per GB of what is nearly all dropped by a rate limit."""
        before = cpu_of(self.pid)
        self.spawn(["cat", str(source)], rate_lines=1000, rate_s=3600)
        self.ended(1)
        return (cpu_of(self.pid) - before) * 1e9 / source.stat().st_size

    def many(self, source: Path) -> tuple[float, int, int]:
        """A hundred at once: processor seconds per GB, and memory before and after, in kB."""
        before, began = pss_kb([self.pid]), cpu_of(self.pid)
        for _ in range(WRITERS):
            self.spawn(["cat", str(source)], max_bytes=4_000_000, keep=2)
        while self.client.request("stats")["running"]:
            time.sleep(0.05)
        return (cpu_of(self.pid) - began) * 1e9 / (WRITERS * source.stat().st_size), before, pss_kb([self.pid])

    def memory_kb(self) -> int:
        for _ in range(IDLE_PROCESSES):
            self.spawn(["sleep", "100000"])
        return pss_kb([self.pid])

    def end(self) -> None:
        self.client.request("shutdown", force=True)


def s6_log(root: Path, source: Path, executable: str) -> Run:
    folder = root / "s6"
    began = time.perf_counter()
    cat = subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE)
    logger = subprocess.Popen([executable, "t", f"n{KEEP}", f"s{MAX_BYTES}", str(folder)], stdin=cat.stdout)
    _, _, used = os.wait4(logger.pid, 0)
    took = time.perf_counter() - began
    cat.wait()
    files = [path for path in folder.iterdir() if path.name == "current" or path.name.startswith("@")]
    return Run(took, used.ru_utime + used.ru_stime, files)


def supervisord(root: Path, source: Path, executable: str) -> Run:
    """From the moment its child writes until the last byte is in the files: its slow start is not counted."""
    folder = root / "supervisord"
    folder.mkdir(exist_ok=True)
    waits = f"touch {folder}/up; while [ ! -e {folder}/go ]; do sleep 0.01; done; exec cat {source}"
    (folder / "conf").write_text(
        f"[supervisord]\nlogfile={folder}/daemon\npidfile={folder}/pid\nnodaemon=true\n"
        f"[program:x]\ncommand=sh -c '{waits}'\nautorestart=false\nstartsecs=0\n"
        f"stdout_logfile={folder}/x.log\nstdout_logfile_maxbytes={MAX_BYTES}\nstdout_logfile_backups={KEEP}\n"
    )
    argv = [executable, "-c", str(folder / "conf")]
    daemon = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "up").exists():
        time.sleep(0.001)
    time.sleep(0.3)  # it still writes of its start
    before, expected = cpu_of(daemon.pid), source.stat().st_size
    began = time.perf_counter()
    (folder / "go").touch()
    while sum(path.stat().st_size for path in folder.glob("x.log*")) < expected:
        time.sleep(0.002)
    took, cpu = time.perf_counter() - began, cpu_of(daemon.pid) - before
    daemon.terminate()
    daemon.wait()
    for name in ("up", "go"):
        (folder / name).unlink()
    return Run(took, cpu, list(folder.glob("x.log*")))


class Journald:
    """systemd-journald in a mount namespace whose /run is ours: a unit's output comes in as from systemd."""

    SETTINGS = (
        "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=4G\nRuntimeKeepFree=1M\n"
        "ForwardToSyslog=no\nForwardToWall=no\nReadKMsg=no\nAudit=no\n"
    )
    HEADER = b"bench\n\n6\n0\n0\n0\n0\n"

    def __init__(self, root: Path, executable: str) -> None:
        self.run = root / "journal"
        for name in ("systemd/journal", "systemd/journald.conf.d", "log/journal"):
            (self.run / name).mkdir(parents=True)
        (self.run / "systemd/journald.conf.d/bench.conf").write_text(self.SETTINGS)
        script = f"mount --bind {self.run} /run && exec {executable}"
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        self.process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        self.socket = self.run / "systemd/journal/stdout"
        self.sent = 0

    def is_there(self) -> bool:
        for _ in range(500):
            if self.socket.exists():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        return False

    def capture(self, source: Path, lines: int) -> Sequence[float]:
        before, began = cpu_of(self.process.pid), time.perf_counter()
        with socket.socket(socket.AF_UNIX) as out:
            out.connect(str(self.socket))
            out.sendall(self.HEADER)
            subprocess.run(["cat", str(source)], stdout=out, check=True)
        self.sent += lines
        # What is still in the socket when `cat` ends is taken in soon; it is done when it has nothing more to do.
        settled = cpu_of(self.process.pid)
        while True:
            time.sleep(0.05)
            if cpu_of(self.process.pid) - settled < 0.001:
                break
            settled = cpu_of(self.process.pid)
        took = time.perf_counter() - began - 0.05
        return lines / took, (settled - before) * 1e9 / source.stat().st_size

    def end(self) -> None:
        """Counts what it has."""
        argv = [
            "journalctl",
            "--directory",
            str(self.run / "log/journal"),
            "--output",
            "cat",
            "--no-pager",
            "-t",
            "bench",
        ]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as said:
            assert said.stdout is not None
            found = sum(block.count(b"\n") for block in iter(lambda: said.stdout.read(1 << 20), b""))
        self.process.terminate()
        self.process.wait()
        check(found, self.sent)


def journald(root: Path) -> Journald | None:
    """None, and why, where it cannot run."""
    executable = "/lib/systemd/systemd-journald"
    if os.geteuid() or not Path(executable).exists():
        print("systemd-journald is left out: it needs root, and Debian's package systemd", file=sys.stderr)
        return None
    found = Journald(root, executable)
    if not found.is_there():
        print("systemd-journald is left out: it ended at once; mount namespaces may be forbidden here", file=sys.stderr)
        return None
    return found


def main() -> None:
    with workplace() as root:
        source, tenth = root / "lines", root / "tenth"
        write_input(source, LINES)
        write_input(tenth, LINES // 10)
        keeper = OurKeeper(root)
        journal = journald(root)
        try:
            measures = {"blackhole": partial(figures, partial(keeper.capture, source))}
            if s6 := program("s6-log", "apt-get install s6"):
                measures["s6-log with time stamps"] = partial(figures, partial(s6_log, root, source, s6))
            supervisor = str(venv("supervisor") / "bin" / "supervisord")
            measures["supervisord without time stamps"] = partial(
                figures, partial(supervisord, root, source, supervisor)
            )
            if journal:
                measures["systemd-journald"] = partial(journal.capture, tenth, LINES // 10)
            found = medians_in_turn(measures, RUNS)
            ours = found.pop("blackhole")
            for peer, (rate, cpu) in found.items():
                report(
                    f"lines captured from one process, of {LINES:,}",
                    "lines/s",
                    ours[0],
                    peer,
                    rate,
                    more_is_better=True,
                )
                report("processor time for a GB of them", "s", ours[1], peer, cpu)
            cpu, before, after = keeper.many(tenth)
            print(
                f"{WRITERS} services at once: {cpu:.2f} s of processor for a GB; "
                f"memory {before:,} kB, then {after:,} kB PSS"
            )
            print(f"a GB that a rate limit drops: {keeper.limited(source):.2f} s of processor")
            print(f"keeper with {IDLE_PROCESSES} captured idle processes: {keeper.memory_kb():,} kB PSS")
            if journal:
                journal.end()
        finally:
            keeper.end()
            if journal:
                journal.process.kill()


if __name__ == "__main__":
    main()
