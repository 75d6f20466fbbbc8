"""A service that prints numbered lines, and the reading of them back from the captured files.

As a program: `numbered.py PER_SECOND [LENGTH]` prints `n 1 xxx`, `n 2 xxx`, ... for ever; 0: as fast as it can.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

PROGRAM = str(Path(__file__).resolve())


def numbers(folder: Path, instance: str) -> list[int]:
    """The numbers in an instance's files, oldest file first; lines of the keeper's own are left out.

    So is a last line that is still being written: what is read may end anywhere.
    """
    found: list[int] = []
    for path in files(folder, instance):
        for line in path.read_bytes().rpartition(b"\n")[0].splitlines():
            words = line.split(b" ", 3)[3].split()
            if words and words[0] == b"n":
                found.append(int(words[1]))
    return found


def markers(folder: Path, instance: str) -> list[str]:
    """What the keeper itself wrote into the log."""
    lines = [line for path in files(folder, instance) for line in path.read_text(errors="replace").splitlines()]
    return [line.split(" ", 3)[3] for line in lines if " [blackhole] " in line]


def written(folder: Path, pattern: str = "*") -> int:
    """Bytes in a folder's files now. A file that the rotation renames while it is looked at is counted as none."""
    total = 0
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def files(folder: Path, instance: str) -> list[Path]:
    """Rotated files by the time in their names, then the active one."""
    return [*sorted(folder.glob(f"{instance}.2*.log")), folder / f"{instance}.log"]


def main() -> None:
    per_second = int(sys.argv[1])
    tail = b" " + b"x" * int(sys.argv[2]) if len(sys.argv) > 2 else b""
    block = max(1, per_second // 50) if per_second else 200
    number = 0
    out = sys.stdout.buffer
    while True:
        out.write(b"".join(b"n %d%s\n" % (n, tail) for n in range(number + 1, number + block + 1)))
        out.flush()
        number += block
        if per_second:
            time.sleep(block / per_second)


if __name__ == "__main__":
    main()
