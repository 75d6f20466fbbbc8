"""What holding a limit comes to on this host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CGROUP2 = "cgroup v2"
CGROUP1 = "cgroup v1"
RLIMITS = "rlimits"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a process of an instance must be given before it runs."""

    cgroups: tuple[str, ...] = ()
    """Folders of the groups to join, by writing the process into their `cgroup.procs`."""
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name in lower case (`data`) to soft and hard limit."""
    held_by: str = ""
    """What holds the declared limits: CGROUP2, CGROUP1, RLIMITS (several: joined by ` + `), or empty: nothing does."""
    not_held: Mapping[str, str] = field(default_factory=dict)
    """Each declared limit that is not held here, and why."""
