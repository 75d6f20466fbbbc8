"""What can be learned of a process from outside that another start of it would need. Runs in a thread (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import procfs, sockets
from .place import NOWHERE, Place
from .procfs import Seen
from .sockets import Listening

LIMITS = {
    "Max cpu time": "cpu", "Max file size": "fsize", "Max data size": "data", "Max stack size": "stack",
    "Max core file size": "core", "Max resident set": "rss", "Max processes": "nproc", "Max open files": "nofile",
    "Max locked memory": "memlock", "Max address space": "as", "Max pending signals": "sigpending",
    "Max msgqueue size": "msgqueue", "Max nice priority": "nice", "Max realtime priority": "rtprio",
    "Max realtime timeout": "rttime",
}  # fmt: skip
"""The kernel's words for resource limits, and setrlimit(2)'s."""
DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Subject:
    """A process as it runs. What is not ours to know is None or empty."""

    pid: int
    name: str = ""
    words: tuple[str, ...] = ()
    """Its command line, which it may have overwritten."""
    program: str = ""
    """The file that it executes."""
    is_replaced: bool = False
    """That file was removed or replaced since, by an update above all."""
    folder: str = ""
    """Its working directory."""
    uid: int = 0
    gid: int = 0
    environment: Mapping[str, str] | None = None
    common: Mapping[str, str] = field(default_factory=dict)
    """What everything has that is started there: the environment of its login, and that of the host."""
    umask: int | None = None
    nice: int = 0
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Soft and hard; -1: unlimited."""
    listening: tuple[Listening, ...] = ()
    """Sockets of it and of its children."""
    sockets: tuple[str, ...] = ()
    """Paths of Unix sockets on which it accepts connections."""
    output: str = ""
    """The file that its standard output goes to."""
    has_terminal: bool = False
    parent: Seen | None = None
    parent_words: tuple[str, ...] = ()
    is_kernel: bool = False
    place: Place = NOWHERE


def read(pid: int) -> Subject | None:
    """The process of that number; None when there is none."""
    every = procfs.processes()
    seen = every.get(pid)
    if seen is None:
        return None
    status = _status(pid)
    program = procfs.link(f"/proc/{pid}/exe")
    family = [each for each in every if pid in procfs.ancestors(each, every)]
    inodes = {inode for each in family for inode in sockets.sockets_of(each)}
    net = Path(f"/proc/{pid}/net")
    parent = every.get(seen.parent)
    return Subject(
        pid=pid,
        name=seen.name,
        words=tuple(procfs.words(pid)),
        program=program.removesuffix(DELETED),
        is_replaced=program.endswith(DELETED),
        folder=procfs.link(f"/proc/{pid}/cwd").removesuffix(DELETED),
        uid=_second(status, "Uid"),
        gid=_second(status, "Gid"),
        environment=environment(pid),
        common=_common(pid, every),
        umask=int(status["Umask"], 8) if status.get("Umask") else None,
        nice=seen.nice,
        rlimits=rlimits(pid),
        listening=tuple(each for each in sockets.listening(net) if each.inode in inodes),
        sockets=tuple(_unix(net / "unix", inodes)),
        output=_output(pid),
        has_terminal=_has_terminal(pid),
        parent=parent,
        parent_words=tuple(procfs.words(parent.pid)) if parent else (),
        is_kernel=seen.is_kernel,
        place=seen.place,
    )


def _status(pid: int) -> dict[str, str]:
    lines = procfs.read(f"/proc/{pid}/status").decode(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _second(status: Mapping[str, str], key: str) -> int:
    """Of the four ids the one in force."""
    numbers = status.get(key, "").split()
    return int(numbers[1]) if len(numbers) > 1 else 0


def environment(pid: int) -> dict[str, str] | None:
    """With what it was started; None when that is not ours to know."""
    if not os.access(f"/proc/{pid}/environ", os.R_OK):
        return None
    pairs = procfs.read(f"/proc/{pid}/environ", 1 << 20).decode("utf-8", "surrogateescape").split("\0")
    return {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals and name}


def _common(pid: int, every: Mapping[int, Seen]) -> dict[str, str]:
    """The environment with which its session began (a login, a job of cron), and what the host gives to all."""
    found: dict[str, str] = {}
    for file in (Path("/etc/environment"), Path("/etc/default/locale")):
        lines = procfs.read(str(file)).decode(errors="replace").splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
        found |= {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}
    with suppress(OSError):
        leader = os.getsid(pid)
        if leader != pid and leader in every:
            found |= environment(leader) or {}
    return found


def rlimits(pid: int) -> dict[str, tuple[int, int]]:
    """Its resource limits by setrlimit's names."""
    found = {}
    for line in procfs.read(f"/proc/{pid}/limits").decode(errors="replace").splitlines()[1:]:
        name = LIMITS.get(line[:26].strip())
        fields = line[26:].split()
        if name and len(fields) >= 2:
            soft, hard = (-1 if each == "unlimited" else int(each) for each in fields[:2])
            found[name] = soft, hard
    return found


def _unix(table: Path, inodes: set[int]) -> list[str]:
    """Paths on which it accepts connections (flag __SO_ACCEPTCON)."""
    found = []
    for line in procfs.read(str(table), 1 << 20).decode(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7].startswith("/") and int(fields[3], 16) & 0x10000 and int(fields[6]) in inodes:
            found.append(fields[7])
    return sorted(set(found))


def _output(pid: int) -> str:
    target = procfs.link(f"/proc/{pid}/fd/1").removesuffix(DELETED)
    return target if target.startswith("/") and not target.startswith("/dev/") else ""


def _has_terminal(pid: int) -> bool:
    text = procfs.read(f"/proc/{pid}/stat")
    fields = text[text.rindex(b")") + 2 :].split() if text else []
    return len(fields) > 4 and fields[4] != b"0"
