"""Measures the whole tree of one instance: by its cgroups where it has some, else by the descendants of its process.

A cgroup counts what processes used that have ended meanwhile, and knows those that left their parent; descendants are
the next best.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from . import procfs
from .host import PRESSURES, stalled_us
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

    def text(self) -> bytes:
        """All of it; empty when there is no such file."""
        self._open()
        try:
            return os.pread(self._fd, 8192, 0) if self._fd >= 0 else b""
        except OSError:
            return b""

    def read(self, key: bytes = b"") -> int | None:
        """The number, in a file of `key number` lines the one behind the key; None when there is none."""
        text = self.text()
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


PSS_MOST, PSS_PROCESSES = 1 << 30, 64
"""Bytes and processes up to which that is cheap."""


LOOK_EVERY = 10
"""Samples after which one is looked at whole although nothing of it seems to have run, and at its proportional memory.
"""


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

    def rest(self, now_ns: int) -> None:
        """Nothing has grown until now."""
        if self._time_ns:
            self._time_ns = now_ns


class Files:
    """The files that tell what the groups of one instance use."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.cpu_ns, self.cpu_us = Counter(groups, "cpuacct.usage"), Counter(_version_2(groups), "cpu.stat")
        self.memory_1, self.memory_2 = Counter(groups, "memory.usage_in_bytes"), Counter(groups, "memory.current")
        self.memory_stat, self.tasks = Counter(groups, "memory.stat"), Counter(groups, "pids.current")
        self.throttled_ns, self.throttled_us = Counter(groups, "cpu.stat"), self.cpu_us
        self.oom_1, self.oom_2 = Counter(groups, "memory.oom_control"), Counter(groups, "memory.events")
        two = _version_2(groups)
        self.pressures = tuple(Counter(two, f"{what}.pressure") for what in PRESSURES)
        self.members = next((f"{group}/cgroup.procs" for group in groups), "")

    def close(self) -> None:
        """Closes them."""
        for counter in vars(self).values():
            for each in counter if isinstance(counter, tuple) else (counter,):
                if isinstance(each, Counter):
                    each.close()


class Tree:
    """One instance that runs. Used by one thread at a time."""

    def __init__(self, pid: int, groups: Callable[[], Sequence[str]]) -> None:
        self._pid, self._groups = pid, groups
        self._cpu, self._reads, self._writes, self._throttled = Rate(), Rate(), Rate(), Rate()
        self._stalls = tuple(Rate() for _ in PRESSURES)
        self._turn = pid  # counts samples; not from 0, so that many instances are not looked at in the same second
        self._pss: int | None = None
        self._marks: tuple[int, int] | None = None
        self._last: Sample | None = None

    @cached_property
    def _files(self) -> Files:
        """Opened by the first sample and not before: at that time the instance is being started, and that is urgent."""
        return Files(self._groups())

    def sample(self, now_ns: int, children: Children) -> Sample | None:
        """What it uses now; None when nothing of it runs. `children` is asked only for a tree without groups."""
        self._turn += 1
        marks = self._now_marks()
        last, is_at_rest = self._last, marks is not None and marks == self._marks
        if is_at_rest and last is not None and last.cpu_percent is not None and self._turn % LOOK_EVERY:
            return self._rested(last, now_ns)
        self._marks = marks
        self._last = self._looked(now_ns, children)
        return self._last

    def _now_marks(self) -> tuple[int, int] | None:
        """What is otherwise as soon as anything of it has run: processor time and memory; None: they are not known."""
        files = self._files
        used = files.cpu_ns.read()
        used = files.cpu_us.read(b"usage_usec") if used is None else used
        memory = files.memory_2.read()
        memory = files.memory_1.read() if memory is None else memory
        return None if used is None or memory is None else (used, memory)

    def _rested(self, last: Sample, now_ns: int) -> Sample:
        """Nothing of it has run since the sample before, so that nothing can be otherwise but what it waits for."""
        for rate in (self._cpu, self._reads, self._writes, self._throttled):
            rate.rest(now_ns)
        cpu, memory, io = self._pressures(now_ns)
        return replace(
            last,
            cpu_percent=0.0,
            read_bytes_per_second=_none_or_zero(last.read_bytes_per_second),
            write_bytes_per_second=_none_or_zero(last.write_bytes_per_second),
            throttled_percent=_none_or_zero(last.throttled_percent),
            pressure_cpu_percent=cpu,
            pressure_memory_percent=memory,
            pressure_io_percent=io,
        )

    def _looked(self, now_ns: int, children: Children) -> Sample | None:
        processes = [one for pid in self._pids(children) if (one := procfs.process(pid)) is not None]
        if not processes:
            return None
        reads, writes = self._storage(now_ns, processes)
        memory = self._memory()
        tasks = self._files.tasks.read()
        rss = sum(one.rss_bytes for one in processes)
        pressures = self._pressures(now_ns)
        return Sample(
            self._cpu_percent(now_ns, processes),
            rss if memory is None else memory,
            sum(one.threads for one in processes) if tasks is None else tasks,
            _total([procfs.open_files(one.pid) for one in processes]),
            reads,
            writes,
            _percent(self._throttled.of(now_ns, _alone(self._throttled_seconds()))),
            self._oom_kills(),
            *pressures,
            rss,
            self._pss_bytes(processes, rss),
        )

    def _pss_bytes(self, processes: Sequence[procfs.Process], rss: int) -> int | None:
        """Looked at seldom, and not where it is dear: between the looks it is what it was."""
        if rss > PSS_MOST or len(processes) > PSS_PROCESSES:
            self._pss = None
        elif self._pss is None or not self._turn % LOOK_EVERY:
            self._pss = _total([procfs.pss_bytes(one.pid) for one in processes])
        return self._pss

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

    def _throttled_seconds(self) -> float | None:
        if (spent := self._files.throttled_us.read(b"throttled_usec")) is not None:
            return spent / 1e6
        spent = self._files.throttled_ns.read(b"throttled_time")
        return None if spent is None else spent / 1e9

    def _oom_kills(self) -> int | None:
        found = self._files.oom_2.read(b"oom_kill")
        return self._files.oom_1.read(b"oom_kill") if found is None else found

    def _pressures(self, now_ns: int) -> tuple[float | None, float | None, float | None]:
        waited = [stalled_us(counter.text()) for counter in self._files.pressures]
        cpu, memory, io = (
            _percent(rate.of(now_ns, _alone(None if us is None else us / 1e6)))
            for rate, us in zip(self._stalls, waited, strict=True)
        )
        return cpu, memory, io

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


def _none_or_zero(before: float | None) -> float | None:
    return None if before is None else 0.0


def _alone(counter: float | None) -> dict[tuple[int, int], float] | None:
    """One counter that belongs to the whole tree, for Rate."""
    return None if counter is None else {(0, 0): counter}


def _percent(seconds_a_second: float | None) -> float | None:
    return None if seconds_a_second is None else min(100.0, 100 * seconds_a_second)


def _version_2(groups: Sequence[str]) -> list[str]:
    """Groups of cgroup v2: version 1 has a cpu.stat too, about something else."""
    return [group for group in groups if Path(group, "cgroup.events").exists()]


def _total(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
