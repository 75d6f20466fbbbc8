"""The last lines of an instance's log, for the reason of a failure."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bhtui.core.units import format_time

WINDOW = 16 << 10  # bytes read from the end of the file
WIDTH = 300  # characters kept of a line


async def tail(path: Path, count: int, since_ns: int) -> tuple[str, ...]:
    """At most `count` lines, oldest first, none older than `since_ns`; () when the file cannot be read."""
    return await asyncio.to_thread(read_tail, path, count, since_ns)


def read_tail(path: Path, count: int, since_ns: int) -> tuple[str, ...]:
    """As `tail`. Lines are `RFC3339Nano stream F|P text`; times of nine digits compare as text."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = os.pread(file.fileno(), WINDOW, max(0, size - WINDOW))
    except OSError:
        return ()  # the reason of the failure is told without the lines
    since = format_time(since_ns).encode()
    lines = []
    for line in data.split(b"\n")[1 if size > WINDOW else 0 :]:
        parts = line.split(b" ", 3)
        if len(parts) == 4 and parts[0] >= since and parts[3].strip():
            lines.append(parts[3].decode(errors="replace").rstrip()[:WIDTH])
    return tuple(lines[-count:])
