"""Units of systemd, asked of `systemctl show`, which all versions have and which costs one short process.

Over D-Bus each unit would be a call of its own with 200 properties that are read in Python: measured, twice the time of
this for as many units, and in the agent's own loop. Properties are those of org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bhtui.core.overview import Unit

TYPES = ("*.service", "*.socket", "*.mount", "*.timer", "*.path", "*.swap", "*.automount")
PROPERTIES = (
    "Id", "Description", "LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "MainPID",
    "StateChangeTimestamp", "NRestarts", "MemoryCurrent", "UnitFileState", "FragmentPath",
)  # fmt: skip
TIMEOUT = 10.0
"""Seconds; a manager that is reloading may not answer for long."""
MOST_OUTPUT = 8 << 20

RESULTS = {
    "exit-code": "exit {status}",
    "signal": "killed by {signal}",
    "core-dump": "killed by {signal}, core dumped",
    "timeout": "it did not start or stop in time",
    "oom-kill": "the kernel killed it for want of memory",
    "watchdog": "it stopped telling that it is alive",
    "start-limit-hit": "it was started too often in a short time",
    "resources": "something that it needs could not be set up",
    "protocol": "it did not do what its type of unit promises",
    "exec-condition": "its condition was not met",
    "mount-start-limit-hit": "it was mounted too often in a short time",
}
EXEC = {
    "200": "its working directory cannot be entered",
    "203": "its program cannot be executed",
    "216": "its group does not exist or may not be taken",
    "217": "its user does not exist or may not be taken",
    "226": "its name space cannot be set up",
}
"""What systemd itself ends with before the program runs (systemd.exec(5))."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What systemd answered, or why not."""

    units: tuple[Mapping[str, str], ...] = ()
    """Properties by name."""
    problem: str = ""


def is_systemd_here() -> bool:
    """Whether systemd runs this host (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")  # noqa: PTH112


async def ask(
    patterns: Sequence[str] = TYPES, user: bool = False, more: Sequence[str] = (), timeout: float = TIMEOUT
) -> Asked:
    """The properties, and `more`, of the loaded units of these names."""
    program = shutil.which("systemctl")
    if program is None or (not user and not is_systemd_here()):
        return Asked(problem="systemd does not run this host")
    words = ["--user"] if user else []
    words += ["show", "--no-pager", *(f"--property={name}" for name in (*PROPERTIES, *more)), "--", *patterns]
    try:
        return await _run(program, words, timeout)
    except TimeoutError:
        return Asked(problem=f"systemd has not answered within {timeout:g} s")
    except OSError as error:
        return Asked(problem=f"cannot run {program}: {error.strerror}")


async def _run(program: str, words: Sequence[str], timeout: float) -> Asked:
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment
    )
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode and not out:
        said = err.decode(errors="replace").strip().splitlines()
        return Asked(problem=said[0] if said else f"systemctl ended with {process.returncode}")
    return Asked(parse(out[:MOST_OUTPUT].decode(errors="replace")))


def parse(text: str) -> tuple[Mapping[str, str], ...]:
    """Blocks of `Name=value` lines with an empty line between, as units; aliases name one unit twice."""
    blocks = [
        dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line) for block in text.split("\n\n")
    ]
    return tuple({block["Id"]: block for block in blocks if block.get("Id")}.values())


def to_unit(block: Mapping[str, str], user: str = "") -> Unit:
    """As the overview has it."""
    pid, memory = block.get("MainPID", "0"), block.get("MemoryCurrent", "")
    return Unit(
        name=block["Id"],
        description=block.get("Description", ""),
        state=block.get("ActiveState", ""),
        why=why(block) if block.get("ActiveState") == "failed" else "",
        since_ns=moment(block.get("StateChangeTimestamp", "")),
        pid=int(pid) if pid.isdigit() and pid != "0" else None,
        memory_bytes=int(memory) if memory.isdigit() and int(memory) < 1 << 63 else None,
        user=user,
    )


def why(block: Mapping[str, str]) -> str:
    """Why a unit failed, in words."""
    result, status = block.get("Result", ""), block.get("ExecMainStatus", "")
    if result == "exit-code" and status in EXEC:
        return f"{EXEC[status]} (status {status})"
    text = RESULTS.get(result, result or "failed").format(status=status, signal=_signal(status))
    restarts = block.get("NRestarts", "0")
    return f"{text}, after {restarts} restarts" if restarts not in ("", "0") else text


def _signal(number: str) -> str:
    try:
        return signal.Signals(int(number)).name
    except ValueError:
        return f"signal {number}"


def moment(text: str) -> int:
    """Unix nanoseconds of `Tue 2026-11-24 10:02:11 UTC`; 0 when there is none."""
    try:
        return int(datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC).timestamp()) * 10**9
    except ValueError:
        return 0
