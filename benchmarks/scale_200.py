"""200 instances: memory (PSS) and CPU of the manager, and how regularly it samples. Peer: supervisord with as many.

Ours is keeper and agent together, and samples every instance once a second meanwhile; supervisord samples nothing. The
distance between two samples is taken from the history, as its times say.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path

from _common import report
from _managers import Blackhole, Manager, Supervisord, managed
from footprint import measure

from bhtui.rpc.blackhole.v1.metrics_pb2 import SeriesRequest
from bhtui.rpc.client import AgentClient

COUNT = 200


def manager(kind: type[Manager]) -> tuple[float, float, list[float]]:
    """MB, per cent of a core, and the seconds between two samples, sorted; none for one that does not sample."""
    with managed(kind, COUNT) as (made, roll):
        made.start_all()
        roll.wait(COUNT)
        begun = time.time_ns()
        memory, cpu = measure(made.pids())
        gaps = asyncio.run(distances(made.folder, begun)) if kind is Blackhole else []
        return memory, cpu, gaps


async def distances(home: Path, since_ns: int) -> list[float]:
    """Seconds between two samples of all instances, since then."""
    async with AgentClient(home / "run/agent.sock") as client:
        request = SeriesRequest(metrics=["memory_bytes"], since_ns=since_ns)
        series = (await client.series(request)).series
    times = [each.times_ns for each in series if each.service.startswith("s")]
    assert len(times) == COUNT, f"{len(times)} instances were sampled"
    return sorted((after - before) / 1e9 for each in times for before, after in itertools.pairwise(each))


def main() -> None:
    print(f"load {os.getloadavg()[0]:.2f}")
    memory, cpu, gaps = manager(Blackhole)
    their_memory, their_cpu, _ = manager(Supervisord)
    report(f"memory with {COUNT} services", "MB", memory, "supervisord", their_memory)
    report(f"CPU when idle with {COUNT} services", "% of a core", cpu, "supervisord", their_cpu)
    median, worst = gaps[len(gaps) // 2], gaps[-1]
    p99 = max(abs(gap - 1) for gap in gaps[: round(len(gaps) * 0.99)])
    print(
        f"seconds between two samples: median {median:.4f}, longest {worst:.4f};"
        f" 99 of 100 within {p99 * 1000:.1f} ms of a second, {len(gaps)} in all"
    )


if __name__ == "__main__":
    main()
