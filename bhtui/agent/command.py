"""Runs a short command to its end: a session of its own, killed whole when its time is over, reaped, output bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OUTPUT_LIMIT = 4096  # bytes kept of what it says; the rest is read and dropped


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended; `text` is one line that says it."""

    ok: bool
    text: str
    output: str = ""


async def run(
    argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None, cwd: str | None = None
) -> Said:
    """Never raises for what the command does; seconds of `timeout` include its start."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=env, cwd=cwd, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return Said(False, f"cannot run {argv[0]}: {getattr(error, 'strerror', None) or error}")
    output = bytearray()
    try:
        async with asyncio.timeout(timeout):
            await _read(process, output)
            code = await process.wait()
    except TimeoutError:
        return Said(False, f"no answer within {timeout:g} s", _text(output))
    finally:
        await _end(process)
    text = _text(output)
    last = text.splitlines()[-1] if text else ""
    return Said(code == 0, f"exit {code}" + (f": {last}" if last else ""), text)


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
