"""200 instances: memory (PSS) and CPU of the manager, and how regularly it samples. Peer: supervisord with as many.

Ours is keeper and agent together, and samples every instance once a second meanwhile; supervisord samples nothing.

All instances are sampled in one round, which is stamped once, at its end; so what varies is the distance between
rounds, and 200 instances say no more of it than one. It is taken from the history, over ROUNDS rounds. With so many a
95th percentile means something, and a 99th nothing: that would be the worst round but one.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from _common import report
from _managers import Blackhole, Manager, Supervisord, managed
from footprint import measure

from bhtui.rpc.blackhole.v1.metrics_pb2 import SeriesRequest
from bhtui.rpc.client import AgentClient

COUNT = 200
ROUNDS = 120


def manager(kind: type[Manager]) -> tuple[float, float, Sequence[float]]:
    """MB, per cent of a core, and the seconds between two rounds, in order; none for one that does not sample."""
    with managed(kind, COUNT) as (made, roll):
        made.start_all()
        roll.wait(COUNT)
        begun = time.time_ns()
        memory, cpu = measure(made.pids())
        gaps = asyncio.run(distances(made.folder, begun)) if kind is Blackhole else ()
        return memory, cpu, gaps


async def distances(home: Path, since_ns: int) -> list[float]:
    """Seconds between two rounds since then; all instances are in each of them."""
    async with AgentClient(home / "run/agent.sock") as client:
        while True:
            request = SeriesRequest(metrics=["memory_bytes"], since_ns=since_ns)
            series = (await client.series(request)).series
            rounds = {tuple(each.times_ns) for each in series if each.service.startswith("s")}
            assert len(rounds) == 1, f"{len(rounds)} sets of times: not all instances are in every round"
            if len(times := rounds.pop()) > ROUNDS:
                return [(after - before) / 1e9 for before, after in itertools.pairwise(times[: ROUNDS + 1])]
            await asyncio.sleep(1)


def within(gaps: Sequence[float], share: float) -> float:
    """Seconds: so many of the gaps differ by no more than that from a second."""
    off = sorted(abs(gap - 1) for gap in gaps)
    return off[math.ceil(share * len(off)) - 1]


def main() -> None:
    print(f"load {os.getloadavg()[0]:.2f}")
    memory, cpu, gaps = manager(Blackhole)
    their_memory, their_cpu, _ = manager(Supervisord)
    report(f"memory with {COUNT} services", "MB", memory, "supervisord", their_memory)
    report(f"CPU when idle with {COUNT} services", "% of a core", cpu, "supervisord", their_cpu)
    print(
        f"{len(gaps)} rounds of {COUNT} instances: {statistics.median(gaps):.4f} s apart (median), half within"
        f" {within(gaps, 0.5) * 1000:.1f} ms of a second, 95 of 100 within {within(gaps, 0.95) * 1000:.1f} ms, all"
        f" within {within(gaps, 1) * 1000:.1f} ms; {sum(gap > 1.5 for gap in gaps)} left out"
    )


if __name__ == "__main__":
    main()
