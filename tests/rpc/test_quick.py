"""The quick road: same answers, same places, clear ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bhtui.core import paths
from bhtui.core.errors import UsageError
from bhtui.rpc import quick
from bhtui.rpc.client import AgentClient
from bhtui.rpc.convert.status import message_to_json
from tests.cli.fake_agent import FakeAgent


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"BLACKHOLE_HOME": "/tmp/x"},
        {"BLACKHOLE_HOME": "~/x/"},
        {"XDG_STATE_HOME": "/tmp/state"},
    ],
)
def test_it_finds_the_socket_where_core_says(environ: dict[str, str], uid: int) -> None:
    assert quick.socket_path(environ, uid) == str(paths.resolve(environ, uid, Path.home()).agent_socket)


def test_both_refuse_a_relative_home_alike() -> None:
    environ = {"BLACKHOLE_HOME": "relative/x"}
    with pytest.raises(UsageError, match="give its whole path") as core:
        paths.resolve(environ, 0, Path.home())
    with pytest.raises(quick.QuickError) as quickly:
        quick.socket_path(environ, 0)
    assert (str(quickly.value), quickly.value.exit_code) == (str(core.value), core.value.exit_code)


async def test_it_answers_as_grpc_does(short_dir: Path) -> None:
    agent = FakeAgent()
    async with agent.serving(short_dir) as socket, AgentClient(socket) as client:
        for names in ([], ["api"]):
            by_quick = await asyncio.to_thread(quick.status, str(socket), names)
            by_grpc = [message_to_json(each) for each in (await client.status(names)).instances]
            assert by_quick == by_grpc


async def test_errors_come_with_their_exit_code(short_dir: Path) -> None:
    async with FakeAgent().serving(short_dir) as socket:
        with pytest.raises(quick.QuickError, match="declared are") as caught:
            await asyncio.to_thread(quick.status, str(socket), ["nothing"])
        assert caught.value.exit_code == 3


async def test_an_agent_that_hangs_up_or_sleeps_is_an_oserror(short_dir: Path) -> None:
    with pytest.raises(OSError):
        quick.status(str(short_dir / "none.sock"))

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(hang_up, short_dir / "a.sock"):
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(quick.status, str(short_dir / "a.sock"))

    async def sleep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(sleep, short_dir / "b.sock"):
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(quick.status, str(short_dir / "b.sock"), (), 0.1)


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, bhtui.rpc.quick; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"grpc", "google", "yaml", "click", "dataclasses", "asyncio", "pathlib"} & set(loaded)
