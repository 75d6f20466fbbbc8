"""Processor seconds by part: what a figure of time hides on a busy machine, and what is the same on a quiet one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import psutil

Parts = Mapping[str, Callable[[], Iterable[psutil.Process]]]
"""By part its processes; asked at each look, as they come and go."""


def with_children(*pids: int) -> list[psutil.Process]:
    """Processes and all that they started, as far as they are still there."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


class Usage:
    """Of the parts, from now on."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._before = self._look()

    def _look(self) -> dict[str, dict[int, float]]:
        return {name: {one.pid: _seconds(one) for one in processes()} for name, processes in self._parts.items()}

    def seconds(self) -> dict[str, float]:
        """By part, since it was made."""
        now = self._look()
        return {
            name: sum(max(0.0, used - self._before[name].get(pid, 0.0)) for pid, used in each.items())
            for name, each in now.items()
        }


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def per_million(seconds: Mapping[str, float], lines: float) -> str:
    """`agent 12.3, ... in all 20.1 s of a processor for a million lines`."""
    each = {name: 1e6 * used / max(1.0, lines) for name, used in seconds.items()}
    said = ", ".join(f"{name} {used:.1f}" for name, used in each.items())
    return f"{said}; in all {sum(each.values()):.1f} s of a processor for a million lines"
