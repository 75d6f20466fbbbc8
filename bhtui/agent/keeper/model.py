"""What goes to the keeper and what comes back, as types; `bhtui.keeper` describes how it travels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bhtui.core.errors import BlackholeError

SECOND = 1_000_000_000
TICKS = os.sysconf("SC_CLK_TCK")
"""Of those in which the start times of processes are told, in a second."""


class KeeperError(BlackholeError):
    """The keeper could not do it. `stage` says at which step (for spawn: cwd, user, cgroup, exec ...), `errno` why."""

    def __init__(self, text: str, stage: str = "", errno: int = 0) -> None:
        super().__init__(text)
        self.stage, self.errno = stage, errno


class KeeperLost(KeeperError):
    """The keeper did not answer in time, or died before it answered: whether it did it is not known."""


@dataclass(frozen=True, slots=True)
class LogSpec:
    """Where output goes, and when a new file begins: bounds in bytes and seconds, 0: none; `keep` counts old files.

    Of what comes in `rate_s` seconds so many lines and bytes are kept, 0: all.
    """

    path: str
    max_bytes: int = 64 << 20
    max_age_s: float = 0
    keep: int = 10
    rate_lines: int = 0
    rate_bytes: int = 0
    rate_s: float = 0


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """How to start a process. A uid needs a gid; None leaves things as the keeper has them."""

    key: str
    argv: tuple[str, ...]
    log: LogSpec
    tag: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds secrets
    cwd: str | None = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    umask: int | None = None
    nice: int | None = None
    ionice: tuple[int, int] | None = None
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    oom_score_adj: int | None = None
    cgroups: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """The fields of the request; those that are None are left out."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}  # asdict copies all that is in them
        return {name: value for name, value in {**named, "log": asdict(self.log)}.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: an exit code, or a signal, or `unknown` when its keeper had died before it."""

    key: str
    pid: int
    code: int | None
    signal: int | None
    unknown: bool
    time_ns: int
    tag: Mapping[str, Any] = field(default_factory=dict)
    cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    lived: float | None = None
    """Seconds from its start to its end, to a hundredth, by the clock that nobody can set."""


@dataclass(frozen=True, slots=True)
class KeptProcess:
    """A process in the keeper's table. Its identity is pid, `start` (ticks since boot) and `boot`."""

    key: str
    tag: Mapping[str, Any]
    pid: int
    start: int
    boot: str
    cgroups: tuple[str, ...]
    log: LogSpec
    spawned_ns: int
    adopted: bool = False
    exit: Exit | None = None

    def dated(self, now_ns: int, boot_ns: int) -> KeptProcess:
        """With the time of its start by the clock as it is set now; `boot_ns`: since boot, now."""
        by_boot = now_ns - boot_ns + self.start * SECOND // TICKS
        if not self.start or abs(self.spawned_ns - by_boot) < SECOND:
            return self
        return replace(self, spawned_ns=by_boot)


@dataclass(frozen=True, slots=True)
class Killed:
    """What a kill did: how many processes it ended, and the pids that are left."""

    killed: int
    remaining: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replaced:
    """The keeper is another process now. `adopted` are the keys handed over, `lost` those that could not be: why."""

    old_pid: int
    new_pid: int
    adopted: tuple[str, ...]
    lost: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a keeper when there is none: its log directory and the agent it starts when this one dies."""

    log_dir: Path
    agent_argv: tuple[str, ...]


def _ignore(*_: object) -> None:
    """What a listener does that nobody set."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What to call when something happens. Each is called from the event loop and must not block."""

    exited: Callable[[Exit], None] = _ignore
    replaced: Callable[[Replaced], None] = _ignore
    terminate: Callable[[], None] = _ignore
    """The keeper was asked to end: stop the services in order, then call `shutdown`."""
    emergency: Callable[[int, int], None] = _ignore
    """Somebody (uid, pid) killed everything."""


def exit_from(wire: Mapping[str, Any], process: Mapping[str, Any]) -> Exit:
    """The end of a process as the keeper tells it."""
    return Exit(
        process["key"],
        process["pid"],
        wire["code"],
        wire["signal"],
        wire["unknown"],
        wire["time_ns"],
        process["tag"] or {},
        wire["cpu_seconds"],
        wire["max_rss_bytes"],
        max(0, wire["ticks"] - process["start"]) / TICKS if "ticks" in wire and process.get("start") else None,
    )


def process_from(wire: Mapping[str, Any]) -> KeptProcess:
    """An entry of the keeper's table."""
    return KeptProcess(
        wire["key"],
        wire["tag"] or {},
        wire["pid"],
        wire["start"],
        wire["boot"],
        tuple(wire["cgroups"]),
        LogSpec(**wire["log"]),
        wire["spawned_ns"],
        wire["adopted"],
        exit_from(wire["exit"], wire) if wire["exit"] else None,
    )


def to_adopt(process: KeptProcess, names: list[str]) -> dict[str, Any]:
    """The request by which another keeper takes over a process; the descriptors of these names go with it."""
    return {
        "key": process.key, "tag": process.tag, "pid": process.pid, "start": process.start, "cgroups": process.cgroups,
        "log": asdict(process.log), "spawned_ns": process.spawned_ns, "fds": names,
    }  # fmt: skip
