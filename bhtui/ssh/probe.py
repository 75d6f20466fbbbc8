"""What a host is: asked by one small sh script in one round trip, its answer parsed strictly."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..core.errors import UsageError
from ..core.paths import Paths, resolve
from ..rpc.stopped import Stopped
from ..rpc.stopped import parse as parse_mark
from .target import OLDEST_PYTHON, Target, parse_libc

_BEGIN, _END = "BLACKHOLE-PROBE-1", "BLACKHOLE-PROBE-END"


@dataclass(frozen=True, slots=True)
class Python:
    """One interpreter found on a host."""

    path: str
    version: tuple[int, int, int]
    implementation: str = "cpython"
    abi: str = ""
    """SOABI, for example `cpython-311-x86_64-linux-gnu`."""
    missing: tuple[str, ...] = ()
    """Parts of the standard library that its package left out and the agent needs."""

    @property
    def shown(self) -> str:
        without = f" without {', '.join(self.missing)}" if self.missing else ""
        kind = "" if self.implementation == "cpython" else f" ({self.implementation})"
        return f"{self.path} {'.'.join(map(str, self.version))}{kind}{without}"

    @property
    def usable(self) -> bool:
        return self.implementation == "cpython" and self.version[:2] >= OLDEST_PYTHON and not self.missing


@dataclass(frozen=True, slots=True)
class Found:
    """Everything the probe learned."""

    os: str
    machine: str
    libc: str
    """As the host names it, `glibc 2.36`."""
    uid: int
    paths: Paths
    base: str
    """BLACKHOLE_HOME there, expanded; empty: the default places."""
    near: str
    """The nearest folder to the state folder that exists."""
    writable: bool
    free_bytes: int | None
    pythons: tuple[Python, ...]
    placed: tuple[str, ...]
    """Folders of bundles and runtimes that are there."""
    socket: str
    """`none`, `dead` (nobody answers) or `answers`."""
    stopped: Stopped | None = None
    """Who stopped the agent there and when; None: nobody did since it last ran."""

    def best_python(self) -> Python | None:
        """The interpreter to use: the one asked for when it is usable, else the first usable one."""
        return next((python for python in self.pythons if python.usable), None)

    def target(self, version: tuple[int, int], abi: str = "") -> Target:
        """What is chosen for an interpreter of this version here. Raises ValueError for an unknown C library."""
        libc, libc_version = parse_libc(self.libc)
        threads = "t" if re.search(r"cpython-\d+t", abi) else ""
        return Target(version, self.machine, libc, libc_version, threads)


def script() -> bytes:
    """The probe itself, to be fed to `sh -s`."""
    return resources.files(__package__).joinpath("probe.sh").read_bytes()


def command(home: str, python: str) -> str:
    """What to execute on the host, with the script on its standard input."""
    return shlex.join(["sh", "-s", "--", home, python])


def parse(output: str) -> Found:
    """The probe's output, whatever a profile printed around it. Raises ValueError saying what is wrong with it."""
    _, begin, rest = output.partition(f"\n{_BEGIN}\n")
    body, end, _ = rest.partition(f"{_END}\n")
    if not begin or not end:
        raise ValueError(f"the probe's answer is cut off: {output.strip()[-200:] or 'it said nothing'}")
    pairs = [line.partition("\t")[::2] for line in body.splitlines() if "\t" in line]
    one = dict(pairs)
    try:
        uid = int(one["uid"])
        environ = {
            "BLACKHOLE_HOME": one["base"],
            "XDG_CONFIG_HOME": one["xdg_config"],
            "XDG_STATE_HOME": one["xdg_state"],
        }
        paths = resolve(environ, uid, Path(one["home"]))
        found = Found(
            os=one["os"],
            machine=one["machine"],
            libc=one["libc"].strip(),
            uid=uid,
            paths=paths,
            base=one["base"],
            near=one["near"],
            writable=one["writable"] == "yes",
            free_bytes=int(one["free_kb"]) * 1024 if one["free_kb"].isdigit() else None,
            pythons=tuple(_python(value) for key, value in pairs if key == "python"),
            placed=tuple(value for key, value in pairs if key == "placed"),
            socket={"yes": "answers", "no": "dead"}.get(one.get("socket", ""), "none"),
            stopped=parse_mark(one["stopped"] or "?") if "stopped" in one else None,
        )
    except (KeyError, UsageError) as error:
        raise ValueError(f"the probe's answer has no usable {error}") from None
    if str(found.paths.state) != one["state"] and Path(one["state"]) != found.paths.state:
        raise ValueError(f"the probe looked at {one['state']} and the agent will use {found.paths.state}")
    return found


def _python(value: str) -> Python:
    version, implementation, abi, path, missing = value.split("|", 4)
    major, minor, micro = map(int, version.split("."))
    return Python(path, (major, minor, micro), implementation, abi, tuple(missing.split()))
