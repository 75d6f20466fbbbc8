"""What every benchmark needs: the newest peers, medians, and one line per ratio.

Each benchmark runs its peers in the same run on the same machine; only ratios are worth comparing between machines.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


def venv(package: str) -> Path:
    """A virtual environment with the newest release of a peer from the package index; made once, then kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blackhole-benchmarks" / package
    ready = cache / "ready"
    if not ready.exists():
        shutil.rmtree(cache, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(cache)], check=True)
        subprocess.run([str(cache / "bin" / "pip"), "install", "-qq", package], check=True)
        ready.touch()
    return cache


def program(name: str, install: str) -> str | None:
    """The path of a peer that comes with the system; None after saying how to get it."""
    found = shutil.which(name)
    if found is None:
        print(f"{name} is not there, so it is left out: {install}", file=sys.stderr)
    return found


def median_of(measure: Callable[[], float], runs: int = 5) -> float:
    """The median of several runs, after one that warms caches for everyone alike."""
    measure()
    return statistics.median(measure() for _ in range(runs))


def medians_in_turn(measures: Mapping[str, Callable[[], Sequence[float]]], runs: int) -> dict[str, list[float]]:
    """The median of each figure that each measure gives; the first run of each only warms caches.

    They take turns, so that a slow moment of the machine meets all of them.
    """
    found: dict[str, list[Sequence[float]]] = {name: [] for name in measures}
    for _ in range(runs + 1):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: [statistics.median(column) for column in zip(*each[1:], strict=True)] for name, each in found.items()}


def report(title: str, unit: str, ours: float, peer: str, theirs: float, *, more_is_better: bool = False) -> None:
    """Prints both figures and our ratio to the peer: below 1 is better, or above 1 where more is."""
    better = (ours > theirs) == more_is_better
    print(
        f"{title}: blackhole {ours:,.6g} {unit}, {peer} {theirs:,.6g} {unit},"
        f" ratio {ours / theirs:.2f} ({'better' if better else 'worse'})"
    )


def free_ports(count: int = 1) -> int:
    """The first of so many ports in a row on which nobody listens."""
    for first in range(random.randrange(20_000, 30_000), 32_000, count):
        with suppress(OSError), ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise OSError("there are no free ports in a row")


def pss_kb(pids: Sequence[int]) -> int:
    """The proportional memory of these processes in kB: a page that several share is counted once over all of them."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@contextmanager
def workplace(under: Path | None = None) -> Iterator[Path]:
    """A short temporary directory, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="bhb", dir=under or "/tmp"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
