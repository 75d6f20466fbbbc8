"""The way over SSH: a real server on loopback, a fake agent behind it, the real program in front."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bhtui.cli.demo import sshd
from bhtui.cli.demo.processes import descendants, started

from ..conftest import Home
from ..fake_agent import FakeAgent


@pytest.fixture(params=["openssh", "asyncssh"])
async def served(home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    if request.param == "asyncssh":
        monkeypatch.setattr(sshd, "_openssh", lambda folder, port: [])
    name = await asyncio.to_thread(sshd.up, home.path)
    if request.param == "openssh" and name != "OpenSSH":
        pytest.skip("there is no sshd that runs for this user")
    home.environ["XDG_CACHE_HOME"] = str(home.path / "cache")
    try:
        yield home
    finally:
        await asyncio.to_thread(sshd.down, home.path)


async def test_the_host_demo_answers_and_a_second_up_is_the_same_server(served: Home) -> None:
    record = json.loads((served.path / "ssh" / "server.json").read_text())
    hosts = served.path / "hosts.yaml"
    hosts.write_text(hosts.read_text() + "  web: {address: 192.0.2.1}\n")
    mine = hosts.read_text()
    await asyncio.to_thread(sshd.up, served.path)
    assert json.loads((served.path / "ssh" / "server.json").read_text()) == record
    assert hosts.read_text() == mine
    agent = FakeAgent()
    async with agent.serving(served.run_dir):
        ran = await served.blackhole("status", "--host", "demo", "--output", "json")
        assert ran.err == ""
        assert {each["host"] for each in json.loads(ran.out)} == {"demo"}
        assert "quick" not in agent.calls
        ran = await served.blackhole("start", "api", "--group", "demo")
        assert (ran.code, ran.out) == (0, "demo: start api done in 1.0 s\n")


async def test_a_host_that_is_off_stops_nobody_and_is_named_with_the_remedy(served: Home) -> None:
    async with FakeAgent().serving(served.run_dir):
        ran = await served.blackhole("status", "--host", "demo", "--host", "nobody@127.0.0.1:9")
        assert ran.code == 4
        assert "demo  api-1" in ran.out
        lines = ran.err.splitlines()
        assert lines[0].startswith("nobody@127.0.0.1:9: ")
        assert lines[-1] == "1 of 2 hosts failed; run again on those: --host nobody@127.0.0.1:9"
        ran = await served.blackhole("logs", "--host", "nobody@127.0.0.1:9", "--host", "demo", "--output", "json")
        assert ran.code == 4
        assert {json.loads(line)["host"] for line in ran.out.splitlines()} == {"demo"}


async def test_production_wants_yes_or_the_name_typed(served: Home) -> None:
    file = served.path / "hosts.yaml"
    file.write_text(file.read_text().replace("{demo: {}}", "{demo: {production: true}}"))
    agent = FakeAgent()
    async with agent.serving(served.run_dir):
        ran = await served.blackhole("stop", "api", "--host", "demo")
        assert ran.code == 5
        assert "--yes" in ran.err
        assert not agent.begun
        assert (await served.blackhole("stop", "api", "--host", "demo", "--yes")).code == 0
        assert len(agent.begun) == 1


async def test_a_read_only_host_is_not_changed(served: Home) -> None:
    file = served.path / "hosts.yaml"
    file.write_text(file.read_text().replace("{demo: {}}", "{demo: {read_only: true}}"))
    agent = FakeAgent()
    async with agent.serving(served.run_dir):
        ran = await served.blackhole("start", "--host", "demo")
        assert ran.code == 5
        assert not agent.begun


async def test_down_leaves_no_process(home: Home) -> None:
    await asyncio.to_thread(sshd.up, home.path)
    pid = json.loads((home.path / "ssh" / "server.json").read_text())["pid"]
    key, port = home.path / "ssh" / "user_key", json.loads((home.path / "ssh" / "server.json").read_text())["port"]
    import asyncssh

    async with asyncssh.connect(
        "127.0.0.1", port, client_keys=[str(key)], known_hosts=str(home.path / "ssh" / "known_hosts"), config=None
    ):
        family = [pid, *descendants(pid)]
        assert await asyncio.to_thread(sshd.down, home.path)
        assert [each for each in family if started(each)] == []
    assert not await asyncio.to_thread(sshd.down, home.path)
    assert not Path(home.path / "ssh" / "server.json").exists()
