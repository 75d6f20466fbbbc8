"""Memory (PSS of the tree) and CPU when idle, with 20 services. Peers: supervisord; glances, which only looks.

Ours is keeper and agent together, and samples every instance once a second meanwhile; supervisord samples nothing.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from _common import report, venv
from _managers import Blackhole, Manager, Supervisord, managed

COUNT = 20
SECONDS = 30


def pss(pids: list[int]) -> float:
    """MB."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(pids: list[int]) -> tuple[float, float]:
    """MB and per cent of a core."""
    time.sleep(5)
    before = cpu_seconds(pids)
    time.sleep(SECONDS)
    return pss(pids), (cpu_seconds(pids) - before) / SECONDS * 100


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
