"""What many hosts say as one stream, in the order of time or as it comes."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def merged(streams: Sequence[AsyncIterator[T]], key: Callable[[T], int]) -> AsyncIterator[T]:
    """The items of all streams, each of which is in order by itself. Holds one item of each stream.

    Raises what a stream raises, when its turn comes.
    """
    heap: list[tuple[int, int, T]] = []

    async def refill(number: int) -> None:
        try:
            item = await anext(streams[number])
        except StopAsyncIteration:
            return
        heapq.heappush(heap, (key(item), number, item))

    await asyncio.gather(*(refill(number) for number in range(len(streams))))
    while heap:
        _, number, item = heapq.heappop(heap)
        yield item
        await refill(number)


async def together(streams: Sequence[AsyncIterator[T]]) -> AsyncIterator[T]:
    """The items of all streams as they come. The first error of a stream ends all."""
    queue: asyncio.Queue[T | BaseException | None] = asyncio.Queue(1000)

    async def pump(stream: AsyncIterator[T]) -> None:
        try:
            async for item in stream:
                await queue.put(item)
            await queue.put(None)
        except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
            await queue.put(error)

    tasks = [asyncio.create_task(pump(stream)) for stream in streams]
    try:
        left = len(tasks)
        while left:
            item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
