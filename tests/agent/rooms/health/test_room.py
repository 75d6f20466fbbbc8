from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bhtui.agent.command import Setting
from bhtui.agent.rooms.health import room as module
from bhtui.agent.rooms.health.model import ProbeResult, Verdict
from bhtui.agent.rooms.health.room import HealthRoom
from bhtui.core.errors import NotFound
from bhtui.core.spec import ProbeKind, ProbeSpec
from bhtui.core.states import Health
from tests.waiting import eventually

SPEC = ProbeSpec(ProbeKind.TCP, ":1", interval=0.05, timeout=0.2, retries=2)
LOG = Path("/dev/null")


async def here() -> Setting:
    return Setting({})


class Told:
    """A probe that answers what it is told to."""

    def __init__(self) -> None:
        self.result = ProbeResult(True)
        self.hangs = self.breaks = False
        self.asked = self.closed = 0

    async def ask(self) -> ProbeResult:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(1000)
        if self.breaks:
            raise RuntimeError("a bug")
        return self.result

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
async def room() -> AsyncIterator[HealthRoom]:
    one = HealthRoom()
    yield one
    await one.close()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(module, "make", lambda name, spec, path, since, here: told)
    return told


async def test_it_tells_each_change_once(room: HealthRoom, probe: Told) -> None:
    said: list[Verdict] = []
    room.watch("api-1", SPEC, said.append, 1, LOG, here)
    await eventually(lambda: probe.asked > 3)
    assert [verdict.health for verdict in said] == [Health.HEALTHY]
    probe.result = ProbeResult(False, detail="refused")
    await eventually(lambda: said[-1].health is Health.UNHEALTHY)
    assert [(v.health, v.detail) for v in said[1:]] == [(Health.HEALTHY, "refused"), (Health.UNHEALTHY, "refused")]


async def test_a_probe_that_hangs_or_breaks_is_a_failure(room: HealthRoom, probe: Told) -> None:
    said: list[Verdict] = []
    probe.hangs = True
    room.watch("api-1", SPEC, said.append, 1, LOG, here, starting=False)
    await eventually(lambda: said and said[-1].health is Health.UNHEALTHY)
    assert said[-1].detail == "no answer within 0.2 s"
    probe.hangs, probe.breaks = False, True
    await eventually(lambda: said[-1].detail == "the probe itself failed: a bug")
    probe.breaks = False
    await eventually(lambda: said[-1].health is Health.HEALTHY)
    assert room.statistics().failed >= 3


async def test_check_asks_now(room: HealthRoom, probe: Told) -> None:
    slow = ProbeSpec(ProbeKind.TCP, ":1", interval=1000, timeout=1, retries=1)
    room.watch("api-1", slow, lambda verdict: None, 1, LOG, here, starting=False)
    await eventually(lambda: probe.asked == 1)
    probe.result = ProbeResult(False, detail="gone")
    verdict = await room.check("api-1")
    assert (verdict.health, verdict.detail) == (Health.UNHEALTHY, "gone")
    with pytest.raises(NotFound):
        await room.check("api-2")


async def test_forget_ends_it_also_in_the_middle(room: HealthRoom, probe: Told) -> None:
    probe.hangs = True
    room.watch("api-1", SPEC, lambda verdict: None, 1, LOG, here)
    await eventually(lambda: probe.asked)
    room.forget("api-1")
    await eventually(lambda: probe.closed)
    assert room.statistics().watched == 0


async def test_what_needs_no_asking_is_healthy_at_once(room: HealthRoom) -> None:
    said: list[Verdict] = []
    room.watch("a-1", ProbeSpec(), said.append, 1, LOG, here)
    room.watch("b-1", ProbeSpec(ProbeKind.LOG, "ready"), said.append, 1, LOG, here, starting=False)
    assert [verdict.health for verdict in said] == [Health.HEALTHY] * 2


async def test_two_hundred_probes_are_not_late(room: HealthRoom) -> None:
    """Said with a wide margin: this machine is shared."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        spec = ProbeSpec(ProbeKind.TCP, target, interval=0.5)
        well: set[str] = set()
        for number in range(200):
            name = f"api-{number}"
            room.watch(name, spec, lambda verdict, n=name: well.add(n), 1, LOG, here)  # type: ignore[misc]
        await eventually(lambda: len(well) == 200 and room.statistics().asked > 600)
        assert room.statistics().failed == 0
        assert room.statistics().worst_lag < 5


async def test_failures_count_although_the_clock_was_set_back(probe: Told) -> None:
    now = [time.time_ns()]
    room, said = HealthRoom(lambda: now[0]), []
    room.watch("api-1", SPEC, said.append, 1, LOG, here, starting=False, since_ns=now[0])
    await eventually(lambda: probe.asked > 1)
    now[0] -= 86_400 * 10**9
    probe.result = ProbeResult(False, detail="refused")
    await eventually(lambda: said[-1].health is Health.UNHEALTHY)
    await room.close()
