"""Memory (PSS of the tree) and CPU when idle, with 20 services. Peers: supervisord; glances, which only looks.

Ours is keeper and agent together, and samples every instance once a second meanwhile; supervisord samples nothing.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from _common import pss_kb, report, venv
from _managers import Blackhole, Manager, Supervisord, managed

COUNT = 20
SECONDS = 30


def cpu_seconds(pids: list[int]) -> float:
    """Of all their threads; in nanoseconds by the scheduler, because an idle process does not fill a clock tick."""
    threads = [path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(path.read_text().split()[0]) for path in threads) / 1e9


def measure(pids: list[int]) -> tuple[float, float]:
    """MB and per cent of a core."""
    time.sleep(5)
    before = cpu_seconds(pids)
    time.sleep(SECONDS)
    return pss_kb(pids) / 1024, (cpu_seconds(pids) - before) / SECONDS * 100


def manager(kind: type[Manager]) -> tuple[float, float]:
    with managed(kind, COUNT) as (made, roll):
        made.start_all()
        roll.wait(COUNT)
        return measure(made.pids())


def glances() -> tuple[float, float]:
    program = venv("glances") / "bin" / "glances"
    process = subprocess.Popen(
        [program, "--stdout", "cpu.user,mem.used", "--disable-check-update"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return measure([process.pid])
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    memory, cpu = manager(Blackhole)
    for name, (their_memory, their_cpu) in (("supervisord", manager(Supervisord)), ("glances", glances())):
        report(f"memory with {COUNT} services", "MB", memory, name, their_memory)
        report(f"CPU when idle with {COUNT} services", "% of a core", cpu, name, their_cpu)


if __name__ == "__main__":
    main()
