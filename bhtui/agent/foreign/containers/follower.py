"""Follows what one container prints into the log of its instance, across its runs, its engine's and the agent's.

The first time it is seen, its last lines are taken; from then on every line once. A container that was made anew under
the same name is read from its beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from bhtui.agent.foreign.capture import Captured, Line
from bhtui.core.errors import BlackholeError, NoConnection, NotFound
from bhtui.core.spec import RateSpec, RotateSpec

from .container import Container
from .engine import Engine
from .frames import Piece
from .marks import SECOND, Marks
from .seen import run_of

log = logging.getLogger(__name__)

TAIL = 1000
"""Lines that are taken of what was printed before the first contact."""
SOONEST, LATEST = 0.2, 30.0
"""Seconds to the next try after a stream that ended or an engine that could not be asked."""

Find = Callable[[], Awaitable[tuple[Engine, Container]]]


class Follower:
    """Runs from `begin` to `close`."""

    def __init__(self, name: str, file: Captured, find: Find) -> None:
        self._name, self._file, self._find = name, file, find
        self._changed = asyncio.Event()
        self._marks: Marks | None = None
        self._mark: Mapping[str, Any] = {}
        self._behind = 0
        self._read_run = ""
        """The run whose output was read to its end."""
        self._told = ""
        self._delay = SOONEST
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Follows, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"output of {self._name}")

    def changed(self) -> None:
        """The container may be in another run."""
        self._changed.set()

    def limit(self, rotate: RotateSpec, rate: RateSpec) -> None:
        """Sets when the log is rotated, and how much is kept."""
        self._file.limit(rotate, rate)

    async def close(self) -> None:
        """Ends; the place is remembered."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        await asyncio.to_thread(self._file.close)

    async def _run(self) -> None:
        while not await self._opened():
            await self._pause(LATEST)
        while True:
            self._changed.clear()
            try:
                again = await self._follow()
            except BlackholeError as error:
                await self._say(error)
                await self._pause(self._delay)
                self._delay = min(self._delay * 2, LATEST)
            except Exception:
                # A fault of ours must not end the log of a service for good.
                log.exception("%s: its output cannot be followed", self._name)
                await self._pause(LATEST)
            else:
                self._told = ""
                await self._pause(self._delay if again else None)
                self._delay = min(self._delay * 2, LATEST) if again else SOONEST

    async def _pause(self, seconds: float | None) -> None:
        """Waits for a change, no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _opened(self) -> bool:
        try:
            self._mark, self._behind = await asyncio.to_thread(self._file.open)
        except OSError as error:
            log.error("%s: its output cannot be written to %s: %s", self._name, self._file.path, error)
            return False
        return True

    async def _say(self, error: BlackholeError) -> None:
        """Once for each trouble in a row; that there is no container, or no engine, its status says already."""
        if str(error) != self._told and not isinstance(error, NotFound | NoConnection):
            log.warning("%s: %s", self._name, error)
            await _whole(asyncio.to_thread(self._file.say, str(error)))
        self._told = str(error)

    async def _follow(self) -> bool:
        """Reads until the output ends. Whether there may be more at once. Raises BlackholeError."""
        engine, found = await self._find()
        run, marks = run_of(found), self._marks
        if marks is None or marks.id != found.id:
            mark = self._mark or await _last_lines(engine, found)
            marks = self._marks = Marks(found.id, mark, self._behind)
            self._read_run = ""
        elif run == self._read_run and not found.is_up:
            return False
        else:
            marks.again()
        async with engine.logs(found, marks.since, follow=found.is_up) as batches:
            async for pieces in batches:
                await self._write(engine, marks, pieces)
        if found.is_up:  # it has ended, or its engine has ended the stream
            return True
        self._read_run, self._delay = run, SOONEST
        await _whole(asyncio.to_thread(self._file.end_parts))
        return False

    async def _write(self, engine: Engine, marks: Marks, pieces: Sequence[Piece]) -> None:
        now, coarse = time.time_ns(), engine.name == "podman"
        new = [piece for piece in pieces if marks.take(piece.time_ns)]
        if new:
            lines = [Line(_time(piece, now, coarse), piece.stream, piece.text, piece.partial) for piece in new]
            self._mark, self._delay = marks.mark, SOONEST
            await _whole(asyncio.to_thread(self._file.write, lines, self._mark))


async def _whole(writing: Coroutine[Any, Any, None]) -> None:
    """Waits for a write also when it is cancelled, so that no other begins beside it."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _last_lines(engine: Engine, found: Container) -> dict[str, Any]:
    """The mark before the last TAIL lines, or a few more: those of a whole second, which can be counted again."""
    async with engine.logs(found, tail=TAIL) as batches:
        async for pieces in batches:
            return {"id": found.id, "since": pieces[0].time_ns // SECOND, "count": 0}
    return {"id": found.id}


def _time(piece: Piece, now: int, coarse: bool) -> int:
    """When it was printed. Podman may tell the second alone: what has just come was printed just now."""
    if coarse and piece.time_ns and not piece.time_ns % SECOND:
        return min(max(now, piece.time_ns), piece.time_ns + SECOND - 1)
    return piece.time_ns or now
