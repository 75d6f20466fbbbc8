"""Follows the journal of all declared units of a scope with one journalctl, and writes each unit's lines to its log.

How far a unit has come is kept with its log, so that a next agent goes on there. At the first contact the last lines
are taken over. The process reads from the earliest of these places on; what a unit has already is left out.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bhtui.agent.foreign.capture import Captured, Captures
from bhtui.core.spec import RateSpec, RotateSpec

from .entries import FIELDS, Cursor, Entry, HasLevel, cursor_of, parse

log = logging.getLogger(__name__)

FIRST_LINES = 1000
"""Entries that are taken over when a unit becomes a service."""
AGAIN_SECONDS = 2.0
"""After which journalctl is started again when it has ended."""
GATHER = 0.05
"""Seconds for which units that are declared at the same time are gathered into one journalctl."""
CHUNK = 256 << 10
LONGEST = 8 << 20
"""Bytes of an entry; what is longer is left out, and its place marked."""
TAIL_SECONDS = 5.0
NOTE_SECONDS = 60.0
JOURNALS = ("/var/log/journal", "/run/log/journal")
QUIET = ("journalctl", "--quiet", "--no-pager")
JSON = ("--output=json", "--all", f"--output-fields={','.join(FIELDS)}")


class Followed:
    """One unit, and how far its log has come."""

    def __init__(self, unit: str, captured: Captured) -> None:
        self.unit, self.captured = unit, captured
        self.at: Cursor | None = None
        """None: it has not been opened yet."""
        self.behind = 0
        """Lines after `at` that are in the log already."""
        self.told = ""
        self.noted = 0.0

    def pass_by(self, at: Cursor, now: float) -> None:
        """Nothing of it came up to there. Written down now and then only: it saves reading that again. Blocks."""
        if self.at is None or self.behind or not at.is_after(self.at):
            return
        self.at = at
        if now - self.noted > NOTE_SECONDS:
            self.noted = now
            self.captured.write((), {"journal": at.text})

    def close(self) -> None:
        """Writes down how far it came. Blocks."""
        if self.at is not None:
            if not self.behind:
                self.captured.write((), {"journal": self.at.text})
            self.captured.close()

    def take(self, entries: Sequence[Entry]) -> None:
        """Writes what is new of these. Blocks."""
        for entry in entries:
            if self.at is not None and not entry.cursor.is_after(self.at):
                continue
            lines = entry.lines[self.behind :] if self.behind else entry.lines
            self.behind = max(0, self.behind - len(entry.lines))
            self.at = entry.cursor
            self.captured.write(lines, {"journal": entry.cursor.text}, self.behind)


class Journal:
    """Of one scope: `system`, `user`."""

    def __init__(self, scope: str, has_level: HasLevel, captures: Captures) -> None:
        self._scope, self._has_level, self._captures = scope, has_level, captures
        self._followed: dict[str, Followed] = {}
        self._task: asyncio.Task[None] | None = None
        self._another = asyncio.Event()
        self._turn = asyncio.Lock()
        """Whoever holds it writes to the logs."""

    # ---- who is followed -------------------------------------------------------------------------------------------

    def capture(self, unit: str, path: Path, rotate: RotateSpec, rate: RateSpec) -> None:
        """Writes what the unit prints to this log from now on."""
        if unit in self._followed:
            self._followed[unit].captured.limit(rotate, rate)
            return
        self._followed[unit] = Followed(unit, self._captures.add(path, rotate, rate))
        self._another.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"journal of {self._scope} units")

    async def release(self, unit: str) -> None:
        """It is not wanted any more."""
        followed = self._followed.pop(unit, None)
        if followed is not None:
            self._another.set()
            async with self._turn:
                await asyncio.to_thread(followed.close)

    async def close(self) -> None:
        """Ends journalctl and closes every log."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for unit in list(self._followed):
            await self.release(unit)

    # ---- following -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(GATHER)
            self._another.clear()
            if not self._followed:
                await self._another.wait()
                continue
            try:
                for followed in [each for each in self._followed.values() if each.at is None]:
                    await self._open(followed)
                if why := _unreadable(self._scope):
                    await self._tell(why)
                await self._follow()
            except (OSError, _Ended) as error:
                log.warning("the journal of %s units cannot be followed: %s", self._scope, error)
                await self._tell(str(error))
                await asyncio.sleep(AGAIN_SECONDS)

    async def _open(self, followed: Followed) -> None:
        """Goes on where an earlier agent was, or takes over the last lines. Raises OSError, _Ended."""
        async with self._turn:
            kept, behind = await asyncio.to_thread(followed.captured.open)
            if mark := kept.get("journal"):
                followed.at, followed.behind = cursor_of(str(mark)), behind
                return
            # First the end of the whole journal: what comes after it is read by following.
            end = await self._end()
            found = [e async for e in self._entries(*self._of([followed.unit]), f"--lines={FIRST_LINES}")]
            followed.at = cursor_of("")
            await asyncio.to_thread(followed.take, [entry for entry in found if entry.lines])
            if followed.at.text == "" and end:
                followed.at = cursor_of(end)
                await asyncio.to_thread(followed.captured.write, (), {"journal": end})

    async def _end(self) -> str:
        said = await _output(*QUIET, "--output=cat", "--lines=1", "--show-cursor")
        return next((line[11:] for line in reversed(said.decode(errors="replace").splitlines()) if _is_mark(line)), "")

    async def _follow(self) -> None:
        """Until other units are wanted. Raises _Ended when journalctl ends."""
        units = dict(self._followed)
        begin = min((f.at for f in units.values() if f.at is not None), key=lambda at: at.time_us, default=None)
        since = [f"--after-cursor={begin.text}"] if begin and begin.text else ["--lines=0"]
        reading = asyncio.create_task(self._read(units, [*self._of(list(units)), "--follow", "--no-tail", *since]))
        changing = asyncio.create_task(self._another.wait())
        try:
            await asyncio.wait([reading, changing], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
                raise _Ended("journalctl has ended")
        finally:
            reading.cancel()
            changing.cancel()
            await asyncio.gather(reading, changing, return_exceptions=True)

    async def _read(self, units: dict[str, Followed], arguments: list[str]) -> None:
        async for batch in self._batches(*arguments):
            async with self._turn:
                await asyncio.shield(asyncio.to_thread(self._write, units, batch))

    def _write(self, units: dict[str, Followed], batch: list[Entry]) -> None:
        """Blocks. Those of which there is nothing have come as far as the others."""
        for followed in units.values():
            if followed.unit in self._followed:
                followed.take([entry for entry in batch if entry.unit == followed.unit])
                followed.pass_by(batch[-1].cursor, time.monotonic())

    def _of(self, units: list[str]) -> list[str]:
        option = "--user-unit" if self._scope == "user" else "--unit"
        return [f"{option}={unit}" for unit in units]

    async def _tell(self, why: str) -> None:
        """Writes into each log, once, why nothing comes."""
        async with self._turn:
            for followed in self._followed.values():
                if followed.at is not None and followed.told != why:
                    followed.told = why
                    await asyncio.to_thread(followed.captured.say, f"the journal cannot be read: {why}")

    # ---- journalctl ------------------------------------------------------------------------------------------------

    async def _entries(self, *arguments: str) -> AsyncIterator[Entry]:
        async for batch in self._batches(*arguments):
            for entry in batch:
                yield entry

    async def _batches(self, *arguments: str) -> AsyncIterator[list[Entry]]:
        """What it prints, as it comes. Raises OSError, _Ended."""
        process = await asyncio.create_subprocess_exec(
            *QUIET, *JSON, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert process.stdout and process.stderr
        try:
            rest = b""
            while chunk := await process.stdout.read(CHUNK):
                *whole, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST:
                    rest = b""
                found = [parse(line, self._scope, self._has_level) for line in whole if line]
                if entries := [entry for entry in found if entry is not None]:
                    yield entries
            said = (await process.stderr.read(4096)).decode(errors="replace").strip()
            if await process.wait() != 0 or said:
                raise _Ended(_in_words(said))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def tail(self, run: str, count: int) -> tuple[str, ...]:
        """The last lines of one run of a unit; () when they cannot be had."""
        try:
            said = await _output(*QUIET, "--output=cat", "--all", f"--lines={count}", f"_SYSTEMD_INVOCATION_ID={run}")
        except OSError:
            return ()
        lines = [line.rstrip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        return tuple(line[:300] for line in lines[-count:])


class _Ended(Exception):
    """journalctl has ended, and why."""


def _is_mark(line: str) -> bool:
    return line.startswith("-- cursor: ")


NOT_ALLOWED = "the agent's user may not read it; put him into the group systemd-journal, or run the agent as root"


def _unreadable(scope: str) -> str:
    """Why nothing can be read; empty: it can. journalctl itself would only show nothing."""
    folders = [folder for top in JOURNALS for folder in _listed(Path(top))]
    files = [file for folder in folders for file in _listed(folder) if file.suffix == ".journal"]
    whole = [file for file in files if scope == "user" or file.name.startswith("system")]
    return NOT_ALLOWED if folders and not any(os.access(file, os.R_OK) for file in whole) else ""


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it is not there, or not for everybody's eyes
        return []


def _in_words(said: str) -> str:
    if "insufficient permissions" in said:
        return NOT_ALLOWED
    return said.splitlines()[-1] if said else "journalctl has ended"


async def _output(*argv: str) -> bytes:
    """What a program prints, at most for TAIL_SECONDS. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(TAIL_SECONDS):
            said, _ = await process.communicate()
            return said
    except TimeoutError:
        return b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
