"""Errors of the domain cross the wire whole, as what they were."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from bhtui.core.errors import BlackholeError, ConfigError, NoConnection, NotFound, Problem, Refused, UsageError
from bhtui.rpc import errors
from bhtui.rpc.client import AgentClient
from tests.cli.fake_agent import FakeAgent

LONG = "cannot start api: it ended at once\n" + "\n".join(f"line {n} — ünïcode" for n in range(4000))


class Failing(FakeAgent):
    error: Exception = Refused("")

    async def Info(self, request: Any, context: Any) -> Any:
        await errors.abort(context, self.error)


@pytest.mark.parametrize(
    "error",
    [
        UsageError("cannot read this: no"),
        NotFound("cannot find api: it is not declared"),
        NoConnection("cannot reach storage: it is gone"),
        Refused("cannot stop api: operation 1f0c22ab holds it"),
        BlackholeError(LONG),
        ConfigError(
            (Problem("a.yaml", 3, 1, "unknown key `comand`", "did you mean command"), Problem("a.yaml", 0, 0, "x"))
        ),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_arrives_as_it_was(error: BlackholeError, short_dir: Path) -> None:
    agent = Failing()
    agent.error = error
    async with agent.serving(short_dir) as socket, AgentClient(socket) as client:
        with pytest.raises(type(error)) as caught:
            await client.info()
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    if isinstance(error, ConfigError):
        assert isinstance(caught.value, ConfigError)
        assert caught.value.problems == error.problems


async def test_a_fault_of_the_agent_is_named_as_one(short_dir: Path) -> None:
    agent = Failing()
    agent.error = KeyError("x")
    async with agent.serving(short_dir) as socket, AgentClient(socket) as client:
        with pytest.raises(BlackholeError, match="unexpected KeyError"):
            await client.info()


async def test_nobody_there(short_dir: Path) -> None:
    async with AgentClient(short_dir / "none.sock") as client:
        with pytest.raises(NoConnection, match="cannot reach the agent"):
            await client.info()


async def test_a_stuck_agent_has_a_deadline(short_dir: Path) -> None:
    release = asyncio.Event()

    class Stuck(FakeAgent):
        async def Info(self, request: Any, context: Any) -> Any:
            await release.wait()

    async with Stuck().serving(short_dir) as socket, AgentClient(socket, timeout=0.2) as client:
        with pytest.raises(NoConnection, match="in time"):
            await client.info()
        release.set()


def test_every_error_has_a_code_and_comes_back() -> None:
    for kind, code in errors.CODES:
        assert errors.ERRORS[code] is kind


def test_an_older_agent_is_named() -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNIMPLEMENTED, grpc.aio.Metadata(), grpc.aio.Metadata(), "Method not found!"
    )
    assert "agent upgrade" in str(errors.from_rpc(error))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL])
@pytest.mark.parametrize("details", ["failed to connect to all addresses; last error: UNKNOWN: unix:/run/x", "Socket"])
def test_no_text_of_grpc_is_shown(code: grpc.StatusCode, details: str) -> None:
    none = grpc.aio.Metadata()
    error = errors.from_rpc(grpc.aio.AioRpcError(code, none, none, details))
    assert str(error).startswith("cannot ")
    assert "`blackhole " in str(error)
    assert details not in str(error)
