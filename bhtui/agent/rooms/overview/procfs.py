"""Every process of the host, read at once (proc(5)). Runs in a thread: a thousand processes take some 50 ms."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from bhtui.core.mask import mask_line, mask_text, mask_words

from .place import NOWHERE, Place, place_of

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KERNEL_THREAD = 0x0020_0000
"""PF_KTHREAD in the flags of stat."""
MOST_PROCESSES = 20_000
LONGEST_COMMAND = 300


class Seen(NamedTuple):
    """One process."""

    pid: int
    name: str
    parent: int
    start: int
    """Clock ticks since boot: tells it from a later one with the same number."""
    cpu_seconds: float
    threads: int
    rss_bytes: int
    nice: int
    is_kernel: bool
    uid: int
    place: Place


def read(path: str, most: int = 65_536) -> bytes:
    """A small file; empty when it is gone or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, most)
    except OSError:
        return b""
    finally:
        os.close(fd)


def processes() -> dict[int, Seen]:
    """All of them, by pid; what ends meanwhile is left out."""
    places = lru_cache(maxsize=None)(place_of)
    with os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()][:MOST_PROCESSES]
    found = (_seen(pid, places) for pid in pids)
    return {each.pid: each for each in found if each is not None}


def process(pid: int) -> Seen | None:
    """One of them; None when there is none, or it has ended and waits to be reaped."""
    return _seen(pid, place_of)


def _seen(pid: int, places: Callable[[str], Place]) -> Seen | None:
    text = read(f"/proc/{pid}/stat")
    if not text:
        return None
    try:
        uid = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - once for every process of the host
    except OSError:
        return None
    end = text.rindex(b")")
    fields = text[end + 2 :].split()
    if fields[0] in b"ZXx":
        return None
    is_kernel = bool(int(fields[6]) & KERNEL_THREAD) or pid == 2
    place = NOWHERE if is_kernel else places(read(f"/proc/{pid}/cgroup").decode(errors="replace"))
    return Seen(
        pid,
        text[text.index(b"(") + 1 : end].decode(errors="replace"),
        int(fields[1]),
        int(fields[19]),
        (int(fields[11]) + int(fields[12])) / TICKS,
        int(fields[17]),
        int(fields[21]) * PAGE,
        int(fields[16]),
        is_kernel,
        uid,
        place,
    )


def words(pid: int) -> list[str]:
    """Its command line as it is, which a program may have overwritten; none when that is not ours to know."""
    text = read(f"/proc/{pid}/cmdline")
    return [each.decode("utf-8", "surrogateescape") for each in text.rstrip(b"\0").split(b"\0")] if text else []


def command(pid: int) -> str:
    """Its command line for people: without secrets, in one line, cut."""
    shown = mask_line(mask_text(" ".join(mask_words(words(pid))))).encode("utf-8", "replace").decode()
    line = " ".join(shown.split())
    return line if len(line) <= LONGEST_COMMAND else line[: LONGEST_COMMAND - 1] + "…"


def link(path: str) -> str:
    """Where a link of /proc leads; empty when that is not ours to know."""
    try:
        return os.readlink(path)  # noqa: PTH115 - what it leads to need not be a path
    except OSError:
        return ""


def ancestors(pid: int, of: Mapping[int, Seen]) -> Iterable[int]:
    """The process and those it descends from, the nearest first."""
    passed: set[int] = set()
    while pid in of and pid not in passed:
        passed.add(pid)
        yield pid
        pid = of[pid].parent


@lru_cache(maxsize=1000)
def user_name(uid: int) -> str:
    """The login name, or the number."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
