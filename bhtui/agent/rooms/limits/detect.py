"""Which cgroup hierarchies this host has, and in which of them groups can be made.

Control groups are documented in cgroups(7), and in the kernel's admin-guide/cgroup-v2 and admin-guide/cgroup-v1.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import fs

WANTED_V1 = ("memory", "cpu", "cpuacct", "pids", "freezer", "blkio")
"""What limits, measures or stops a whole tree."""
WANTED_V2 = ("memory", "cpu", "pids", "io")
DELEGATED = ("trusted.delegate", "user.delegate")
"""How systemd marks a group that is ours to divide (systemd.io/CGROUP_DELEGATION); only root reads the first."""
OWN = "own"
"""The group of keeper and agent below a delegated one."""
VACATE_TRIES = 5


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where groups are made: the folder of this installation in each hierarchy."""

    v1: dict[str, Path] = field(default_factory=dict)
    """Controller to folder; several controllers may share one."""
    v2: Path | None = None
    v2_controllers: frozenset[str] = frozenset()
    """Which of WANTED_V2 work in groups made in `v2`. On hosts with both versions often none: it still stops a tree."""
    reason: str = ""
    """Why there is none."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Each folder once, version 2 first, which stops a tree at once."""
        return tuple(dict.fromkeys([*([self.v2] if self.v2 else []), *self.v1.values()]))


def base_name(run_dir: Path) -> str:
    """The name of the folder all groups of one installation are in: another run folder is another installation."""
    return f"blackhole-{hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:8]}"


def detect(run_dir: Path, mounts: str = "/proc/self/mounts", own: str = "/proc/self/cgroup") -> Hierarchies:
    """Looks at what is mounted and makes the folder of this installation wherever that is allowed.

    Below a group of version 2 that systemd has delegated to us that is the place, as its one-writer rule has it.
    Otherwise the top of a hierarchy comes first: groups there outlive the session the agent was started from, and are
    found again after a restart. Where that is not allowed the agent's own group is tried.
    """
    v1_mounts, v2_mount = _mounts(fs.read(Path(mounts)))
    paths = _own_groups(fs.read(Path(own)))
    base = base_name(run_dir)
    v1 = {}
    for controller, mount in v1_mounts.items():
        if controller in WANTED_V1 and (folder := _make([mount, _below(mount, paths.get(controller, ""))], base)):
            v1[controller] = folder
    v2 = _make(_parents(v2_mount, paths.get("", "")), base) if v2_mount else None
    reason = "" if v1 or v2 else _reason(bool(v1_mounts or v2_mount))
    return Hierarchies(v1, v2, _turn_on(v2) if v2 else frozenset(), reason)


def folders_of(cgroup: str, mounts: str = "/proc/self/mounts") -> tuple[Path, ...]:
    """Where a group that others made is found, version 2 first: only what can be read there, each folder once."""
    v1, v2 = _mounts(fs.read(Path(mounts)))
    tops = [*([v2] if v2 else []), *(mount for controller, mount in v1.items() if controller in WANTED_V1)]
    found = dict.fromkeys(_below(top, cgroup) for top in tops)
    return tuple(folder for folder in found if (folder / "cgroup.procs").exists())


def _reason(is_mounted: bool) -> str:
    if not is_mounted:
        return "no cgroup file system is mounted here"
    return "cgroups cannot be made by this user here (run the agent as root, or in a delegated systemd unit)"


def _mounts(text: str) -> tuple[dict[str, Path], Path | None]:
    """Version 1: controller to mount point; version 2: its mount point."""
    v1: dict[str, Path] = {}
    v2 = None
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < 4 or fields[2] not in ("cgroup", "cgroup2"):
            continue
        mount = Path(re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), fields[1]))
        if fields[2] == "cgroup2":
            v2 = v2 or mount
        else:
            for option in fields[3].split(","):
                v1.setdefault(option, mount)
    return v1, v2


def _own_groups(text: str) -> dict[str, str]:
    """Controller (empty: version 2) to the path of the group this process is in."""
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _below(mount: Path, path: str) -> Path:
    return mount / path.lstrip("/")


def _parents(mount: Path, own: str) -> list[Path]:
    """Where in version 2 to try, the best first."""
    group = _below(mount, own)
    if (delegated := _delegated(mount, group)) is not None:
        _vacate(delegated)
        return [delegated]
    return [mount, group]


def _delegated(mount: Path, group: Path) -> Path | None:
    """The nearest group from this one upwards that systemd has marked as given away."""
    for folder in (group, *group.parents):
        if folder == mount:
            break
        for mark in DELEGATED:
            with suppress(OSError):
                if os.getxattr(folder, mark) == b"1":
                    return folder
    return None


def _vacate(group: Path) -> None:
    """Moves keeper and agent into a group of their own: one with controllers for those below has no processes itself.

    They may start some meanwhile, so it is looked again a few times; where some are left, controllers do not work.
    """
    own = group / OWN
    for _ in range(VACATE_TRIES):
        if not (pids := fs.read(group / "cgroup.procs").split()):
            return
        with suppress(FileExistsError):
            own.mkdir()
        for pid in pids:
            with suppress(OSError):
                fs.write(own / "cgroup.procs", pid)


def _make(parents: list[Path], base: str) -> Path | None:
    """The folder in the first parent that allows it."""
    for parent in parents:
        folder = parent / base
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        if os.access(folder / "cgroup.procs", os.W_OK):
            return folder
    return None


def _turn_on(folder: Path) -> frozenset[str]:
    """Turns the wanted controllers on for the groups in the folder; those that work there."""
    for group in (folder.parent, folder):
        for controller in WANTED_V2:
            try:
                fs.write(group / "cgroup.subtree_control", f"+{controller}")
            except OSError:
                continue  # not there, used by version 1, or not ours to turn on: then it is not in what is read below
    return frozenset(fs.read(folder / "cgroup.subtree_control").split()) & frozenset(WANTED_V2)
