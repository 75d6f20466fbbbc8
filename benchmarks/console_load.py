"""The console on a terminal of its own under a flood: 20 hosts, 100,000 lines a second in all.

The console is a process in a pseudo-terminal (160x48), its log screen merges all hosts; these are real gRPC servers in
two further processes, so that what a line costs to receive, decode, order, filter and keep is in it. Measured at the
terminal: the time from a key written to it until what the key did is read from it (a step up, which ends following;
`end`; the filter prompt opened and closed), while lines go by. Measured inside: lines taken in a second, the age of the
newest line when it is drawn, processor time, memory. Nothing may be lost: what the view no longer keeps is counted.

`--minutes 30` shows whether memory is flat. All run on one machine: the hosts take part of what the console could have.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _common import workplace
from _usage import per_million

HOSTS, PROCESSES = 20, 2
WIDTH, HEIGHT = 160, 48
KEYS = ((b"\x1b[A", rb"reading|new"), (b"\x1b[F", rb"follow"), (b"/", rb"regular expressions"), (b"\r", rb"since"))
"""What is pressed in turn, and what it makes appear."""


# In the console's process


def console(folder: Path, out: Path) -> None:
    """Runs it, and writes a line of figures each second."""
    from _flood import FloodBackend

    from bhtui.console.app import Console, Options
    from bhtui.console.models.logflow import LogBlock
    from bhtui.console.panes.logs import LogPane

    ages: list[float] = []
    taken = 0
    drawn, takes = LogPane.draw, LogPane.take

    def take(pane: LogPane, block: LogBlock) -> None:
        nonlocal taken
        taken += len(block.entries)
        takes(pane, block)

    def draw(pane: LogPane, width: int, height: int) -> Any:
        lines = drawn(pane, width, height)
        if pane.follow and pane.caught_up and pane.model.shown:
            ages.append(time.time() - pane.model.shown[-1].time_ns / 1e9)
        return lines

    LogPane.draw, LogPane.take = draw, take  # type: ignore[method-assign]

    class Measured(Console):
        def on_ready(self) -> None:
            self.go_logs([info.name for info in self.backend.hosts()], "")
            self.set_interval(1.0, self.measure)

        def measure(self) -> None:
            pane = next(iter(self.screen_stack[-1].query(LogPane)), None)
            if pane is None:
                return
            used = resource.getrusage(resource.RUSAGE_SELF)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            figures = {
                "time": time.monotonic(), "taken": taken,
                "kept": len(pane.model.entries), "lost": pane.model.lost, "cpu": used.ru_utime + used.ru_stime,
                "rss": pages * resource.getpagesize(), "ages": ages[:], "behind": pane.behind,
            }  # fmt: skip
            ages.clear()
            with out.open("a") as file:
                file.write(json.dumps(figures) + "\n")

    sockets = sorted(folder.glob("*.sock"))
    Measured(FloodBackend(sockets, time.time), time.time, Options(crash_file=folder / "crash")).run()


# Outside


@contextmanager
def hosts(folder: Path, rate: int) -> Iterator[list[int]]:
    each = HOSTS // PROCESSES
    script = str(Path(__file__).with_name("_flood.py"))
    processes = [
        subprocess.Popen([sys.executable, script, str(folder), str(first), str(each), str(rate // HOSTS)])
        for first in range(0, HOSTS, each)
    ]
    try:
        while len(list(folder.glob("*.ready"))) < PROCESSES:
            if any(process.poll() is not None for process in processes):
                raise SystemExit("the hosts did not start")
            time.sleep(0.1)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
            process.wait()


class Terminal:
    """The console in a pseudo-terminal."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["TERM"], os.environ["COLORTERM"] = "xterm-256color", "truecolor"
            os.execv(sys.executable, [sys.executable, __file__, "--console", str(folder), str(out)])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        self.written = 0

    def read(self, seconds: float) -> bytes:
        if not select.select([self.fd], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 20)
        except OSError:  # what Linux says of a terminal whose program has ended
            raise SystemExit("the console has ended") from None
        self.written += len(data)
        return data

    def press(self, key: bytes, wanted: bytes, patience: float = 10.0) -> float:
        """Seconds until what is wanted appears; all that was drawn before is read first."""
        while self.read(0):
            """What it draws meanwhile."""
        seen, began = b"", time.perf_counter()
        os.write(self.fd, key)
        while time.perf_counter() - began < patience:
            seen += self.read(0.05)
            if re.search(wanted, seen):
                return time.perf_counter() - began
        raise SystemExit(f"the key {key!r} had no effect within {patience:g} s: {seen[-300:]!r}")

    def idle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def figures(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def cpu_of(pids: Sequence[int]) -> float:
    """Seconds of the processor."""
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(each) for pair in ticks for each in pair) / os.sysconf("SC_CLK_TCK")


def measure(rate: int, seconds: float) -> bool:
    """Whether it kept up with keys drawn in time."""
    with workplace() as folder, hosts(folder, rate) as pids:
        out = folder / "figures"
        terminal = Terminal(folder, out)
        try:
            while not any(each["taken"] for each in figures(out)):
                terminal.idle(0.5)
            terminal.idle(5.0)
            first, began, used = figures(out)[-1], time.monotonic(), cpu_of(pids)
            times: dict[bytes, list[float]] = {key: [] for key, _ in KEYS}
            while time.monotonic() - began < seconds:
                for key, wanted in KEYS:
                    times[key].append(terminal.press(key, wanted))
                    terminal.idle(0.13)  # now and then in the middle of a frame
            used = cpu_of(pids) - used
        finally:
            terminal.close()
        found = [each for each in figures(out) if each["time"] > first["time"]]
        return report(rate, first, found, times, used)


def report(
    rate: int, first: dict[str, Any], found: list[dict[str, Any]], by_key: dict[bytes, list[float]], used: float
) -> bool:
    last = found[-1]
    took = last["time"] - first["time"]
    taken = (last["taken"] - first["taken"]) / took
    times = [each for each_key in by_key.values() for each in each_key]
    ages = [age for each in found for age in each["ages"]] or [0.0]
    p99 = quantile(times, 0.99)
    print(
        f"{rate:,} lines/s over {HOSTS} hosts for {took:.0f} s: {taken:,.0f} taken in a second, "
        f"{last['lost']} lost, {last['kept']:,} kept; key to paint p50 {1000 * statistics.median(times):.0f} ms, "
        f"p99 {1000 * p99:.0f} ms, worst {1000 * max(times):.0f} ms ({len(times)} keys); newest line when drawn p50 "
        f"{1000 * statistics.median(ages):.0f} ms, p99 {1000 * quantile(ages, 0.99):.0f} ms old; processor: console "
        f"{100 * (last['cpu'] - first['cpu']) / took:.0f} %, hosts {100 * used / took:.0f} % of a core"
    )
    seconds = {"console, with what it draws": last["cpu"] - first["cpu"], "hosts": used}
    print(f"  {per_million(seconds, taken * took)}")
    names = {b"\x1b[A": "up", b"\x1b[F": "end", b"/": "/", b"\r": "enter"}
    by_name = [
        f"{names[key]} {1000 * quantile(each, 0.5):.0f} and {1000 * quantile(each, 0.99):.0f}"
        for key, each in by_key.items()
    ]
    print(f"  by key, p50 and p99 in ms: {', '.join(by_name)}")
    memory = [each["rss"] / 2**20 for each in found]
    part = max(1, len(memory) // 6)
    print(
        f"  memory: {statistics.mean(memory[:part]):.0f} MB in the first sixth, {statistics.mean(memory[-part:]):.0f} "
        f"MB in the last, {max(memory):.0f} MB at most",
        flush=True,
    )
    return taken > 0.97 * rate and p99 < 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--rate", type=int, nargs="*", default=[25_000, 50_000, 100_000])
    parser.add_argument("--console", nargs=2, type=Path)
    options = parser.parse_args()
    if options.console:
        console(*options.console)
        return
    good = [rate for rate in options.rate if measure(rate, 60 * options.minutes)]
    print(f"taken in full with keys drawn within 50 ms (p99): {max(good, default=0):,} lines/s")


if __name__ == "__main__":
    main()
