"""Streams of many hosts become one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli.merge import merged, together
from bhtui.core.errors import NoConnection


async def stream(items: list[int]) -> AsyncIterator[int]:
    for item in items:
        yield item


@given(st.lists(st.lists(st.integers(0, 50)).map(sorted), max_size=4))
def test_merged_is_in_order_and_loses_nothing(parts: list[list[int]]) -> None:
    async def run() -> list[int]:
        return [item async for item in merged([stream(part) for part in parts], lambda item: item)]

    assert asyncio.run(run()) == sorted(item for part in parts for item in part)


async def test_together_loses_nothing_and_raises_what_a_stream_raises() -> None:
    got = [item async for item in together([stream([1, 2]), stream([3])])]
    assert sorted(got) == [1, 2, 3]

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise NoConnection("cannot go on")

    with pytest.raises(NoConnection):
        async for _ in together([broken()]):
            pass


async def test_together_ends_its_tasks_when_left() -> None:
    async def endless() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    source = together([endless()])
    assert await anext(source) == 1
    await source.aclose()  # type: ignore[attr-defined]
    assert len(asyncio.all_tasks()) == 1
