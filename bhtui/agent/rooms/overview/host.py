"""What the host has and how much of it is in use (proc(5), statvfs(3), the kernel's accounting/psi).

Runs in a thread.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bhtui.core.overview import FileSystem, Interface, Machine, Pressure

from . import procfs

REBOOT = (Path("/run/reboot-required"), Path("/var/run/reboot-required"))
"""Written by Debian's and Ubuntu's packages."""
MOST_DISKS = 50
MOST_INTERFACES = 20
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p", "afs", "fuse.sshfs", "autofs"})
"""Not asked: a server that does not answer would hold the asking thread for ever."""
_LEFT_OUT = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "devtmpfs", "overlay"})
"""Always full, never full, or those of containers, whose disk is shown anyway."""
_RAM = frozenset({"tmpfs", "ramfs"})
_SHOWN_RAM = ("/", "/tmp", "/run", "/dev/shm")  # noqa: S108 - names of mount points


@dataclass(frozen=True, slots=True)
class Counters:
    """What only grows; a rate is the difference of two."""

    busy_ticks: int = 0
    total_ticks: int = 0
    """Of all processors since boot."""
    interfaces: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes received and sent."""


def counters() -> Counters:
    """As they are now."""
    fields = procfs.read("/proc/stat").partition(b"\n")[0].split()[1:9]
    numbers = [int(each) for each in fields]  # user nice system idle iowait irq softirq steal
    busy, total = (sum(numbers) - sum(numbers[3:5]), sum(numbers)) if numbers else (0, 0)
    return Counters(busy, total, dict(_interfaces(procfs.read("/proc/net/dev").decode(errors="replace"))))


def machine(before: Counters, after: Counters, seconds: float, processes: int) -> Machine:
    """Everything, with rates over the `seconds` between the two counters."""
    memory = _memory(procfs.read("/proc/meminfo"))
    load = [float(each) for each in procfs.read("/proc/loadavg").split()[:3]] or [0.0, 0.0, 0.0]
    uptime = procfs.read("/proc/uptime").split()
    ticks = after.total_ticks - before.total_ticks
    swap = memory.get("SwapTotal", 0)
    return Machine(
        hostname=os.uname().nodename,
        os=_os_name(),
        kernel=f"{os.uname().sysname} {os.uname().release}",
        uptime_seconds=float(uptime[0]) if uptime else 0.0,
        cpus=os.cpu_count() or 1,
        cpu_percent=min(100.0, max(0.0, 100 * (after.busy_ticks - before.busy_ticks) / ticks)) if ticks > 0 else None,
        load1=load[0],
        load5=load[1],
        load15=load[2],
        memory_used_bytes=memory.get("MemTotal", 0) - memory.get("MemAvailable", memory.get("MemFree", 0)),
        memory_total_bytes=memory.get("MemTotal", 0),
        swap_used_bytes=swap - memory.get("SwapFree", 0),
        swap_total_bytes=swap,
        processes=processes,
        reboot_required=reboot_required(),
        pressures=tuple(_pressures()),
        disks=tuple(disks(procfs.read("/proc/self/mounts", 1 << 20).decode(errors="replace"))),
        interfaces=tuple(_rates(before, after, seconds)),
    )


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _memory(text: bytes) -> dict[str, int]:
    """Bytes by name."""
    pairs = (line.split() for line in text.decode().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs if len(words) > 1}


def reboot_required() -> str:
    """Why a reboot is wanted: by which packages, or because the running kernel is not installed any more."""
    for flag in REBOOT:
        if flag.exists():
            packages = sorted(set(procfs.read(f"{flag}.pkgs").decode(errors="replace").split()))
            more = f" and {len(packages) - 3} more" if len(packages) > 3 else ""
            return f"for {', '.join(packages[:3])}{more}" if packages else "an update asks for it"
    return ""


def _pressures() -> Iterator[Pressure]:
    for resource in ("cpu", "memory", "io"):
        text = procfs.read(f"/proc/pressure/{resource}").decode()
        found = dict(re.findall(r"^(some|full) avg10=([\d.]+)", text, re.MULTILINE))
        if "some" in found:
            yield Pressure(resource, float(found["some"]), float(found.get("full", 0)))


def _interfaces(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if len(fields) >= 9:
            yield name.strip(), (int(fields[0]), int(fields[8]))


def _rates(before: Counters, after: Counters, seconds: float) -> list[Interface]:
    """The busiest first; those of containers and what never carried anything are left out."""
    found = []
    for name, (received, sent) in after.interfaces.items():
        if name == "lo" or name.startswith(("veth", "cali", "cni")) or not received + sent:
            continue
        old = before.interfaces.get(name)
        if old is None or seconds <= 0:
            found.append(Interface(name))
        else:
            found.append(Interface(name, max(0, received - old[0]) / seconds, max(0, sent - old[1]) / seconds))
    found.sort(key=lambda each: -((each.received_per_second or 0) + (each.sent_per_second or 0)))
    return found[:MOST_INTERFACES]


def disks(mounts: str) -> list[FileSystem]:
    """Mounted file systems that can fill up, each device once, the fullest first."""
    found: dict[object, FileSystem] = {}
    for line in mounts.splitlines():
        fields = [re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), each) for each in line.split(" ")]
        if len(fields) < 4 or fields[2] in REMOTE or (fields[2] in _LEFT_OUT and fields[1] != "/"):
            continue
        if fields[2] in _RAM and fields[1] not in _SHOWN_RAM:
            continue
        if (one := _disk(*fields[:4])) is not None:
            key = fields[0] if fields[0].startswith("/") else fields[1]
            if key not in found or len(one.path) < len(found[key].path):
                found[key] = one
        if len(found) >= MOST_DISKS:
            break
    return sorted(found.values(), key=lambda each: -max(each.used_part, each.inodes_part))


def _disk(device: str, path: str, kind: str, options: str) -> FileSystem | None:
    with suppress(OSError):
        space = os.statvfs(path)
        total = (space.f_blocks - space.f_bfree + space.f_bavail) * space.f_frsize
        if total > 0 and not Path(path).is_file():  # a file that is mounted over another, as containers have
            return FileSystem(
                path, device, kind, total, space.f_bavail * space.f_frsize, space.f_files, space.f_favail,
                "ro" in options.split(","),
            )  # fmt: skip
    return None
