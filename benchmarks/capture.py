"""Lines per second captured from one process with none lost: the keeper, s6-log, supervisord; and the keeper's memory.

The keeper and s6-log put a time before every line; supervisord writes raw. Each gets the same lines, by `cat`, from a
file that is in memory, and must have all of them in its own files. The number of lines is the only argument.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from _common import median_of, program, pss_kb, report, venv, workplace

from bhtui.keeper import client, wire

Run = tuple[float, Iterable[Path]]  # seconds, and the files that were written

LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
LINE = "{:09d} GET /accounts/42/entries 200 1.4ms\n"
IDLE_PROCESSES = 20
MAX_BYTES, KEEP = 100_000_000, 20


def write_input(path: Path) -> None:
    with path.open("w") as file:
        for start in range(0, LINES, 10_000):
            file.write("".join(LINE.format(number) for number in range(start, min(start + 10_000, LINES))))


def rate(run: Callable[[], Run]) -> float:
    """Lines per second; the files are counted afterwards, and a lost line ends the benchmark."""
    took, files = run()
    found = 0
    for path in files:
        with path.open("rb") as file:
            found += sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        path.unlink()
    if found != LINES:
        sys.exit(f"{found} of {LINES} lines: figures of a run that loses lines mean nothing")
    return LINES / took


class OurKeeper:
    def __init__(self, root: Path) -> None:
        self.root = root
        client.start(root / "run", root / "log", ["sleep", "100000"])
        self.client = client.KeeperClient(root / "run", timeout=300)
        self.pid = self.client.request("hello", events=True)["pid"]
        self.number = 0

    def spawn(self, argv: list[str]) -> None:
        self.number += 1
        path = self.root / "log" / f"{self.number}" / "x.log"
        log = {"path": str(path), "max_bytes": MAX_BYTES, "keep": KEEP}
        self.client.request("spawn", key=f"x-{self.number}", argv=argv, log=log, env={"PATH": "/usr/bin:/bin"})

    def capture(self, source: Path) -> Run:
        began = time.perf_counter()
        self.spawn(["cat", str(source)])
        while True:
            message, fds = self.client.receive()
            wire.close_all(fds)
            if message.get("event") == "exited":
                took = time.perf_counter() - began
                return took, list((self.root / "log" / f"{self.number}").iterdir())

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
    subprocess.run([executable, "t", f"n{KEEP}", f"s{MAX_BYTES}", str(folder)], stdin=cat.stdout, check=True)
    cat.wait()
    took = time.perf_counter() - began
    return took, [path for path in folder.iterdir() if path.name == "current" or path.name.startswith("@")]


def supervisord(root: Path, source: Path, executable: str) -> Run:
    """From the moment its child writes until the last byte is in the files: its slow start is not counted."""
    folder = root / "supervisord"
    folder.mkdir(exist_ok=True)
    (folder / "conf").write_text(
        f"[supervisord]\nlogfile={folder}/daemon\npidfile={folder}/pid\nnodaemon=true\n"
        f"[program:x]\ncommand=sh -c 'touch {folder}/began; exec cat {source}'\nautorestart=false\nstartsecs=0\n"
        f"stdout_logfile={folder}/x.log\nstdout_logfile_maxbytes={MAX_BYTES}\nstdout_logfile_backups={KEEP}\n"
    )
    argv = [executable, "-c", str(folder / "conf")]
    daemon = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    expected = source.stat().st_size
    while sum(path.stat().st_size for path in folder.glob("x.log*")) < expected:
        time.sleep(0.002)
    took = time.time() - (folder / "began").stat().st_mtime
    daemon.terminate()
    daemon.wait()
    return took, list(folder.glob("x.log*"))


def main() -> None:
    with workplace() as root:
        source = root / "lines"
        write_input(source)
        keeper = OurKeeper(root)
        try:
            ours = median_of(partial(rate, partial(keeper.capture, source)))
            title = f"lines captured from one process, of {LINES:,}"
            if s6 := program("s6-log", "apt-get install s6"):
                theirs = median_of(partial(rate, partial(s6_log, root, source, s6)))
                report(title, "lines/s", ours, "s6-log with time stamps", theirs, more_is_better=True)
            supervisor = str(venv("supervisor") / "bin" / "supervisord")
            theirs = median_of(partial(rate, partial(supervisord, root, source, supervisor)))
            report(title, "lines/s", ours, "supervisord without time stamps", theirs, more_is_better=True)
            print(f"keeper with {IDLE_PROCESSES} captured idle processes: {keeper.memory_kb():,} kB PSS")
        finally:
            keeper.end()


if __name__ == "__main__":
    main()
