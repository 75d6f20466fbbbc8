"""First useful frame: from the start of the program to the figures of this machine on the terminal. Peer: glances."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time

from _common import median_of, report, venv
from _managers import PROGRAMS, Blackhole, managed

ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=$ ]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


def seconds(argv: list[str], env: dict[str, str], shown: bytes, timeout: float = 30) -> float:
    """Until the text is on a terminal of 160x48."""
    begun = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, {**env, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "48"})
    try:
        seen = b""
        while shown not in ESCAPES.sub(b"", seen):
            left = begun + timeout - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                raise TimeoutError(f"{argv[0]} did not show {shown!r} within {timeout:g} s")
            seen += os.read(terminal, 65536)
        return time.monotonic() - begun
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def main() -> None:
    with managed(Blackhole, 5) as (made, roll):
        made.start_all()
        roll.wait(5)
        assert isinstance(made, Blackhole)
        env = made.env
        ours = median_of(lambda: seconds([str(PROGRAMS / "bhtui")], env, b"5/5"))
    program = venv("glances") / "bin" / "glances"
    argv = [str(program), "--disable-check-update"]
    theirs = median_of(lambda: seconds(argv, dict(os.environ), b"LOAD"))
    report("first useful frame", "s", ours, "glances", theirs)


if __name__ == "__main__":
    main()
