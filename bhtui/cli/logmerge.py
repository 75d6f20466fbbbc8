"""Lines of many hosts as one stream: the past merged whole, what comes then through a window of time."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from bhtui.core.errors import BlackholeError
from bhtui.core.logcolumns import Lines
from bhtui.core.logorder import Window

from .loglines import LogReader

TICK = 0.02
"""Seconds between looks at the lines that wait: to put them in order for each batch of each host would cost more than
all else that is done to them."""
Queue = asyncio.Queue[tuple[str, Lines | BlackholeError | None]]
AHEAD = 4
"""Blocks of each host that may wait to be merged; more wait at the host, in its files."""


async def past(readers: Sequence[LogReader]) -> AsyncIterator[Lines]:
    """What was there, in order. A block of each host is read ahead; only the one that is furthest behind is read on."""
    blocks = {reader.name: reader.past() for reader in readers}
    window = Window(blocks, age_ns=None, most=sys.maxsize)
    ahead = {name: asyncio.ensure_future(anext(stream, None)) for name, stream in blocks.items()}
    try:
        while window.sources:
            name = window.behind
            block = await ahead[name]
            if block is None:
                window.end(name)
            else:
                window.push(name, block, sys.maxsize)
                ahead[name] = asyncio.ensure_future(anext(blocks[name], None))
            lines, _ = window.release(0)
            if lines:
                yield lines
        yield window.flush()[0]
    finally:
        for task in ahead.values():
            task.cancel()
        await asyncio.gather(*ahead.values(), return_exceptions=True)


async def newest(streams: AsyncIterator[Lines], count: int) -> Lines:
    """The last so many lines of a stream."""
    kept = Lines()
    async for lines in streams:
        kept.extend(lines)
        if len(kept) > 2 * count + 1000:
            kept = kept.picked(range(len(kept) - count, len(kept)))
    return kept.picked(range(max(0, len(kept) - count), len(kept)))


async def new(readers: Sequence[LogReader]) -> AsyncIterator[tuple[Lines, int]]:
    """What comes, in order, and how many lines at the head of each list are late. The first error of a reader ends all.

    Nothing waits here but what the window and the queue hold: who does not ask for more stops the hosts.
    """
    queue: Queue = asyncio.Queue(AHEAD * len(readers))
    window, loop = Window(reader.name for reader in readers), asyncio.get_running_loop()
    pumps = [asyncio.create_task(_pump(reader, queue)) for reader in readers]
    try:
        while len(window) or window.sources:
            looked = loop.time()
            await _take(queue, window)
            lines, late = window.release(time.time_ns())
            if lines:
                yield lines, late
            if queue.qsize() < len(readers):
                await asyncio.sleep(max(0.0, looked + TICK - loop.time()))
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: LogReader, queue: Queue) -> None:
    end = None
    try:
        async for block in reader.new():
            await queue.put((reader.name, block))
    except BlackholeError as error:
        end = error
    await queue.put((reader.name, end))


async def _take(queue: Queue, window: Window) -> None:
    """Moves what has come into the window; waits for it, but not for long while lines wait there."""
    if queue.empty():
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK if len(window) else None):
                _put(window, *await queue.get())
    for _ in range(queue.qsize()):
        _put(window, *queue.get_nowait())


def _put(window: Window, name: str, block: Lines | BlackholeError | None) -> None:
    if isinstance(block, BlackholeError):
        raise block
    if block is None:
        window.end(name)
    else:
        window.push(name, block, time.time_ns())
