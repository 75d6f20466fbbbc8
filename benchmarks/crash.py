"""First crash to running: from SIGKILL of a service that ran for 2 s to its next process. Peers: runit, supervisord."""

from __future__ import annotations

import os
import signal
import time

from _common import median_of, report
from _managers import Blackhole, Manager, Runit, Supervisord, managed


def milliseconds(kind: type[Manager]) -> float:
    with managed(kind, 1) as (manager, roll):
        manager.start_all()
        (pid,) = roll.wait(1)
        time.sleep(2)
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        roll.wait(1)
        return (time.monotonic() - begun) * 1000


def main() -> None:
    ours = median_of(lambda: milliseconds(Blackhole))
    for kind in (Runit, Supervisord):
        report("crash to running", "ms", ours, kind.name, median_of(lambda kind=kind: milliseconds(kind)))


if __name__ == "__main__":
    main()
