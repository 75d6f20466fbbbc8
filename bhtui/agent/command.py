"""Runs a short command to its end: a session of its own, killed whole when its time is over, reaped, output bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from subprocess import SubprocessError

# The same whoever starts the agent first: a unit, a cron line, a person with a PATH of their own.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_LIMIT = 4096  # bytes kept of what it says; the rest is read and dropped


@dataclass(frozen=True, slots=True)
class Setting:
    """As whom, where and with what a command runs. `uid`, `gid` and `groups` None: as the agent itself."""

    env: Mapping[str, str] = field(repr=False)
    cwd: str = "/"
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    umask: int = 0o022


Here = Callable[[], Awaitable[Setting]]
"""Finds out the setting of a service's commands. Raises BlackholeError when it cannot be had."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended; `text` is one line that says it. Not `ran`: it could not even be started."""

    ok: bool
    text: str
    output: str = ""
    ran: bool = True


async def run(argv: Sequence[str], setting: Setting, *, timeout: float, stdin: bytes = b"") -> Said:
    """Never raises for what the command does; seconds of `timeout` include its start. `stdin` is what it may read."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE if stdin else DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True,
            env=setting.env, cwd=setting.cwd, user=setting.uid, group=setting.gid, extra_groups=setting.groups,
            umask=setting.umask,
        )  # fmt: skip
    except (OSError, ValueError, SubprocessError) as error:
        return Said(False, f"cannot run {argv[0]}: {_why(error, setting)}", ran=False)
    output = bytearray()
    try:
        async with asyncio.timeout(timeout):
            await asyncio.gather(_feed(process, stdin), _read(process, output))
            code = await process.wait()
    except TimeoutError:
        return Said(False, f"no answer within {timeout:g} s", _text(output))
    finally:
        await _end(process)
    text = _text(output)
    last = text.splitlines()[-1] if text else ""
    return Said(code == 0, f"exit {code}" + (f": {last}" if last else ""), text)


def _why(error: Exception, setting: Setting) -> str:
    """What went wrong before the command was there: its folder, the rights, the program."""
    if not isinstance(error, OSError):
        return str(error)
    where = f" in {setting.cwd}" if error.filename == setting.cwd else ""
    who = "" if setting.uid is None else f" as uid {setting.uid}"
    return f"{(error.strerror or str(error)).lower()}{where}{who}"


async def _feed(process: Process, data: bytes) -> None:
    """A command may end, or close its input, without having read it."""
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: Process, output: bytearray) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.read(65536):
        output += chunk[: OUTPUT_LIMIT - len(output)]


async def _end(process: Process) -> None:
    """What it left behind in its session's group goes with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Before the wait, which else may last as long as a grandchild of another group holds the pipe.
    process._transport.close()  # type: ignore[attr-defined]
    await asyncio.shield(process.wait())


def _text(output: bytearray) -> str:
    return output.decode(errors="replace").strip()
