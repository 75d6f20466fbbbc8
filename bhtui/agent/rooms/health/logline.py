"""Healthy from the moment its log says so: a line that matches, written by this run of the instance."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from bhtui.core.units import format_time

from .model import ProbeResult

LOOK_BACK = 1 << 20  # bytes before the end of the file in which the lines of this run may already be
CHUNK = 1 << 20  # bytes read in one probe


class LogProbe:
    """Follows the file through its rotations; lines are `RFC3339Nano stream F|P text`."""

    def __init__(self, pattern: str, path: Path, since_ns: int) -> None:
        self._pattern = re.compile(pattern.encode())
        self._path, self._since = path, format_time(since_ns).encode()
        self._text = pattern
        self._fd, self._offset = -1, 0
        self._tail = b""
        self._matched = False

    async def ask(self) -> ProbeResult:
        if not self._matched:
            self._matched = await asyncio.to_thread(self._look)
            if self._matched:
                await self.close()
        return ProbeResult(self._matched, detail="" if self._matched else f"no log line matches /{self._text}/ so far")

    def _look(self) -> bool:
        """In a thread: a slow disk or a slow pattern must not hold up the other probes."""
        if self._fd < 0 and not self._open(LOOK_BACK):
            return False
        if self._read():
            return True
        return self._is_rotated() and self._open(None) and self._read()

    def _open(self, look_back: int | None) -> bool:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False  # it has not written anything yet
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._tail = fd, b""
        self._offset = 0 if look_back is None else max(0, os.fstat(fd).st_size - look_back)
        return True

    def _is_rotated(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._fd).st_ino
        except OSError:
            return False

    def _read(self) -> bool:
        data = os.pread(self._fd, CHUNK, self._offset)
        self._offset += len(data)
        *lines, self._tail = (self._tail + data).split(b"\n")
        return any(self._matches(line) for line in lines)

    def _matches(self, line: bytes) -> bool:
        parts = line.split(b" ", 3)
        return len(parts) == 4 and parts[0] >= self._since and self._pattern.search(parts[3]) is not None

    async def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
