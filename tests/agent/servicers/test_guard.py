"""What stands around every method, with a real server and client."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from bhtui.agent.servicers import access
from bhtui.agent.servicers.guard import Guard
from bhtui.core.errors import BlackholeError, ConfigError, NotFound, Problem, Refused
from bhtui.rpc.blackhole.v1 import agent_pb2, agent_pb2_grpc, events_pb2, events_pb2_grpc
from bhtui.rpc.client import AgentClient
from tests.waiting import eventually


class World(agent_pb2_grpc.AgentServicer, events_pb2_grpc.EventsServicer):
    """Two servicers that fail as they are told to, and what was observed."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.ended: list[str] = []
        self.observed: list[tuple[str, str, str]] = []

    async def Info(self, request: Any, context: Any) -> agent_pb2.AgentInfo:
        if self.error:
            raise self.error
        return agent_pb2.AgentInfo(agent_pid=7)

    async def Shutdown(self, request: Any, context: Any) -> agent_pb2.ShutdownResponse:
        self.ended.append("shutdown")
        return agent_pb2.ShutdownResponse()

    async def Read(self, request: Any, context: Any) -> AsyncIterator[events_pb2.EventBatch]:
        yield events_pb2.EventBatch()
        if self.error:
            raise self.error
        if request.follow:
            await asyncio.sleep(1000)

    def observe(self, service: str, method: str, status: str, seconds: float) -> None:
        assert seconds >= 0
        self.observed.append((service, method, status))

    @asynccontextmanager
    async def serving(self, read_only: bool = False) -> AsyncIterator[AgentClient]:
        with tempfile.TemporaryDirectory(prefix="bh", dir="/tmp") as folder:
            server = grpc.aio.server(interceptors=[Guard(self.observe)])
            agent_pb2_grpc.add_AgentServicer_to_server(self, server)
            events_pb2_grpc.add_EventsServicer_to_server(self, server)
            server.add_insecure_port(f"unix:{folder}/s")
            await server.start()
            try:
                async with AgentClient(Path(folder, "s"), read_only=read_only) as client:
                    yield client
            finally:
                await server.stop(None)


async def test_calls_are_answered_and_observed() -> None:
    world = World()
    async with world.serving() as client:
        assert (await client.info()).agent_pid == 7
        assert len([batch async for batch in client.events()]) == 1
        await eventually(lambda: len(world.observed) == 2)
    assert world.observed == [("blackhole.v1.Agent", "Info", "OK"), ("blackhole.v1.Events", "Read", "OK")]


async def test_a_reader_reads_and_changes_nothing() -> None:
    world = World()
    async with world.serving(read_only=True) as client:
        assert (await client.info()).agent_pid == 7
        with pytest.raises(Refused, match=r"cannot call blackhole\.v1\.Agent\.Shutdown: this connection is read-only"):
            await client.shutdown()
    assert world.ended == []
    assert world.observed[-1] == ("blackhole.v1.Agent", "Shutdown", "FAILED_PRECONDITION")


async def test_a_method_that_nobody_gave_a_role_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.delitem(access.ACCESS, "/blackhole.v1.Agent/Info")
    async with world.serving() as client:
        with pytest.raises(Refused):
            await client.info()


@pytest.mark.parametrize(
    "error",
    [
        NotFound("cannot find api: there is no such service"),
        ConfigError((Problem("b.yaml", 1, 2, "unknown key", "did you mean command?"),)),
        BlackholeError("cannot do it"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_of_the_domain_arrive_as_they_are(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.error = error
    async with world.serving() as client:
        with pytest.raises(type(error)) as unary:
            await client.info()
        with pytest.raises(type(error)) as stream:
            _ = [batch async for batch in client.events()]
    assert str(unary.value) == str(stream.value) == str(error)
    assert "failed" not in caplog.text


async def test_what_nobody_expected_is_logged_whole_and_told_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.error = KeyError("a fault of ours")
    with caplog.at_level(logging.ERROR, logger="bhtui"):
        async with world.serving() as client:
            for call in (client.info(), anext(aiter(_skip_one(client)))):
                with pytest.raises(BlackholeError, match="unexpected KeyError: 'a fault of ours'; its log says where"):
                    await call
    told = [record for record in caplog.records if record.name == "bhtui.agent.servicers.guard"]
    assert [record.getMessage() for record in told] == [
        "blackhole.v1.Agent.Info failed", "blackhole.v1.Events.Read failed",
    ]  # fmt: skip
    assert all(record.exc_info for record in told)
    assert {status for _, _, status in world.observed} == {"UNKNOWN"}


async def _skip_one(client: AgentClient) -> AsyncIterator[Any]:
    stream = client.events()
    await anext(stream)
    async for batch in stream:
        yield batch


async def test_a_client_that_goes_away_ends_the_call() -> None:
    world = World()
    async with world.serving() as client:
        stream = client.events(follow=True)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        await eventually(lambda: world.observed)
    assert world.observed == [("blackhole.v1.Events", "Read", "CANCELLED")]
