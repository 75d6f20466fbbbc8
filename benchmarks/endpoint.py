"""One scrape of the Prometheus endpoint with 200 instances: time, and processor time. Peers: process-exporter with a
group for each of the same processes, and node_exporter, which tells of the host alone.

An exporter looks at the processes when it is asked; the agent samples them once a second whoever asks, so what that
takes is told too: the processor time of everything with a scrape every 15 s.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from _common import free_ports, program, report
from _managers import Blackhole, managed

COUNT = 200
SCRAPES = 100
QUIET = 20.0
"""Seconds in which nobody asks."""
EVERY = 15.0
PROCESS_EXPORTER, NODE_EXPORTER = "prometheus-process-exporter", "prometheus-node-exporter"


class Cost(NamedTuple):
    """Of one reader."""

    seconds: float
    """Of one scrape, the median."""
    cpu: float
    """Processor seconds of one scrape."""
    quiet: float
    """Processor seconds a second while nobody asks."""
    series: int


def cpu_seconds(pid: int) -> float:
    """Of a process and all its threads, also those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def measured(pid: int, url: str) -> Cost:
    scrape(url)
    before = cpu_seconds(pid)
    time.sleep(QUIET)
    quiet = (cpu_seconds(pid) - before) / QUIET
    text, took, before, begun = "", [], cpu_seconds(pid), time.monotonic()
    for _ in range(SCRAPES):
        at = time.perf_counter()
        text = scrape(url)
        took.append(time.perf_counter() - at)
    spent = cpu_seconds(pid) - before - quiet * (time.monotonic() - begun)
    series = sum(1 for line in text.splitlines() if line and line[0] != "#")
    return Cost(statistics.median(took), max(0.0, spent) / SCRAPES, quiet, series)


@contextmanager
def running(*argv: str) -> Iterator[int]:
    """The pid of a peer that answers."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def answering(url: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            url()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def peer(name: str, folder: Path) -> Cost | None:
    found = program(name, f"apt-get install {name}")
    if found is None:
        return None
    port = free_ports()
    argv = [found, f"--web.listen-address=127.0.0.1:{port}"]
    if name == PROCESS_EXPORTER:
        config = folder / "process-exporter.yml"
        config.write_text('process_names: [{name: "{{.PID}}", comm: [sleep]}]\n')  # what the instances are
        argv.append(f"--config.path={config}")
    with running(*argv) as pid:
        url = f"http://127.0.0.1:{port}/metrics"
        answering(lambda: scrape(url))
        return measured(pid, url)


def main() -> None:
    print(f"load {os.getloadavg()[0]:.2f}")
    port = free_ports()
    with managed(Blackhole, COUNT) as (made, roll):
        config = made.folder / "blackhole.yaml"
        config.write_text(f"metrics: {{listen: '127.0.0.1:{port}'}}\n{config.read_text()}")
        made.start_all()
        roll.wait(COUNT)
        url = f"http://127.0.0.1:{port}/metrics"
        answering(lambda: scrape(url))
        time.sleep(5)
        ours = measured(made.pids()[0], url)
        peers = {name: peer(name, made.folder) for name in (PROCESS_EXPORTER, NODE_EXPORTER)}
    for name, theirs in peers.items():
        if theirs is None:
            continue
        print(f"series: blackhole {ours.series:,}, {name} {theirs.series:,}")
        report(f"a scrape of {COUNT} instances", "ms", ours.seconds * 1e3, name, theirs.seconds * 1e3)
        report("processor time of a scrape", "ms", ours.cpu * 1e3, name, theirs.cpu * 1e3)
        total, other = (each.quiet + each.cpu / EVERY for each in (ours, theirs))
        report(f"CPU with a scrape every {EVERY:g} s", "% of a core", total * 100, name, other * 100)


if __name__ == "__main__":
    main()
