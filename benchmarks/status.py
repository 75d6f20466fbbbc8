"""`blackhole status` of 20 services against `supervisorctl status` of 20 programs: whole processes, start to exit.

Runs alternate, so that a busy machine slows both alike; medians are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence

from _common import report
from _managers import PROGRAMS, Blackhole, Supervisord, managed

COUNT = 20
RUNS = 40


def seconds(argv: Sequence[str], environ: Mapping[str, str]) -> float:
    """One run, which must show every service running."""
    begun = time.perf_counter()
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    assert done.stdout.lower().count("running") == COUNT, done.stdout + done.stderr
    return took


def main() -> None:
    with managed(Blackhole, COUNT) as (ours, our_roll), managed(Supervisord, COUNT) as (theirs, their_roll):
        assert isinstance(ours, Blackhole)
        assert isinstance(theirs, Supervisord)
        for manager, roll in ((ours, our_roll), (theirs, their_roll)):
            manager.start_all()
            roll.wait(COUNT)
        asks = (
            ([str(PROGRAMS / "blackhole"), "status"], ours.env),
            ([str(theirs.programs / "supervisorctl"), "-c", str(theirs.conf), "status"], dict(os.environ)),
        )
        times = [[seconds(*ask) for ask in asks] for _ in range(RUNS + 1)][1:]
    mine, peer = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    report(f"status of {COUNT}", "ms", mine, "supervisorctl", peer)


if __name__ == "__main__":
    main()
