"""The agent's one socket: who may come in, and which way it shows them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from bhtui.agent.frontdoor import FrontDoor
from bhtui.core.errors import NotFound


async def _status(question: Mapping[str, Any]) -> list[str]:
    if "nobody" in question["names"]:
        raise NotFound("cannot show nobody: there is no such service")
    return ["api-1", *question["names"]]


@pytest.fixture
async def door() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bh") as folder:
        run = Path(folder)
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(_echo)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Say": method}),))
        server.add_insecure_port(f"unix:{run}/grpc.sock")
        await server.start()
        front = FrontDoor(run / "agent.sock", run / "grpc.sock", {"status": _status})
        await front.open()
        yield run / "agent.sock"
        await front.close()
        await server.stop(None)


async def _echo(request: bytes, _context: object) -> bytes:
    return request


async def _ask(path: Path, line: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(line + b"\n")
    answer = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return json.loads(answer) if answer else None


async def test_only_the_owner_can_open_the_socket(door: Path) -> None:
    assert stat.S_IMODE(door.stat().st_mode) == 0o600


async def test_quick_road_answers_one_line_with_one_line(door: Path) -> None:
    assert await _ask(door, b'{"quick": "status", "names": ["db-1"]}') == {"ok": ["api-1", "db-1"]}


async def test_quick_road_carries_errors_with_their_exit_code(door: Path) -> None:
    answer = await _ask(door, b'{"quick": "status", "names": ["nobody"]}')
    assert answer == {"error": "cannot show nobody: there is no such service", "exit_code": 3}


@pytest.mark.parametrize("line", [b"{garbage", b'{"quick": "unheard of"}', b"{}", b'{"quick": []}'])
async def test_what_makes_no_sense_is_refused(door: Path, line: bytes) -> None:
    assert (await _ask(door, line))["exit_code"] == 2


async def test_neither_json_nor_http2_is_hung_up_on(door: Path) -> None:
    assert await _ask(door, b"\x00\x01\x02") is None


async def test_grpc_passes_through_also_when_it_is_large(door: Path) -> None:
    payload = os.urandom(3 << 20)
    async with grpc.aio.insecure_channel(f"unix:{door}") as channel:
        assert await channel.unary_unary("/test.Echo/Say")(payload, timeout=60) == payload


async def test_a_thousand_visitors_leave_nothing_behind(door: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await asyncio.gather(*(_ask(door, b'{"quick": "status", "names": []}') for _ in range(100)))
    async with asyncio.timeout(60):
        while len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0.01)


async def test_removed_sockets_come_back(door: Path) -> None:
    for path in list(door.parent.iterdir()):
        path.unlink()
    async with asyncio.timeout(60):
        while not door.exists():
            await asyncio.sleep(0.01)
    assert await _ask(door, b'{"quick": "status", "names": []}') == {"ok": ["api-1"]}
    assert stat.S_IMODE(door.stat().st_mode) == 0o600
    async with grpc.aio.insecure_channel(f"unix:{door}") as channel:
        assert await channel.unary_unary("/test.Echo/Say")(b"hello") == b"hello"
