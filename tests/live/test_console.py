"""The real console on three hosts in network namespaces of their own, over OpenSSH: one is cut off and comes back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.console.app import Console
from bhtui.console.models.host import HostView
from bhtui.console.options import Options
from bhtui.console.sources.live import LiveBackend
from bhtui.console.sources.message import HostInfo
from bhtui.rpc.blackhole.v1 import operations_pb2 as pb
from bhtui.rpc.client import AgentClient
from bhtui.ssh.fleet import Fleet
from tests.live.hosts import TestHost, TestHosts
from tests.waiting import eventually

NAMES = ("web-1", "web-2", "db-1")
CONFIG = """
services:
  clock:
    command: [sh, -c, "while :; do date; sleep 0.1; done"]
  broken:
    command: [sh, -c, "sleep 0.4; exit 3"]
    restart: {policy: always, delay: 100ms, maximum: 200ms, start_limit: 0}
"""


@pytest.fixture
def hosts() -> Iterator[dict[str, TestHost]]:
    with TestHosts() as made:
        found = {name: made.namespaced(name) for name in NAMES}
        for host in found.values():
            host.home.mkdir(exist_ok=True)
            (host.home / "blackhole.yaml").write_text(CONFIG)
        yield found


def screen(app: Console) -> str:
    return "\n".join(str(strip.text) for strip in app.screen._compositor.render_strips())


async def test_one_host_is_cut_off_and_comes_back(hosts: dict[str, TestHost], tmp_path: Path, cache_home: Path) -> None:
    fleet = Fleet([host.host() for host in hosts.values()], cache_home / "blackhole")
    backend = LiveBackend(tuple(HostInfo(name) for name in NAMES), lambda: fleet, time.time)
    app = Console(backend, time.time, Options(crash_file=tmp_path / "crash"))

    def view(name: str) -> HostView:
        return app.fleet.hosts[name]

    def sequences(name: str) -> list[int]:
        return [event.seq for event in view(name).events]

    async with app.run_test(size=(120, 30)) as pilot:
        await eventually(lambda: all(view(name).fresh(time.time()) for name in NAMES), 90, "three live hosts")
        for name in NAMES:
            client = await fleet.links[name].ready(10)
            await start(client)
        await eventually(lambda: all(len(view(name).instances) == 2 for name in NAMES), 20)

        hosts["web-2"].cut()
        await eventually(lambda: not view("web-2").fresh(time.time()), 20, "web-2 is shown to be stale")
        await eventually(
            lambda: "web-2" in screen(app) and ("stale" in screen(app) or "reconnecting" in screen(app)), 20
        )
        assert view("web-2").instances, "the last known values stay"
        last = sequences("web-2")[-1]
        others = {name: view(name).seen_at for name in ("web-1", "db-1")}
        await eventually(lambda: all(view(name).seen_at > seen + 4 for name, seen in others.items()), 20, "they go on")
        assert all(view(name).fresh(time.time()) for name in others)
        await pilot.press("j", "k")  # and keys are answered meanwhile

        hosts["web-2"].heal()
        fleet.links["web-2"].retry_now()
        await eventually(lambda: view("web-2").fresh(time.time()), 60, "web-2 is live again")
        await eventually(lambda: sequences("web-2")[-1] > last + 4, 30, "what happened meanwhile is told")

        for name in NAMES:
            seen = sequences(name)
            assert seen == list(range(seen[0], seen[-1] + 1)), f"{name}: an event was lost or repeated"


async def start(client: AgentClient) -> None:

    request = pb.OperationRequest(id=uuid.uuid4().hex, reason="test", start=pb.StartRequest())
    operation = await client.begin(request)
    await eventually(lambda: ended(client, operation.id), 30)


async def ended(client: AgentClient, operation: str) -> bool:
    return (await client.operation(operation)).ended_ns > 0
