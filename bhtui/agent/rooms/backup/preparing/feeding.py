"""A client of a database that loads a dump: how far it is, and what it complains of."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bhtui.agent.command import Setting
from bhtui.core.units import format_size

LOOK = 1.0
"""Seconds between two words on how far it is."""
SAID = 400
"""Characters of what it complained of that are told."""


async def feed(argv: Sequence[str], dump: Path, setting: Setting, what: str, progress: Callable[[str], None]) -> str:
    """Why it failed; empty: it has taken in the whole dump. Who is cancelled meanwhile, or out of time, kills it."""
    with dump.open("rb") as file, tempfile.TemporaryFile() as said:
        total = os.fstat(file.fileno()).st_size
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=file, stdout=DEVNULL, stderr=said, start_new_session=True, env=setting.env, cwd=setting.cwd,
            user=setting.uid, group=setting.gid, extra_groups=setting.groups,
        )  # fmt: skip
        try:
            while process.returncode is None:
                at = os.lseek(file.fileno(), 0, os.SEEK_CUR)  # both have the same place in it
                progress(f"loading {what}: {format_size(at)} of {format_size(total)}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(process.wait()), LOOK)
        finally:
            await kill(process)
        text = os.pread(said.fileno(), SAID, 0).decode("utf-8", "replace")
        return "" if process.returncode == 0 else " ".join(text.split()) or f"{Path(argv[0]).name} was killed"


async def kill(process: Process) -> None:
    """Ends what has not ended yet, with all of its session's group."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
