"""The typed client against a real server: answers, streams, and their ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bhtui.core.errors import NoConnection, NotFound
from bhtui.core.request import StartRequest
from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2
from bhtui.rpc.client import AgentClient, this_actor
from bhtui.rpc.convert.operations import request_to_message
from tests.cli.fake_agent import FakeAgent


async def test_calls_reach_their_methods(short_dir: Path) -> None:
    agent = FakeAgent()
    async with agent.serving(short_dir) as socket, AgentClient(socket) as client:
        assert (await client.info()).agent_pid == 11
        assert len((await client.status()).instances) == 4
        assert [each.instance for each in (await client.status(["api"])).instances] == ["api-1", "api-2"]
        await client.check_health()
        assert (await client.plan(request_to_message(StartRequest(("api",))))).targets == ["api"]
        assert (await client.backups()).hint
        assert (await client.config()).digest == "00"
        assert (await client.validate("services: {}")).services == ["identity", "storage"]
        assert not (await client.series(metrics_pb2.SeriesRequest())).series
        await client.shutdown(keep_services=True)
        assert await client.upgrade() == "0.1.0"
    assert agent.calls == ["check", "shutdown keep=True", "upgrade ''"]


async def test_an_operation_is_watched_to_its_end(short_dir: Path) -> None:
    async with FakeAgent().serving(short_dir) as socket, AgentClient(socket) as client:
        begun = await client.begin(request_to_message(StartRequest(("api", "storage")), "ab" * 16))
        states = [each.state async for each in client.watch_operation(begun.id)]
        assert states[-1] == "done"
        assert [each.id for each in await client.operations()] == ["ab" * 16]
        assert await client.operations(open_only=True) == []


async def test_streams_end_and_can_be_left(short_dir: Path) -> None:
    async with FakeAgent().serving(short_dir) as socket, AgentClient(socket) as client:
        assert [event.seq async for batch in client.events(after=2) for event in batch.events] == [3, 4, 5]
        assert [line.message async for batch in client.logs(logs_pb2.LogsRequest(tail=1)) for line in batch.lines] == [
            "line 5"
        ]
        async for batch in client.events(follow=True):
            assert len(batch.events) == 5
            break
        assert len([each async for each in client.watch_status()]) == 3


async def test_cancelling_a_reader_cancels_and_closing_a_client_says_so(short_dir: Path) -> None:
    async def read(client: AgentClient, got: asyncio.Event) -> None:
        async for _ in client.events(follow=True):
            got.set()

    async with FakeAgent().serving(short_dir) as socket, AgentClient(socket) as client:
        got = asyncio.Event()
        task = asyncio.create_task(read(client, got))
        await asyncio.wait_for(got.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        got = asyncio.Event()
        task = asyncio.create_task(read(client, got))
        await asyncio.wait_for(got.wait(), 60)
        await client.close()
        with pytest.raises(NoConnection, match="closed"):
            await asyncio.wait_for(task, 60)
        with pytest.raises(NoConnection, match="closed"):
            await client.info()


async def test_a_stream_that_loses_its_agent_says_so(short_dir: Path) -> None:
    agent = FakeAgent()
    async with agent.serving(short_dir) as socket, AgentClient(socket) as client:
        stream = client.events(follow=True)
        await anext(stream)
        agent_gone = asyncio.create_task(anext(stream))
    with pytest.raises(NoConnection):
        await asyncio.wait_for(agent_gone, 60)


async def test_errors_are_those_of_core(short_dir: Path) -> None:
    async with FakeAgent().serving(short_dir) as socket, AgentClient(socket) as client:
        with pytest.raises(NotFound, match="declared are api, identity, storage"):
            await client.status(["apj"])
        with pytest.raises(NotFound):
            async for _ in client.watch_operation("ffff"):
                pass


def test_who_sits_here() -> None:
    assert this_actor().name
    assert this_actor().origin
