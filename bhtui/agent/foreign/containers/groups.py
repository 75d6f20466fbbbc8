"""The cgroups of a container, and what the kernel counts in them: cheaper than to ask the engine for its statistics."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PLACES = (
    "system.slice/docker-{id}.scope",
    "machine.slice/libpod-{id}.scope",
    "machine.slice/libpod-{id}.scope/container",
    "docker/{id}",
    "libpod_parent/libpod-{id}",
)
"""Where Docker and Podman put a container of the host's own engine, under systemd and without."""

INNER = "container"
"""What crun calls the group inside a scope of systemd."""


def memory_bytes(id_: str, root: Path = ROOT) -> int | None:
    """What a container uses, without files that are only kept in memory; None when its group is not found."""
    for folder, used, unused in (
        (root, "memory.current", "inactive_file"),
        (root / "memory", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for place in PLACES:
            group = folder / place.format(id=id_)
            if (usage := _number(group / used)) is not None:
                return max(0, usage - (_number(group / "memory.stat", unused) or 0))
    return None


def cpu_seconds(id_: str, root: Path = ROOT) -> float | None:
    """What a container has used since it was started; None when its group is not found."""
    for place in PLACES:
        name = place.format(id=id_)
        if (used := _number(root / "cpuacct" / name / "cpuacct.usage")) is not None:
            return used / 1e9
        if (used := _number(root / name / "cpu.stat", "usage_usec")) is not None:
            return used / 1e6
    return None


def of_process(pid: int, id_: str, proc: Path = Path("/proc")) -> str:
    """The group of a container by one of its processes: the path below the root of its hierarchy.

    Empty when that process is not the container's as seen from here (it has other numbers in another PID namespace), or
    the container has no group of its own. In version 1 the path is that of the memory controller.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return ""
    paths = {names: path for _, names, path in (line.split(":", 2) for line in lines if line.count(":") >= 2)}
    found = next((path for names, path in paths.items() if "memory" in names.split(",")), paths.get("", ""))
    parts = found.split("/")
    own = next((number for number, part in enumerate(parts) if id_ in part), None)
    if own is None:
        return ""
    # crun puts the limits on a group of its own inside; what is deeper was made by the container itself.
    return "/".join(parts[: own + 1 + (parts[own + 1 : own + 2] == [INNER])])


def _number(file: Path, key: str = "") -> int | None:
    """The number in a file, or behind a key in one of `key number` lines."""
    try:
        text = file.read_text()
    except OSError:
        return None
    if key:
        text = next((line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{key} ")), "")
    return int(text) if text.strip().isdigit() else None
