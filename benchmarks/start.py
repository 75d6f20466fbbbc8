"""Starting 100 services: from the command to the last process running, the manager being up. Peers: s6, supervisord."""

from __future__ import annotations

import time

from _common import median_of, report
from _managers import S6, Blackhole, Manager, Supervisord, managed

COUNT = 100


def seconds(kind: type[Manager]) -> float:
    with managed(kind, COUNT) as (manager, roll):
        begun = time.monotonic()
        manager.start_all()
        roll.wait(COUNT)
        return time.monotonic() - begun


def main() -> None:
    ours = median_of(lambda: seconds(Blackhole))
    for kind in (S6, Supervisord):
        report(f"start {COUNT} services", "s", ours, kind.name, median_of(lambda kind=kind: seconds(kind)))


if __name__ == "__main__":
    main()
