"""The real agent on hosts reached by OpenSSH: what an operator's connection must never disturb or lose."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from pathlib import Path

import pytest

import bhtui
from bhtui.core.errors import BlackholeError
from bhtui.rpc.blackhole.v1 import operations_pb2 as pb
from bhtui.rpc.client import AgentClient
from bhtui.rpc.stopped import Wake
from bhtui.ssh import bundle
from bhtui.ssh.fleet import Fleet
from bhtui.ssh.link import Link
from bhtui.ssh.state import LinkError, LinkState
from tests.live.hosts import TestHost, TestHosts
from tests.waiting import eventually

CONFIG = """
services:
  clock:
    command: [sh, -c, "while :; do date; sleep 0.1; done"]
    replicas: 2
"""


@pytest.fixture
def cache(cache_home: Path) -> Path:
    return cache_home / "blackhole"


def configured(host: TestHost) -> TestHost:
    host.home.mkdir(exist_ok=True)
    (host.home / "blackhole.yaml").write_text(CONFIG)
    return host


async def begin_start(client: AgentClient) -> str:
    request = pb.OperationRequest(id=uuid.uuid4().hex, reason="test", start=pb.StartRequest(services=["clock"]))
    return (await client.begin(request)).id


async def started(client: AgentClient) -> dict[str, int]:
    """Starts the services; their process ids by instance."""
    operation = await begin_start(client)
    await eventually(lambda: _is_done(client, operation))
    return await pids(client)


async def _is_done(client: AgentClient, operation: str) -> bool:
    return (await client.operation(operation)).ended_ns > 0


async def pids(client: AgentClient) -> dict[str, int]:
    return {each.instance: each.pid for each in (await client.status()).instances}


async def sequence(client: AgentClient, after: int = 0) -> list[int]:
    return [event.seq async for batch in client.events(after) for event in batch.events]


async def live_client(link: Link) -> AgentClient:
    await eventually(lambda: link.status.state is LinkState.LIVE, what=str(link.status))
    assert link.client
    return link.client


async def test_an_upgrade_leaves_services_alone(hosts: TestHosts, cache: Path, monkeypatch):
    web = configured(hosts.loopback("web"))
    async with Fleet([web.host()], cache) as fleet:
        client = await fleet.links["web"].ready(60)
        before = await started(client)
        first = await client.info()
    assert first.bundle == web.placed()[0].name
    code = dict(bundle._own_code())
    text = code["bhtui/__init__.py"].decode()
    code["bhtui/__init__.py"] = text.replace(bhtui.__version__, "0.99.0").encode()
    monkeypatch.setattr(bundle, "_own_code", lambda: code)
    monkeypatch.setattr(bhtui, "__version__", "0.99.0")
    async with Fleet([web.host()], cache) as fleet:
        client = await fleet.links["web"].ready(60)
        second = await client.info()
        assert await pids(client) == before
    assert (second.version, second.keeper_pid) == ("0.99.0", first.keeper_pid)
    assert second.bundle != first.bundle
    assert all(before.values())


async def test_a_cut_cable_loses_no_event_and_disturbs_no_operation(hosts: TestHosts, cache: Path):
    near, far = configured(hosts.namespaced("near")), configured(hosts.namespaced("far"))
    async with Fleet([near.host(), far.host()], cache) as fleet:
        await fleet.links["near"].ready(60)
        client = await fleet.links["far"].ready(60)
        operation = await begin_start(client)
        seen = await sequence(client)
        far.cut()
        await eventually(lambda: fleet.links["far"].status.state is LinkState.RECONNECTING)
        assert fleet.links["near"].status.state in (LinkState.LIVE, LinkState.STALE)  # late, where the machine is busy
        far.heal()
        fleet.links["far"].retry_now()
        client = await live_client(fleet.links["far"])
        await eventually(lambda: _is_done(client, operation))
        seen += await sequence(client, seen[-1])
        assert seen == list(range(1, seen[-1] + 1))
        assert seen == await sequence(client)
        assert all((await pids(client)).values())


async def test_the_agent_is_killed_and_the_link_heals_by_itself(hosts: TestHosts, cache: Path):
    import signal

    web = configured(hosts.loopback("web"))
    async with Fleet([web.host()], cache) as fleet:
        link = fleet.links["web"]
        client = await link.ready(60)
        before = await started(client)
        first = await client.info()
        os.kill(first.agent_pid, signal.SIGKILL)
        await eventually(lambda: _another(client, first.agent_pid))
        client = await live_client(link)
        assert await pids(client) == before


async def _another(client: AgentClient, pid: int) -> bool:
    try:
        return (await client.info()).agent_pid != pid
    except BlackholeError:
        return False


@pytest.mark.parametrize("keep_services", [False, True])
async def test_an_agent_that_somebody_stopped_is_not_revived_by_looking(
    hosts: TestHosts, cache: Path, keep_services: bool
):
    web = configured(hosts.loopback("web"))
    seen = set()
    async with Fleet([web.host()], cache) as fleet:
        link = fleet.links["web"]
        client = await link.ready(60)
        before = await started(client)
        watching = asyncio.create_task(_note_states(link, seen))
        await client.shutdown(keep_services)
        await eventually(lambda: link.status.state is LinkState.AGENT_STOPPED)
        assert re.fullmatch(r"the agent of web was stopped by \S+ \d+ s ago", link.status.detail)
        assert link.status.remedy == "start it with `blackhole --host web agent start`"
        assert LinkState.RECONNECTING not in seen
        link.retry_now()
        await eventually(lambda: LinkState.RECONNECTING in seen and link.status.state is LinkState.AGENT_STOPPED)
    await watching
    async with Fleet([web.host()], cache) as fleet:
        with pytest.raises(LinkError, match=r"was stopped by .*; start it with"):
            await fleet.links["web"].ready(60)
    assert (web.home / "state/stopped").exists()
    async with Fleet([web.host()], cache, wake=Wake.ALWAYS) as fleet:
        client = await fleet.links["web"].ready(60)
        assert (await pids(client) == before) is keep_services
    assert not (web.home / "state/stopped").exists()


async def _note_states(link: Link, seen: set[LinkState]) -> None:
    async for status in link.watch():
        seen.add(status.state)


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="it would install a unit of this machine")
async def test_installed_at_boot_and_uninstalled_over_ssh(hosts: TestHosts, cache: Path, tmp_path: Path):
    crontab = tmp_path / "crontab"
    crontab.write_text(f'#!/bin/sh\n[ "$1" != -l ] || exec cat {tmp_path}/table\ncat > {tmp_path}/table\n')
    crontab.chmod(0o755)
    web = hosts.loopback("web", PATH=f"{tmp_path}:{os.environ['PATH']}")
    async with Fleet([web.host()], cache) as fleet:
        link = fleet.links["web"]
        route = link.route
        said = await route.boot(lambda _: None, ["install"])
        assert said.startswith("the agent comes up at boot: an @reboot line in the crontab of ")
        assert "the agent was started" in said
        info = await (await link.ready(60)).info()
        assert info.boot.startswith("an @reboot line")
        assert len((tmp_path / "table").read_text().splitlines()) == 1
        assert info.bundle in (web.home / "state/start").read_text()
        await link.close()
        said = await route.boot(lambda _: None, ["uninstall"])
    assert f"removed: {web.home}/state\n" in said
    assert not web.placed()
    assert [each.name for each in web.home.iterdir()] == ["logs"]
    assert (tmp_path / "table").read_text() == ""


async def test_many_hosts_are_placed_at_once(hosts: TestHosts, cache: Path):
    made = [hosts.loopback(f"h{number}") for number in range(6)]
    async with Fleet([host.host() for host in made], cache) as fleet:
        clients = await asyncio.gather(*(link.ready(90) for link in fleet.links.values()))
        infos = await asyncio.gather(*(client.info() for client in clients))
    assert len({info.agent_pid for info in infos}) == len(made)
    assert len({info.bundle for info in infos}) == 1
