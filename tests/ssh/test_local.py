"""This machine's own agent: started when needed, found when it runs, without what is slow to import."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.rpc.client import AgentClient
from bhtui.rpc.local import answers, ensure_agent, local_paths
from bhtui.ssh.fleet import Fleet
from bhtui.ssh.inventory import LOCAL, Host
from bhtui.ssh.state import LinkState
from tests.waiting import eventually, until


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bh", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("BLACKHOLE_HOME", folder)
        yield Path(folder)
        until(lambda: not end_all(f"BLACKHOLE_HOME={folder}\0".encode()))


def end_all(mark: bytes) -> bool:
    """Kills the processes with this in their environment, ours aside; whether there was any."""
    found = False
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(proc.name) != os.getpid() and mark in (proc / "environ").read_bytes():
                os.kill(int(proc.name), signal.SIGKILL)
                found = True
    return found


def test_it_is_started_once_and_then_found(home: Path):
    paths = local_paths()
    assert not answers(paths.agent_socket)
    ensure_agent(paths)
    keeper = (home / "run/keeper.lock").read_text()
    ensure_agent(paths)
    assert (home / "run/keeper.lock").read_text() == keeper


def test_a_folder_that_cannot_be_made_is_named(home: Path):
    (home / "run").write_text("")
    with pytest.raises(NoConnection, match=r"cannot start .*/run.*File exists"):
        ensure_agent(local_paths())
    (home / "run").unlink()


def test_it_imports_nothing_that_is_slow():
    code = (
        "import sys, bhtui.rpc.local; print([m for m in ('asyncssh', 'grpc', 'yaml', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def another(client: AgentClient, pid: int) -> bool:
    with suppress(BlackholeError):
        return (await client.info()).agent_pid != pid
    return False


async def test_it_is_a_host_of_the_fleet_without_asyncssh(home: Path):
    async with Fleet([Host(LOCAL)]) as fleet:
        link = fleet.links[LOCAL]
        client = await link.ready(60)
        info = await client.info()
        assert info.bundle == ""
        os.kill(info.agent_pid, signal.SIGKILL)
        await eventually(lambda: another(client, info.agent_pid))
        await eventually(lambda: link.status.state is LinkState.LIVE)
        await client.shutdown()
        await eventually(lambda: link.status.state is LinkState.AGENT_STOPPED)
        assert not await asyncio.to_thread(answers, local_paths().agent_socket)
