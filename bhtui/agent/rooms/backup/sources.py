"""Counts what a backup would take, within a bounded time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from bhtui.core.backup import BackupSource

LOOK_AT_CLOCK = 256
"""Entries between two looks at the clock."""


def measure(service: str, path: str, is_time_up: Callable[[], bool]) -> BackupSource:
    """The bytes and files at a path, symbolic links counted as themselves, a file with several names once."""
    try:
        top = os.lstat(path)
    except OSError as error:
        return BackupSource(service, path, problem=f"cannot read {path}: {(error.strerror or str(error)).lower()}")
    if not stat.S_ISDIR(top.st_mode):
        return BackupSource(service, path, top.st_size, 1)
    return _measure_folder(service, path, is_time_up)


def _measure_folder(service: str, path: str, is_time_up: Callable[[], bool]) -> BackupSource:
    size = files = looked = 0
    problems: list[str] = []
    linked: set[tuple[int, int]] = set()
    folders = [path]
    while folders:
        for entry in _entries(folders.pop(), problems):
            looked += 1
            if looked % LOOK_AT_CLOCK == 0 and is_time_up():
                return BackupSource(service, path, size, files, "not counted to the end: it took too long")
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # it vanished meanwhile: a backup would not take it either
            files += 1
            if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in linked:
                size += found.st_size
            if found.st_nlink > 1:
                linked.add((found.st_dev, found.st_ino))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return BackupSource(service, path, size, files, problems[0] + more if problems else "")


def _entries(folder: str, problems: list[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"cannot read {folder}: {(error.strerror or str(error)).lower()}")
        return []
