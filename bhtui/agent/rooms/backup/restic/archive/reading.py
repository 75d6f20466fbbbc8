"""Opening and reading what may change under the reader: any depth, no links followed, no access times moved."""

from __future__ import annotations

import os
import time

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_STEP = 3800
"""Bytes of a path that are opened at once; the kernel takes 4095."""
TICK_NS = 10_000_000
"""Within one tick of the kernel's clock a file may change twice and bear the same time."""


def opened(path: bytes, flags: int = 0) -> int:
    """A descriptor of a path of any length. Raises OSError."""
    if len(path) <= _STEP:
        return _opened(path, flags, None)
    folder: int | None = None
    try:
        while len(path) > _STEP:
            cut = path.rfind(b"/", 1, _STEP)
            beyond = os.open(path[:cut], os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY, dir_fd=folder)
            if folder is not None:
                os.close(folder)
            folder, path = beyond, path[cut:].lstrip(b"/")
        return _opened(path, flags, folder)
    finally:
        if folder is not None:
            os.close(folder)


def _opened(path: bytes, flags: int, folder: int | None) -> int:
    try:
        return os.open(path, _FLAGS | os.O_NOATIME | flags, dir_fd=folder)
    except PermissionError:  # O_NOATIME is for owners
        return os.open(path, _FLAGS | flags, dir_fd=folder)


def settled(st: os.stat_result) -> None:
    """Waits until a change after this can be told from the one before by its time."""
    if 0 <= time.time_ns() - st.st_ctime_ns < TICK_NS:
        time.sleep(TICK_NS / 1e9)


def signature(st: os.stat_result) -> tuple[int, int, int, int, int]:
    """What differs when a file has changed."""
    return st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns


def slurp(file: int, expected: int, limit: int) -> bytes:
    """The whole content; more than `limit` bytes are cut off. Raises OSError."""
    content = os.read(file, expected + 1)
    if len(content) == expected:
        return content
    parts, total = [content], len(content)
    while content and total <= limit:
        content = os.read(file, 1 << 20)
        parts.append(content)
        total += len(content)
    return b"".join(parts)[: limit + 1]
