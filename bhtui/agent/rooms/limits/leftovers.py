"""Folders of cgroups that installations left behind whose agent was killed and whose home is gone.

A folder is removed only when it is certainly one of ours (its name), nobody lives there (no agent holds its lock, none
listens in the run folder that gave it its name), no process is in it or below it, and it is not new. Whoever makes a
folder locks it for as long as it lives, so that nobody takes it away meanwhile.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from . import fs
from .detect import base_name

NAME = re.compile(r"blackhole-[0-9a-f]{8}")
SETTLED_S = 60.0
"""Younger ones may be those of an agent that is just being started."""
SOCKETS = ("agent.sock", "keeper.sock")
CLAIM_TRIES = 3


def claim(folders: Iterable[Path]) -> tuple[int, ...]:
    """Descriptors that hold the folders' locks; to be closed at the end. A folder that cannot be locked is left out."""
    return tuple(fd for folder in folders if (fd := _claim(folder)) >= 0)


def _claim(folder: Path) -> int:
    for _ in range(CLAIM_TRIES):
        try:
            folder.mkdir(exist_ok=True)  # somebody may have taken it for a leftover a moment ago
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return -1
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(fd), folder.stat()):
                return fd
        except OSError:
            pass  # it is gone again, or this file system has no locks
        os.close(fd)
    return -1


def lived_in(unix: str) -> frozenset[str]:
    """The names of the folders of installations that have a socket, from the text of /proc/net/unix."""
    paths = [Path(line.split(maxsplit=7)[-1]) for line in unix.splitlines() if "/" in line]
    return frozenset(base_name(path.parent) for path in paths if path.name in SOCKETS)


def candidates(folders: Iterable[Path], living: Collection[str], now: float) -> list[Path]:
    """Folders beside ours that may be leftovers. `now` in Unix seconds."""
    ours = set(folders)
    beside = {folder.parent: None for folder in folders}
    return [
        found
        for parent in beside
        for found in sorted(fs.groups_in(parent))
        if NAME.fullmatch(found.name) and found not in ours and found.name not in living and _is_settled(found, now)
    ]


def _is_settled(folder: Path, now: float) -> bool:
    try:
        return now - folder.stat().st_ctime > SETTLED_S
    except OSError:
        return False  # it is gone


def remove(folder: Path) -> bool:
    """Removes it with all below it, unless it is somebody's or has a process; whether it is gone."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return not fs.members(folder) and fs.remove(folder)
    except OSError:
        return False  # an agent lives there
    finally:
        os.close(fd)


async def sweep(folders: Iterable[Path], unix: Path = Path("/proc/net/unix")) -> int:
    """Removes what is left behind beside these folders, one after the other and off the loop; how many."""
    found = await asyncio.to_thread(lambda: candidates(folders, lived_in(fs.read(unix)), time.time()))
    return sum([await asyncio.to_thread(remove, folder) for folder in found])
