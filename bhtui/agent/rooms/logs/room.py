"""The room of captured output: which instances have logs, and reads of them that run beside the agent's loop."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

from bhtui.core.errors import BlackholeError, NotFound
from bhtui.core.logs import LogBatch, LogCounts, LogLine, LogsQuery

from .counting import Counting
from .files import active_name
from .reading import Reading, Source
from .seeking import Engines

AGENT = "agent"
THREADS = 4
FASTEST, FULL, SLOWEST = 0.05, 0.08, 0.1
"""Seconds between looks at followed files: the first after something came, the last when it has been quiet, the other
after MANY lines: a look costs as much as hundreds of them, and so many are read no sooner by whoever reads them."""
MANY = 100


class Logs:
    """Reads the logs under a folder. `declared` names services and instances that may not have written anything yet."""

    def __init__(
        self,
        folder: Path,
        declared: Callable[[], Collection[str]],
        clock: Callable[[], int] = time.time_ns,
        ripgrep: Callable[[], str] = lambda: shutil.which("rg") or "",
    ) -> None:
        self._folder, self._declared, self._clock = folder, declared, clock
        self.engines = Engines(ripgrep)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="logs")
        self._is_closed = False

    def close(self) -> None:
        """Ends all reads; waits for the steps under way, which are short."""
        self._is_closed = True
        self._pool.shutdown(wait=True)

    async def read(self, query: LogsQuery) -> AsyncGenerator[LogBatch, None]:
        """The lines a query asks for, in batches, merged by time; with `follow` it never ends by itself.

        Batches without lines tell how far a search has come. Raises UsageError, NotFound, and BlackholeError when a
        file cannot be read.
        """
        reading = Reading(query, lambda: self.sources(query.names), self._clock, self.engines.begin)
        loop, delay = asyncio.get_running_loop(), FASTEST
        try:
            await loop.run_in_executor(self._pool, self.check_names, query.names)
            while not (reading.is_ended or self._is_closed):
                batch = await loop.run_in_executor(self._pool, reading.next)
                if batch is not None:
                    delay = FULL if len(batch.lines) >= MANY else FASTEST
                    yield batch
                if not reading.has_more:  # a batch of what came in between costs no more than one of a single line
                    await asyncio.sleep(delay)
                    delay = min(delay * 1.5, SLOWEST)
        except OSError as error:
            raise self._unreadable(error) from error
        finally:
            self._dispose(reading)

    def _dispose(self, reading: Reading | Counting) -> None:
        """Closes it after the step that may still be running; a cancelled caller does not wait for it."""
        try:
            self._pool.submit(reading.close)
        except RuntimeError:  # the room is closed, no step runs any more
            reading.close()

    async def count(self, query: LogsQuery, bucket_ns: int, most: int) -> AsyncGenerator[LogCounts, None]:
        """How many lines there are of what a query asks for; the last one has the result, those before tell how far
        it has come. Raises as `read`."""
        counting = Counting(query, lambda: self.sources(query.names), bucket_ns, most, self.engines.begin)
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self.check_names, query.names)
            while not self._is_closed:
                counts = await asyncio.get_running_loop().run_in_executor(self._pool, counting.next)
                yield counts
                if counts.done:
                    return
        except OSError as error:
            raise self._unreadable(error) from error
        finally:
            self._dispose(counting)

    def _unreadable(self, error: OSError) -> BlackholeError:
        return BlackholeError(f"cannot read the logs: {error}; check the permissions of {self._folder} and the disk")

    async def tail(self, instance: str, count: int) -> tuple[LogLine, ...]:
        """The last lines of one instance, oldest first; none when it has not written any. Raises BlackholeError."""
        lines: list[LogLine] = []
        async with aclosing(self.read(LogsQuery(names=(instance,), tail=count))) as batches:
            async for batch in batches:
                lines += batch.lines
        return tuple(lines)

    def sources(self, names: Collection[str]) -> list[Source]:
        """The instances with a log that names stand for."""
        wanted = [one for one in self._found() if one.service in names or one.instance in names or not names]
        return [*wanted, Source(AGENT, AGENT, self._folder / f"{AGENT}.log")] if AGENT in names else wanted

    def check_names(self, names: Collection[str]) -> None:
        """Raises NotFound for a name that is neither declared nor has a log."""
        found = self._found()
        known = {AGENT, *self._declared(), *(one.service for one in found), *(one.instance for one in found)}
        if unknown := sorted(set(names) - known):
            raise NotFound(
                f"cannot read the logs of {', '.join(unknown)}: no such service or instance, and no log of it; "
                f"there are {', '.join(sorted({one.service for one in found} | {AGENT}))}"
            )

    def _found(self) -> list[Source]:
        """Every instance with a file, in the order of their names. During a rotation there is only the rotated one."""
        actives = {path.with_name(active_name(path.name)) for path in self._folder.glob("*/*.log")}
        return [Source(path.parent.name, path.stem, path) for path in sorted(actives)]
