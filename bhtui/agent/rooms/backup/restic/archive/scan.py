"""How much there is to do: a first quick walk, in a process of its own that runs ahead of the backup."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ..pool import Message, Pool, Send

_INTERVAL = 0.5
"""Seconds between two words."""


class Scan:
    """What was counted so far. It helps the reader of a progress bar and decides nothing, so it may fail."""

    def __init__(self, paths: list[bytes], is_out: Callable[[bytes], bool] | None) -> None:
        self.files = self.bytes = 0
        self._pool: Pool | None = Pool(1, lambda _, send: _Counter(is_out, send))
        self._pool.give(0, ("count", paths))

    def look(self) -> None:
        """Takes in what was said."""
        if self._pool is None:
            return
        for _, message in self._pool.heard(0):
            self.files, self.bytes = message[1:]
            if message[0] == "answer":
                self.close()
                return

    def close(self) -> None:
        """Ends the process."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None


class _Counter:
    def __init__(self, is_out: Callable[[bytes], bool] | None, send: Send) -> None:
        self._is_out, self._send = is_out, send
        self._files = self._bytes = 0

    def __call__(self, job: Message) -> tuple[Any, ...]:
        os.nice(5)
        said = time.monotonic()
        folders: list[bytes] = []
        for path in job[1]:
            self._one(path, folders)
        while folders:
            try:
                with os.scandir(folders.pop()) as found:
                    for entry in found:
                        if not (self._is_out and self._is_out(entry.path)):
                            self._entry(entry, folders)
            except OSError:
                continue
            if time.monotonic() - said > _INTERVAL:
                self._send(("counted", self._files, self._bytes))
                said = time.monotonic()
        return (self._files, self._bytes)

    def _one(self, path: bytes, folders: list[bytes]) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            folders.append(path)
        else:
            self._files += 1
            self._bytes += os.lstat(path).st_size if os.path.isfile(path) else 0

    def _entry(self, entry: os.DirEntry[bytes], folders: list[bytes]) -> None:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
            return
        self._files += 1
        if entry.is_file(follow_symlinks=False):
            self._bytes += entry.stat(follow_symlinks=False).st_size
