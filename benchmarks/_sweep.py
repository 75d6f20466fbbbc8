"""Leaves nothing behind though a benchmark is killed: a process that outlives it, and ends and removes what it made.

    with swept() as sweep:
        sweep.add(folder)

When the pipe to that process is closed, however that comes about, every process that names one of the folders in its
command line or its environment is killed, and the folders are removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROUNDS = 20
"""Keeper and agent start each other, so that killing once is not enough."""


class Sweep:
    """What is to be gone afterwards."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def add(self, *folders: Path) -> None:
        """From now on these too."""
        assert self._process.stdin
        for folder in folders:
            self._process.stdin.write(f"{folder}\n".encode())
        self._process.stdin.flush()


@contextmanager
def swept() -> Iterator[Sweep]:
    """Until its end, and a little longer."""
    argv = [sys.executable, __file__]
    # A session of its own: Ctrl-C at a terminal, or the end of it, is not for this process.
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield Sweep(process)
    finally:
        process.communicate()


def _those_of(folders: Sequence[bytes]) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            said = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
            if any(folder in said for folder in folders):
                found.append(int(entry.name))
    return found


def main() -> None:
    folders = [line.strip() for line in sys.stdin.buffer if line.strip()]
    for _ in range(ROUNDS if folders else 0):
        found = _those_of(folders)
        if not found:
            break
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for folder in folders:
        shutil.rmtree(folder.decode(), ignore_errors=True)


if __name__ == "__main__":
    main()
