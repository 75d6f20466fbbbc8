"""Reads and writes the small files of cgroups; a file that is not there is an answer, not an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def read(path: Path) -> str:
    """The content, or empty when there is no such file or it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def write(path: Path, value: str | int) -> None:
    """Sets a value. Raises OSError: the kernel refuses a value, or there is no such file."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # never creates: a missing control file is a missing controller
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def value(path: Path, key: str) -> int:
    """The number behind a key in a file of `key number` lines; 0 when there is none."""
    return int(find(path, key) or 0)


def find(path: Path, key: str, unit: float = 1) -> float | None:
    """As `value`, in a unit; None when there is none."""
    for line in read(path).splitlines():
        name, _, number = line.partition(" ")
        if name == key and number.isdigit():
            return int(number) * unit
    return None


def members(group: Path) -> list[int]:
    """The processes in a group and in those below it."""
    return [int(pid) for folder in tree(group) for pid in read(folder / "cgroup.procs").split()]


def tree(group: Path) -> Iterator[Path]:
    """The group and all below it, the deepest first."""
    for folder, _, _ in os.walk(group, topdown=False):
        yield Path(folder)


def groups_in(folder: Path) -> list[Path]:
    """The groups directly in a folder; none when it is gone."""
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return []


def remove(group: Path) -> bool:
    """Removes a group and those below it; False while processes are in it."""
    for folder in tree(group):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
