"""What a host can run: its Python, its C library, its machine, and the wheel tags that fit them. No I/O."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from packaging import tags as wheel_tags

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Target:
    """The interpreter and platform that code is chosen for."""

    python: tuple[int, int]
    machine: str
    libc: str
    """`glibc` or `musl`."""
    libc_version: tuple[int, int]
    threads: str = ""
    """`t` for a free-threaded interpreter."""

    @property
    def abi(self) -> str:
        return f"cp{self.python[0]}{self.python[1]}{self.threads}"

    @property
    def name(self) -> str:
        return f"{self.abi}-{self.libc}{self.libc_version[0]}.{self.libc_version[1]}-{self.machine}"

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """Platform tags, best first: PEP 600 (manylinux), PEP 656 (musllinux)."""
        major, minor = self.libc_version
        kind = "manylinux" if self.libc == "glibc" else "musllinux"
        oldest = 5 if self.libc == "glibc" else 0
        found = []
        for older in range(minor, oldest - 1, -1):
            found.append(f"{kind}_{major}_{older}_{self.machine}")
            legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}.get(older)
            if legacy and kind == "manylinux":
                found.append(f"{legacy}_{self.machine}")
        return tuple(found)

    @cached_property
    def tags(self) -> frozenset[wheel_tags.Tag]:
        """Every wheel tag that fits."""
        return frozenset(self._tags())

    def _tags(self) -> Iterator[wheel_tags.Tag]:
        yield from wheel_tags.cpython_tags(self.python, [self.abi], [*self.platforms, f"linux_{self.machine}"])
        yield from wheel_tags.compatible_tags(self.python, self.abi, self.platforms)

    def fits(self, offered: frozenset[wheel_tags.Tag]) -> bool:
        return not self.tags.isdisjoint(offered)


def parse_libc(text: str) -> tuple[str, tuple[int, int]]:
    """From `getconf GNU_LIBC_VERSION` or `ldd --version`. Raises ValueError when no wheels are built for it."""
    kind = (
        "musl"
        if "musl" in text.lower()
        else "glibc"
        if re.search(r"glibc|gnu libc|gnu c library", text, re.IGNORECASE)
        else ""
    )
    version = (
        re.search(r"Version (\d+)\.(\d+)", text) if kind == "musl" else re.search(r"(\d+)\.(\d+)\s*$", text.strip())
    )
    version = version or re.search(r"(\d+)\.(\d+)", text)
    if not kind or not version:
        raise ValueError(f"unknown C library: {text.strip() or 'it says nothing'}")
    return kind, (int(version[1]), int(version[2]))


def this_machine(libc_text: str, machine: str) -> Target:
    """The target of the interpreter that runs this."""
    libc, version = parse_libc(libc_text)
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return Target(sys.version_info[:2], machine, libc, version, threads)
