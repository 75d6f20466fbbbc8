"""Starting 100 services, the manager being up. Peers: s6, runit, supervisord, each with its own defaults.

Two figures: until the last process runs, and until the command has returned, saying that all run (supervisord waits a
second for that, we a quarter, s6 not at all).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from _common import report
from _managers import S6, Blackhole, Manager, Runit, Supervisord, managed

COUNT = 100
RUNS = 5


def seconds(kind: type[Manager]) -> tuple[float, float]:
    """Until the last process runs, and until the command has returned."""
    with managed(kind, COUNT) as (manager, roll), ThreadPoolExecutor(1) as waiter:
        begun = time.monotonic()
        last = waiter.submit(lambda: (roll.wait(COUNT), time.monotonic() - begun)[1])
        manager.start_all()
        return last.result(), time.monotonic() - begun


def medians(kind: type[Manager]) -> tuple[float, float]:
    runs = [seconds(kind) for _ in range(RUNS + 1)][1:]
    return median(run[0] for run in runs), median(run[1] for run in runs)


def main() -> None:
    ours = medians(Blackhole)
    for kind in (S6, Runit, Supervisord):
        theirs = medians(kind)
        report(f"last of {COUNT} services runs", "s", ours[0], kind.name, theirs[0])
        report(f"start of {COUNT} services returns", "s", ours[1], kind.name, theirs[1])


if __name__ == "__main__":
    main()
