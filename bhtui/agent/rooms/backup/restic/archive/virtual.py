"""Files that are no files: what a command prints, cut and stored while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable

from ..errors import EngineError
from ..pool import die_with
from . import large

_SAID = 400
"""Bytes of what a failed command said that are shown."""


def stream(command: list[str], env: dict[str, str], take: Callable[[memoryview], None]) -> int:
    """Runs a command and gives what it prints in pieces; how many bytes. Raises EngineError: it fails."""
    parent = os.getpid()
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=os.environ | env,
                cwd="/",
                preexec_fn=lambda: die_with(parent),
            )
        except OSError as error:
            raise EngineError(
                "refused", f"cannot run {command[0]}: {(error.strerror or str(error)).lower()}"
            ) from error
        assert process.stdout is not None
        try:
            total = _cut(process.stdout.fileno(), take)
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            code = process.wait()
        if code != 0:
            raise EngineError(
                "refused", f"cannot store what {command[0]} prints: it {_how(code)}{_last(said.fileno())}"
            )
    return total


def _cut(pipe: int, take: Callable[[memoryview], None]) -> int:
    view = memoryview(bytearray(2 * large.MAX))
    filled, total, is_end = 0, 0, False
    while not is_end:
        while filled < len(view) and (count := os.readv(pipe, [view[filled:]])):
            filled += count
        is_end = filled < len(view)
        used = 0
        for chunk in large.cutter().cut_buf(view[:filled]):
            if filled - used < large.MAX and not is_end:
                break  # where this one ends is told by bytes that have not come yet
            take(view[used : used + chunk.length])
            used += chunk.length
        view[: filled - used] = view[used:filled]
        filled -= used
        total += used
    return total


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _last(said: int) -> str:
    size = os.fstat(said).st_size
    text = os.pread(said, _SAID, max(0, size - _SAID)).decode("utf-8", "replace").strip()
    return f": {' '.join(text.split())}" if text else ""
