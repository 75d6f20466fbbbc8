"""Starting 100 services, the manager being up. Peers: s6, runit, supervisord, each with its own defaults.

Two figures: until the last process runs, and until the command has returned, saying that all run (supervisord waits a
second for that, we a quarter, s6 not at all).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from _common import medians_in_turn, report
from _managers import S6, Blackhole, Manager, Runit, Supervisord, managed

COUNT = 100
RUNS = 5
FIGURES = (f"last of {COUNT} services runs", f"start of {COUNT} services returns")


def seconds(kind: type[Manager]) -> tuple[float, float]:
    """Until the last process runs, and until the command has returned."""
    with managed(kind, COUNT) as (manager, roll), ThreadPoolExecutor(1) as waiter:
        begun = time.monotonic()
        last = waiter.submit(lambda: (roll.wait(COUNT), time.monotonic() - begun)[1])
        manager.start_all()
        returned = time.monotonic() - begun
        return last.result(), returned


def main() -> None:
    kinds = (Blackhole, S6, Runit, Supervisord)
    medians = medians_in_turn({kind.name: partial(seconds, kind) for kind in kinds}, RUNS)
    ours = medians.pop(Blackhole.name)
    for peer, theirs in medians.items():
        for figure, mine, other in zip(FIGURES, ours, theirs, strict=True):
            report(figure, "s", mine, peer, other)


if __name__ == "__main__":
    main()
