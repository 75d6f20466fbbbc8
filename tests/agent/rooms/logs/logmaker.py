"""Writes log files as the keeper does, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bhtui.agent.rooms.logs import cri

START = 1_767_323_045_000_000_000


def line(time_ns: int, text: str | bytes, stream: str = "stdout", flag: str = "F") -> bytes:
    body = text.encode() if isinstance(text, str) else text
    return cri.stamp(time_ns) + f" {stream} {flag} ".encode() + body + b"\n"


def write(path: Path, lines: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(lines))


class Writer:
    """One instance's log, rotated by rename and named after its first line."""

    def __init__(self, path: Path, keep: int = 1000) -> None:
        self.path, self.keep, self.first = path, keep, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def put(self, *lines: bytes) -> None:
        if not self.first:
            self.first = cri.time_of(lines[0])
        write(self.path, lines)

    def rotate(self) -> None:
        if not self.first:
            return
        first = self.first
        while (final := self.path.with_name(f"{self.path.stem}.{_compact(first)}.log")).exists():
            first += 1
        os.rename(self.path, final)
        self.path.touch()
        self.first = 0
        rotated = sorted(self.path.parent.glob(f"{self.path.stem}.*Z.log"))
        for old in rotated[: max(0, len(rotated) - self.keep)]:
            old.unlink()


def _compact(time_ns: int) -> str:
    return cri.stamp(time_ns).decode().replace("-", "").replace(":", "")
