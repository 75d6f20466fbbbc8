"""A Python for hosts that have none, or one that is too old: an archive from the console's cache, as one more layer.

The layout is that of the common relocatable builds: `python/bin/python3` inside a .tar.gz whose name tells version and
platform, for example `cpython-3.12.7+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from .probe import Found
from .state import LinkError, LinkState
from .target import OLDEST_PYTHON, parse_libc

_NAME = re.compile(r"(?:cpython|python)-(\d+)\.(\d+)(?:\.\d+)?.*\.tar\.gz")
_MACHINES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}


@dataclass(frozen=True, slots=True)
class Runtime:
    """An archive that fits."""

    path: Path
    version: tuple[int, int]

    def digest(self) -> str:
        """SHA-256 of the archive, hex. Reads it all; blocking."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def choose(found: Found, host: str, cache: Path) -> Runtime:
    """The newest fitting archive of the cache.

    Raises LinkError (python-too-old): what was found there, what is needed, where an archive would go.
    """
    folder = cache / "runtimes"
    libc, _ = parse_libc(found.libc)
    fitting = []
    for path in folder.glob("*.tar.gz"):
        match = _NAME.fullmatch(path.name)
        machine = any(word in path.name for word in _MACHINES.get(found.machine, (found.machine,)))
        if match and machine and ("musl" in path.name) == (libc == "musl"):
            version = (int(match[1]), int(match[2]))
            if version >= OLDEST_PYTHON:
                fitting.append(Runtime(path, version))
    if fitting:
        return max(fitting, key=lambda runtime: (runtime.version, runtime.path.name))
    there = "; ".join(python.shown for python in found.pythons) or "no Python at all"
    needed = "{}.{}".format(*OLDEST_PYTHON)
    raise LinkError(
        LinkState.PYTHON_TOO_OLD,
        f"cannot run the agent on {host}: it needs Python {needed} or newer and {host} has {there}",
        f"install python{needed} there, name one with python: in hosts.yaml, or put a relocatable build for "
        f"{found.machine} {libc} (python/bin/python3 in a .tar.gz, its name beginning with cpython-3.) into {folder}",
    )
