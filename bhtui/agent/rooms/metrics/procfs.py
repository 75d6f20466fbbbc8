"""What /proc says about processes (proc(5)), in as few calls as possible."""

from __future__ import annotations

import os
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """One process; `start` (clock ticks since boot) tells it from a later one with the same number."""

    pid: int
    parent: int
    start: int
    cpu_seconds: float
    """Its own. That of children it has waited for is left out: while they ran they were counted themselves."""
    threads: int
    rss_bytes: int


def read(path: str) -> bytes:
    """A small file whole; empty when it is gone or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 65_536)
    except OSError:
        return b""
    finally:
        os.close(fd)


def process(pid: int) -> Process | None:
    """The process of that number now; None when there is none, or it has ended and waits to be reaped."""
    text = read(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in b"ZXx":
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Process(
        pid, int(fields[1]), int(fields[19]), ticks / TICKS_PER_SECOND, int(fields[17]), int(fields[21]) * PAGE
    )


def children() -> dict[int, list[int]]:
    """Every process that has children, and which."""
    found: dict[int, list[int]] = {}
    with os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    for pid in pids:
        if (one := process(pid)) is not None:
            found.setdefault(one.parent, []).append(pid)
    return found


def descendants(pid: int, of: dict[int, list[int]]) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for one in found:
        found += of.get(one, [])
    return found


def open_files(pid: int) -> int | None:
    """How many file descriptors it has open; None when that is not ours to know."""
    folder = f"/proc/{pid}/fd"
    try:
        # Since Linux 6.2 the size of the folder is the number, which saves listing it. No Path: this is asked of every
        # process every second.
        return os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208
    except OSError:
        return None


def pss_bytes(pid: int) -> int | None:
    """Its proportional memory; None when that is not ours to know. The kernel walks all of its pages for this."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def storage_bytes(pid: int) -> tuple[int, int] | None:
    """Bytes it has read from and written to storage since its start; None when that is not ours to know."""
    values = dict(line.split(b": ", 1) for line in read(f"/proc/{pid}/io").splitlines())
    if b"read_bytes" not in values or b"write_bytes" not in values:
        return None
    return int(values[b"read_bytes"]), int(values[b"write_bytes"])
