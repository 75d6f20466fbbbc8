"""Streams of many hosts become one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli.loglines import LogReader, newest
from bhtui.cli.merge import merged, together
from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1.logs_pb2 import LogBatch, LogLine, LogsRequest


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


class Flaky:
    """A target whose log breaks off in the middle of a moment with several lines."""

    name = "web"
    production = read_only = False

    def __init__(self, lines: list[LogLine]) -> None:
        self.lines = lines
        self.connections = 0

    async def client(self) -> Any:
        return SimpleNamespace(logs=self.logs)

    again = client

    async def logs(self, request: LogsRequest) -> AsyncIterator[LogBatch]:
        self.connections += 1
        some = [line for line in self.lines if line.time_ns >= request.since_ns]
        if self.connections == 1:
            yield LogBatch(caught_up=True)
            yield LogBatch(lines=some[:3])
            raise NoConnection("cannot go on")
        yield LogBatch(lines=some, caught_up=True)


async def test_a_reader_that_connects_again_repeats_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    moments = [(1, "a"), (2, "b"), (2, "c"), (2, "d"), (3, "e")]
    target = Flaky([LogLine(time_ns=ns, instance="api-1", message=text) for ns, text in moments])
    reader = LogReader(target, LogsRequest(follow=True))
    assert [line async for line in reader.past()] == []
    assert [line.message async for _, line in reader.new()] == ["a", "b", "c", "d", "e"]
    assert target.connections == 2
    assert "connecting again" in capsys.readouterr().err


async def test_the_newest_of_many() -> None:
    target = Flaky([])

    async def lines() -> AsyncIterator[tuple[Any, LogLine]]:
        for n in range(5000):
            yield target, LogLine(time_ns=n)

    assert [line.time_ns for _, line in await newest(lines(), 3)] == [4997, 4998, 4999]
