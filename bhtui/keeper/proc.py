"""What /proc says about processes (proc(5)), read with as few calls as possible."""

from __future__ import annotations

import os
import signal
from functools import cache

TICKS = os.sysconf("SC_CLK_TCK")
KTHREADD = 2


class Stat:
    """The fields of /proc/PID/stat that tell a process and its family. `start` is field 22, in ticks since boot."""

    __slots__ = ("group", "parent", "pid", "session", "start", "state")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.state = fields[0]
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.start = int(fields[19])

    @property
    def is_dead(self) -> bool:
        """Whether it is a zombie: ended, and waiting for its parent to notice."""
        return self.state in b"ZXx"


def read(path: str) -> bytes:
    """The whole of a /proc or cgroup file; empty when the process or the file is gone or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts = []
    try:
        while part := os.read(fd, 65_536):
            parts.append(part)
    except OSError:
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)


def stat(pid: int) -> Stat | None:
    """The process of that number now, or None."""
    text = read(f"/proc/{pid}/stat")
    return Stat(pid, text[text.rindex(b")") + 2 :].split()) if text else None


def start_of(pid: int) -> int:
    """When the process was started, in ticks since boot; 0 when there is none (or it is a zombie)."""
    found = stat(pid)
    return 0 if found is None or found.is_dead else found.start


def scan() -> dict[int, Stat]:
    """Every living user process of this host."""
    found = (stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {one.pid: one for one in found if one and not one.is_dead and KTHREADD not in (one.pid, one.parent)}


def has_environment(pid: int, entries: list[bytes]) -> bool:
    """Whether the process was started with all of these NAME=VALUE entries."""
    padded = b"\0" + read(f"/proc/{pid}/environ")
    return all(b"\0" + entry + b"\0" in padded for entry in entries)


@cache
def boot_id() -> str:
    """The kernel's name for this boot."""
    return read("/proc/sys/kernel/random/boot_id").decode().strip()


def pid_of(pidfd: int) -> int:
    """The process a pidfd stands for; -1 when it is gone and reaped."""
    for line in read(f"/proc/self/fdinfo/{pidfd}").splitlines():
        if line.startswith(b"Pid:"):
            return int(line[4:])
    return -1


def send(pid: int, start: int, number: int) -> None:
    """Signals the process of that number only if it is still the one that was started then, and only if we may."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if start_of(pid) == start:
            signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return  # gone, or another user's: it will be among those that remain
    finally:
        os.close(pidfd)
