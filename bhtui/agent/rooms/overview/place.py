"""To which unit or container a process belongs, by the names of its cgroups. Pure.

Names of units are systemd's (systemd.unit(5)), those of containers what Docker, Podman and containerd make of ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_CONTAINER = re.compile(r"(?:(docker|libpod|cri-containerd|crio|nerdctl)-)?([0-9a-f]{64})(?:\.scope)?")
_INSTALLATION = re.compile(r"blackhole-[0-9a-f]{8}")
"""What the room of limits calls its folder."""
_ENGINES = {"libpod": "podman", "libpod_parent": "podman", "crio": "cri-o", "cri-containerd": "containerd"}
_PARENTS = ("docker", "libpod_parent", "libpod", "machine.slice", "actions_job")
SHORT = 12
"""Characters of a container's id that people use."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process belongs."""

    unit: str = ""
    """`nginx.service`"""
    user_id: int | None = None
    """Of the user whose manager has the unit; None: the system's."""
    container: str = ""
    """The beginning of its id."""
    engine: str = ""
    session: bool = False
    """It is of a login, not of a unit that somebody could start again."""
    installation: str = ""
    """The folder of groups of an agent like this one (`blackhole-1a2b3c4d`), which supervises it."""
    instance: str = ""
    """As what."""


NOWHERE = Place()


def place_of(text: str) -> Place:
    """The place that a /proc/PID/cgroup tells."""
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    found = [_of_path(path.split("/")) for path in sorted(set(paths), key=lambda path: -len(path))]
    containers = [each for each in found if each.container]
    return next(iter(containers or [each for each in found if each != NOWHERE]), NOWHERE)


def _of_path(parts: list[str]) -> Place:
    for before, part in zip(["", *parts], parts, strict=False):
        if match := _CONTAINER.fullmatch(part):
            engine = match[1] or (before if before in _PARENTS else "")
            return Place(container=match[2][:SHORT], engine=_ENGINES.get(engine, engine))
    for part, below in pairwise(parts):
        if _INSTALLATION.fullmatch(part):
            return Place(installation=part, instance=below)
    user, after = _user_manager(parts)
    services = [part for part in after if part.endswith(".service")]
    if services:
        return Place(services[0], user)
    if user is not None:
        return Place(f"user@{user}.service")
    return Place(session=True) if any(re.fullmatch(r"session-\w+\.scope", part) for part in parts) else NOWHERE


def _user_manager(parts: list[str]) -> tuple[int | None, list[str]]:
    """The user whose manager the rest of the path is of."""
    for at, part in enumerate(parts):
        if match := re.fullmatch(r"user@(\d+)\.service", part):
            return int(match[1]), parts[at + 1 :]
    return None, parts
