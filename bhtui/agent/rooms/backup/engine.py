"""The child process in which the engine runs: `python -m bhtui.agent.rooms.backup.engine`.

One request a process. On standard input comes one line of JSON, `{"do": VERB, "storage": {...}, "password": "...",
...}`; the password is there and not in an argument or a variable, where others could see it. Standard input then stays
open: its end means that nobody waits any more, and the child ends, its lock removed. On standard output go lines:

    {"progress": {"phase", "bytes", "bytes_total", "files", "files_total", "current"}}      a few a second
    {"note": {"path", "problem"}}                                                           what a person should know
    {"unlocked": "WHOSE"}                                                                   a stale lock was removed
    {"done": {...}}  or  {"failed": {"code", "message"}}                                    the last line

What the verbs are, their arguments and what `done` holds: `verbs`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from .restic import derivation
from .restic.errors import EngineError
from .restic.progress import Note, Progress

GRACE = 20.0
"""Seconds to end in, once nobody waits any more."""


class Child:
    """What the handlers share: the words to the parent, and whether it still listens."""

    def __init__(self, output: Callable[[str], None]) -> None:
        self._output = output
        self._last: object = None
        self.cancelled = threading.Event()
        self._saying = threading.Lock()

    def say(self, key: str, content: object) -> None:
        """One line."""
        with self._saying:
            self._output(json.dumps({key: content}))

    def progress(self, progress: Progress) -> None:
        """How far it is; the same word is not said twice."""
        if progress != self._last:
            self._last = progress
            self.say("progress", asdict(progress))

    def note(self, note: Note) -> None:
        """Something about one path."""
        self.say("note", asdict(note))

    def unlocked(self, lock: str) -> None:
        """A lock was removed behind which nobody stands."""
        self.say("unlocked", lock)


def run(line: str, child: Child) -> int:
    """Carries out one request; the exit code: 0 or 1."""
    try:
        request = json.loads(line)
        if request["storage"]["type"] == "local":
            derivation.begin(request["storage"]["path"], request["password"])
        from .verbs import VERBS  # meanwhile

        verb = VERBS[request["do"]]
    except (ValueError, KeyError, TypeError):
        child.say("failed", {"code": "internal", "message": "cannot do this: the request is not one of the engine's"})
        return 1
    try:
        child.say("done", verb(request, child))
    except EngineError as error:
        child.say("failed", {"code": error.code, "message": str(error)})
        return 1
    except MemoryError:
        child.say("failed", {"code": "internal", "message": "cannot go on: there is not enough memory"})
        return 1
    return 0


def _first_line() -> str:
    """By its descriptor: a thread that waits in `sys.stdin` would hold a lock that forked workers wait for."""
    line = b""
    while not line.endswith(b"\n") and (part := os.read(0, 1 << 16)):
        line += part
    return line.decode()


def _watch(child: Child) -> None:
    """Waits for the end of standard input. A task that does not look for it within a while is ended all the same."""
    while os.read(0, 1 << 16):
        pass
    child.cancelled.set()
    time.sleep(GRACE)
    os._exit(3)


def main() -> int:
    """The whole life of the child."""

    def output(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    # What is made by the thousand here, entries of an index above all, is in no circles.
    gc.set_threshold(20_000, 20, 50)
    child = Child(output)
    line = _first_line()
    threading.Thread(target=_watch, args=(child,), name="watch", daemon=True).start()
    return run(line, child)


if __name__ == "__main__":
    ended = main()
    sys.stdout.flush()
    os._exit(ended)  # the kernel takes back at once what Python would take apart
