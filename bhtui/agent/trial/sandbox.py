"""Namespaces in which a service sees other data at its own paths, and everything else as it is but its own to change.

It has a network of its own with nothing but loopback, so that its ports are free and nobody is reached; processes of
its own, which all end with the first; and a layer over every file system that holds what it writes, in memory.
namespaces(7), mount_namespaces(7), https://docs.kernel.org/filesystems/overlayfs.html. The standard library has none
of these calls.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_PDEATHSIG = 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
KERNEL = ("/proc", "/sys", "/dev")
"""What is the kernel's own and stays."""
LAYER_SIZE = "512m"
"""What a service may write beside its data before it meets a full disk."""

_libc = ctypes.CDLL(None, use_errno=True)


def end_with(parent: int) -> None:
    """This process is killed when its parent ends."""
    _libc.prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave() -> None:
    """Leaves the namespaces of the host; of processes only children are in the new one. Raises OSError."""
    flags = _NEWNS | _NEWIPC | _NEWPID | _NEWNET
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        flags |= _NEWUSER
    if _libc.unshare(flags):
        raise _error("unshare")
    if uid:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")


def furnish(places: Sequence[tuple[str, str]], scratch: Path) -> None:
    """In the first process of the new namespaces. `places`: what is to be seen where; `scratch` an empty folder.

    Raises OSError.
    """
    _mount("none", "/", flags=_REC | _PRIVATE)
    _mount("layers", str(scratch), "tmpfs", _NOSUID | _NODEV, f"size={LAYER_SIZE},mode=0755")
    (scratch / "host").mkdir()
    _mount("/", str(scratch / "host"), flags=_BIND | _REC)
    held = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # By its descriptor it stays within reach when a layer hides the folder that it is in.
        layers = f"/proc/self/fd/{held}"
        for number, point in enumerate(_points(scratch)):
            _layer(layers, number, point)
        for source, target in places:
            host = f"{layers}/host{source}"
            _make(target, Path(host).is_dir())
            _mount(host, target, flags=_BIND | _REC)
    finally:
        os.close(held)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _loopback()


def _points(scratch: Path) -> list[str]:
    """Where layers go: the folders at the top, and what is mounted below them, outer before inner."""
    top = [f"/{each.name}" for each in os.scandir("/") if each.is_dir(follow_symlinks=False)]
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        mounted = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    found = {*top, *mounted} - {"/"}
    kept = [each for each in found if not _below(each, (*KERNEL, str(scratch))) and Path(each).is_dir()]
    # The folder that the scratch is in comes last: what is below it can then be named no more.
    return sorted(kept, key=lambda each: (str(scratch).startswith(each + "/"), each.count("/"), each))


def _below(path: str, tops: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(top + "/") for top in tops)


def _layer(layers: str, number: int, point: str) -> None:
    """A writable layer in memory; where the file system does not allow one, what is there can only be read."""
    upper, work, lower = f"{layers}/upper{number}", f"{layers}/work{number}", f"{layers}/host{point}"
    for each in (upper, work):
        Path(each).mkdir()
    found = Path(lower).stat()
    Path(upper).chmod(found.st_mode & 0o7777)
    try:
        os.chown(upper, found.st_uid, found.st_gid)
        _mount("overlay", point, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")
    except OSError:
        _mount(lower, point, flags=_BIND)
        _mount("none", point, flags=_BIND | _REMOUNT | _RDONLY)


def _make(target: str, is_folder: bool) -> None:
    path = Path(target)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if is_folder else path.touch()


def _loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        _, flags = struct.unpack("16sh14x", asked)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    if _libc.mount(source.encode(), os.fsencode(target), kind.encode() or None, flags, options.encode() or None):
        raise _error(f"mount {target}")


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
