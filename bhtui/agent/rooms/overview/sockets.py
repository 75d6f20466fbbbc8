"""Sockets that listen, and who has them open (/proc/net, proc_pid_net(5)). Runs in a thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import NamedTuple

MOST_LISTENERS = 1000
_LISTENING = "0A"
_UNCONNECTED = "07"
LOOK_SECONDS = 1.0
"""How long it is looked whose sockets they are: a host may have a million open files."""


class Listening(NamedTuple):
    """One socket."""

    protocol: str
    address: str
    """An IP address."""
    port: int
    inode: int
    uid: int

    @property
    def shown(self) -> str:
        """`0.0.0.0:80`, `[::1]:5432`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def listening(net: Path = Path("/proc/self/net")) -> list[Listening]:
    """Every socket that listens, by port; those of UDP that are connected to nobody."""
    found: list[Listening] = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        with suppress(OSError), (net / name).open() as lines:
            next(lines, "")
            found += _of_table(name, lines)
    return sorted(set(found), key=lambda each: (each.protocol, each.port, each.address))[:MOST_LISTENERS]


def _of_table(name: str, lines: Iterable[str]) -> Iterator[Listening]:
    protocol = name.removesuffix("6")
    wanted = _LISTENING if protocol == "tcp" else _UNCONNECTED
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or fields[3] != wanted or not fields[2].endswith(":0000"):
            continue
        address, _, port = fields[1].rpartition(":")
        if int(port, 16):
            yield Listening(protocol, address_of(address), int(port, 16), int(fields[9]), int(fields[7]))


def address_of(text: str) -> str:
    """The address that the kernel writes as 32-bit words in this machine's order of bytes."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    address = ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))
    # One of IPv4 on a socket of IPv6 (::ffff:127.0.0.1) is reached as what it is, and is written so.
    return str(getattr(address, "ipv4_mapped", None) or address)


def holders(inodes: Collection[int], pids: Iterable[int], seconds: float = LOOK_SECONDS) -> dict[int, int]:
    """A process that has each of these sockets open, as far as that is ours to see and is found in time."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, int] = {}
    until = monotonic() + seconds
    for pid in pids:
        if not wanted or monotonic() > until:
            break
        for name in _open_files(pid):
            if (inode := wanted.pop(name, None)) is not None:
                found[inode] = pid
    return found


def _open_files(pid: int) -> Iterator[str]:
    try:
        entries = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - names alone, of every process of the host
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            yield os.readlink(f"/proc/{pid}/fd/{entry}")  # noqa: PTH115


def sockets_of(pid: int) -> set[int]:
    """The inodes of the sockets that a process has open."""
    names = (name for name in _open_files(pid) if name.startswith("socket:["))
    return {int(name[len("socket:[") : -1]) for name in names}
