"""First crash to running: from SIGKILL of a service that ran for 2 s to its next process. Peers: runit, supervisord."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from _common import medians_in_turn, report
from _managers import Blackhole, Manager, Runit, Supervisord, managed

RUNS = 7


def milliseconds(kind: type[Manager]) -> tuple[float]:
    with managed(kind, 1) as (manager, roll):
        manager.start_all()
        (pid,) = roll.wait(1)
        time.sleep(2)
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        roll.wait(1)
        return ((time.monotonic() - begun) * 1000,)


def main() -> None:
    medians = medians_in_turn(
        {kind.name: partial(milliseconds, kind) for kind in (Blackhole, Runit, Supervisord)}, RUNS
    )
    (ours,) = medians.pop(Blackhole.name)
    for peer, (theirs,) in medians.items():
        report("crash to running", "ms", ours, peer, theirs)


if __name__ == "__main__":
    main()
