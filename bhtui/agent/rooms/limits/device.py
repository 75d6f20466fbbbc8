"""On which disk a path is: limits on devices are set by its number.

proc_pid_mountinfo(5) and the kernel's /sys/dev/block (admin-guide/sysfs-rules).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from . import fs

BLOCK = Path("/sys/dev/block")


def devices_of(paths: Iterable[str]) -> tuple[set[str], list[str]]:
    """The devices (`254:0`) below these paths, and those of the paths that are on none."""
    found = {path: device_of(path) for path in paths}
    return {device for device in found.values() if device}, [path for path, device in found.items() if not device]


def device_of(path: str, mountinfo: str = "/proc/self/mountinfo", block: Path = BLOCK) -> str:
    """The whole disk below a path, or below what will hold it when it is made; empty: there is none (tmpfs, NFS)."""
    number = _number(_existing(path))
    if number.startswith("0:"):  # a file system over several devices, or over none
        number = _source(number, fs.read(Path(mountinfo)))
    entry = block / number
    if not number or not entry.exists():
        return ""
    # Limits are those of a queue, which a partition shares with its disk.
    return fs.read(entry.resolve().parent / "dev").strip() if (entry / "partition").exists() else number


def _existing(path: str) -> Path:
    place = Path(path)
    return next((each for each in (place, *place.parents) if each.exists()), Path("/"))


def _number(path: Path) -> str:
    try:
        device = path.stat().st_dev
    except OSError:
        return ""
    return f"{os.major(device)}:{os.minor(device)}"


def _source(number: str, mountinfo: str) -> str:
    """The number of the block device that a mounted file system (btrfs) was made of."""
    for line in mountinfo.splitlines():
        fields, _, after = line.partition(" - ")
        source = after.split(" ")[1] if after.count(" ") else ""
        if fields.split(" ")[2] == number and source.startswith("/dev/"):
            try:
                device = Path(source).stat().st_rdev
            except OSError:
                continue
            return f"{os.major(device)}:{os.minor(device)}"
    return ""


def scheduler(device: str, block: Path = BLOCK) -> str:
    """The I/O scheduler of a disk: `bfq`, `mq-deadline`, `none`; empty when that is not known."""
    found = re.search(r"\[(.+?)\]", fs.read(block / device / "queue/scheduler"))
    return found[1] if found else ""
