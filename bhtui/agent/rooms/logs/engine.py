"""Looks through whole files with ripgrep, in processes of low priority: where may a wanted line be?

One process reads one file, from a given place to its end, and tells the places of what it found as it finds them.
Patterns go to it through a memory file, never as arguments, which others could see. What it finds is only a hint:
`reading` takes the lines apart itself, and reads by itself what is not worth a process or finds too much.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence

from .hints import Hint
from .history import Run

WORTH = 4 << 20
"""Bytes of a file for which a process is begun; less is read as quickly without."""
DENSE = 2048
"""Bytes for each thing found; when there is more, reading everything is as quick."""
PROCESSES = min(4, os.cpu_count() or 1)
NICENESS = 10
PARTS = " P "
"""Part of every partial line: where they are joined, what is wanted may reach over their ends."""
GATHER_SECONDS = 0.01
"""What is found one by one is taken together."""
SAMPLE = 32 << 10
_CHUNK = 1 << 16
_PLACES = re.compile(rb"^(\d+):", re.MULTILINE)
_OPTIONS = ("--no-config", "--text", "--no-mmap", "--threads=1", "--color=never", "--encoding=none", "--case-sensitive")
_FORM = ("--no-heading", "--no-filename", "--no-line-number", "--byte-offset", "--only-matching", "--line-buffered")


class Places:
    """Where in a run something may be wanted, in rising order; grows while its process runs."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.is_known = False
        """Nothing more comes."""
        self.is_dense = False
        """Too much was found, or it could not be looked for: the rest has to be read."""
        self._found = array("Q")
        self._most = (run.end - run.start) // DENSE
        self._rest = b""

    def after(self, position: int) -> int:
        """The first place at or after a position; the run's end when there is none, -1 when that is not known yet."""
        at = bisect_left(self._found, position)
        if at < len(self._found):
            return self._found[at]
        return self.run.end if self.is_known else -1

    def take(self, data: bytes) -> bool:
        """What its process said; False when no more is wanted of it."""
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        self._found.extend(int(place) + self.run.start for place in _PLACES.findall(data[:cut]))
        if self._found and self._found[-1] >= self.run.end:
            self.is_known = True
        self.is_dense = len(self._found) > self._most
        return not (self.is_known or self.is_dense)


class Engine:
    """Looks through runs in the order of their times, a few at once. Belongs to one reading; `close` ends all."""

    def __init__(self, program: str, hint: Hint) -> None:
        self._program, self._hint = program, hint
        self._waiting: deque[Places] = deque()
        self._working: dict[Places, subprocess.Popen[bytes]] = {}
        self._selector = selectors.DefaultSelector()
        self._is_flowing = False
        """Something was found just now, so more of it is likely to come."""

    def look(self, runs: Sequence[Run]) -> dict[Run, Places]:
        """What will be known of these runs; those that are not worth it are left out."""
        places = {run: Places(run) for run in runs if self._is_worth_it(run)}
        if places:
            first = next(iter(places))
            self._hint = self._hint.sharpened(first.read(first.start, first.start + SAMPLE))
        self._waiting.extend(sorted(places.values(), key=lambda each: each.run.first_ns))
        return places

    def _is_worth_it(self, run: Run) -> bool:
        if run.end - run.start < WORTH:
            return False
        try:
            with run.file.opened() as fd:
                return os.fstat(fd).st_size - run.start <= 2 * (run.end - run.start)  # it cannot stop before
        except FileNotFoundError:
            return False

    def work(self, seconds: float) -> None:
        """Begins what can be begun, and takes what was found, or waits for it for so long."""
        self._fill()
        if seconds and self._is_flowing:
            time.sleep(GATHER_SECONDS)
        self._is_flowing = False
        for key, _ in self._selector.select(seconds) if self._working else ():
            self._take(key.data)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._working) < PROCESSES:
            self._begin(self._waiting.popleft())

    def _begin(self, places: Places) -> None:
        try:
            with places.run.file.opened() as held, os.fdopen(os.memfd_create("patterns"), "wb") as patterns:
                patterns.write("\n".join([*self._patterns(), PARTS]).encode())
                patterns.flush()
                # Opened again, so that its position is its own.
                with open(f"/proc/self/fd/{held}", "rb", buffering=0) as file:
                    file.seek(places.run.start)
                    process = self._start(file.fileno(), patterns.fileno())
        except OSError:
            places.is_dense = True  # removed meanwhile, or no process can be begun: it is read as without an engine
            return
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._working[places] = process
        self._selector.register(process.stdout, selectors.EVENT_READ, places)

    def _patterns(self) -> Iterable[str]:
        # Ignoring case all over, of what parts of lines have in common too, would take twice as long.
        return (f"(?i:{each})" if self._hint.ignore_case else each for each in self._hint.patterns)

    def _start(self, file: int, patterns: int) -> subprocess.Popen[bytes]:
        argv = [self._program, *_OPTIONS, *_FORM, "--file", f"/proc/self/fd/{patterns}", "-"]
        null = subprocess.DEVNULL
        process = subprocess.Popen(argv, 0, stdin=file, stdout=subprocess.PIPE, stderr=null, pass_fds=[patterns])
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process

    def _take(self, places: Places) -> None:
        process = self._working[places]
        assert process.stdout is not None
        data = process.stdout.read(_CHUNK)
        self._is_flowing = bool(data)
        if data is None or (data and places.take(data)):
            return
        code = self._end(places)
        if not data:
            places.is_known = True
            places.is_dense = places.is_dense or code not in (0, 1)  # found, nothing found; else it could not look

    def _end(self, places: Places) -> int:
        process = self._working.pop(places)
        assert process.stdout is not None
        self._selector.unregister(process.stdout)
        process.stdout.close()
        if places.is_dense or places.is_known:
            process.kill()
        return process.wait()

    def close(self) -> None:
        """Ends every process."""
        self._waiting.clear()
        for places in list(self._working):
            places.is_known = True
            self._end(places)
        self._selector.close()
