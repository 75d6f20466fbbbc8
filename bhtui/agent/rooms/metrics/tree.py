"""Measures the whole tree of one instance: by its cgroups where it has some, else by the descendants of its process.

A cgroup counts what processes used that have ended meanwhile, and knows those that left their parent; descendants are
the next best.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from . import procfs
from .model import Sample

Children = Callable[[], dict[int, list[int]]]


class Counter:
    """A file with a number, in the first of the folders that has it; held open, for it is read again and again.

    It is opened when it is first read: an instance that dies sooner than the next sample costs nothing.
    """

    def __init__(self, folders: Sequence[str], name: str) -> None:
        self._paths = [f"{folder}/{name}" for folder in folders]
        self._fd = -1

    def _open(self) -> None:
        while self._fd < 0 and self._paths:
            try:
                self._fd = os.open(self._paths.pop(0), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # not in this hierarchy, or no descriptor left: what cannot be known is None

    def read(self, key: bytes = b"") -> int | None:
        """The number, in a file of `key number` lines the one behind the key; None when there is none."""
        self._open()
        if self._fd < 0:
            return None
        try:
            text = os.pread(self._fd, 8192, 0)
        except OSError:
            return None
        if key:
            at = text.find(key + b" ") if text.startswith(key + b" ") else text.find(b"\n" + key + b" ") + 1
            if text[at : at + len(key)] != key:
                return None
            text = text[at + len(key) : text.find(b"\n", at)]
        return int(text) if text.strip().isdigit() else None

    def close(self) -> None:
        """Closes the file, for good."""
        self._paths.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Rate:
    """How fast a number grows, by differences of counters that belong to one process each."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], float] = {}
        self._time_ns = 0

    def of(self, now_ns: int, counters: dict[tuple[int, int], float] | None) -> float | None:
        """Growth a second since the call before; None in the first call and when nothing is known.

        A counter that is new has grown from 0; one that is gone has grown no more; one that fell began anew.
        """
        if counters is None:
            return None
        grown = sum(max(0.0, value - self._last.get(key, 0.0)) for key, value in counters.items())
        seconds = (now_ns - self._time_ns) / 1e9
        is_first, self._last, self._time_ns = not self._time_ns, counters, now_ns
        return None if is_first or seconds <= 0 else grown / seconds


class Files:
    """The files that tell what the groups of one instance use."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.cpu_ns, self.cpu_us = Counter(groups, "cpuacct.usage"), Counter(_version_2(groups), "cpu.stat")
        self.memory_1, self.memory_2 = Counter(groups, "memory.usage_in_bytes"), Counter(groups, "memory.current")
        self.memory_stat, self.tasks = Counter(groups, "memory.stat"), Counter(groups, "pids.current")
        self.members = next((f"{group}/cgroup.procs" for group in groups), "")

    def close(self) -> None:
        """Closes them."""
        for counter in (self.cpu_ns, self.cpu_us, self.memory_1, self.memory_2, self.memory_stat, self.tasks):
            counter.close()


class Tree:
    """One instance that runs. Used by one thread at a time."""

    def __init__(self, pid: int, groups: Callable[[], Sequence[str]]) -> None:
        self._pid, self._groups = pid, groups
        self._cpu, self._reads, self._writes = Rate(), Rate(), Rate()

    @cached_property
    def _files(self) -> Files:
        """Opened by the first sample and not before: at that time the instance is being started, and that is urgent."""
        return Files(self._groups())

    def sample(self, now_ns: int, children: Children) -> Sample | None:
        """What it uses now; None when nothing of it runs. `children` is asked only for a tree without groups."""
        processes = [one for pid in self._pids(children) if (one := procfs.process(pid)) is not None]
        if not processes:
            return None
        reads, writes = self._storage(now_ns, processes)
        memory = self._memory()
        tasks = self._files.tasks.read()
        return Sample(
            self._cpu_percent(now_ns, processes),
            sum(one.rss_bytes for one in processes) if memory is None else memory,
            sum(one.threads for one in processes) if tasks is None else tasks,
            _total([procfs.open_files(one.pid) for one in processes]),
            reads,
            writes,
        )

    def _pids(self, children: Children) -> list[int]:
        if self._files.members and (text := procfs.read(self._files.members)):
            return [int(pid) for pid in text.split()]
        return procfs.descendants(self._pid, children())

    def _cpu_percent(self, now_ns: int, processes: Sequence[procfs.Process]) -> float | None:
        if (used := self._files.cpu_ns.read()) is not None:
            counters = {(0, 0): used / 1e9}
        elif (used := self._files.cpu_us.read(b"usage_usec")) is not None:
            counters = {(0, 0): used / 1e6}
        else:
            counters = {(one.pid, one.start): one.cpu_seconds for one in processes}
        cores = self._cpu.of(now_ns, counters)
        return None if cores is None else 100 * cores

    def _memory(self) -> int | None:
        if (usage := self._files.memory_2.read()) is not None:
            return max(0, usage - (self._files.memory_stat.read(b"inactive_file") or 0))
        if (usage := self._files.memory_1.read()) is not None:
            return max(0, usage - (self._files.memory_stat.read(b"total_inactive_file") or 0))
        return None

    def _storage(self, now_ns: int, processes: Sequence[procfs.Process]) -> tuple[float | None, float | None]:
        known = {(one.pid, one.start): found for one in processes if (found := procfs.storage_bytes(one.pid))}
        reads = {key: float(found[0]) for key, found in known.items()} if known else None
        writes = {key: float(found[1]) for key, found in known.items()} if known else None
        return self._reads.of(now_ns, reads), self._writes.of(now_ns, writes)

    def close(self) -> None:
        """Closes the files it holds open."""
        if "_files" in self.__dict__:
            self._files.close()


def _version_2(groups: Sequence[str]) -> list[str]:
    """Groups of cgroup v2: version 1 has a cpu.stat too, about something else."""
    return [group for group in groups if Path(group, "cgroup.events").exists()]


def _total(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
