"""Another configuration, with the real keeper: what is touched, what is not, and the way back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bhtui.core.request import ReloadConfigRequest, StartRequest
from bhtui.core.spec import Condition, RateSpec, Restart, RestartSpec, ServiceSpec
from bhtui.core.states import State
from tests.agent.rooms.supervisor.rig import Rig, real_rig, spec_of
from tests.waiting import eventually

DB = ServiceSpec("db", ("sleep", "1000"))
API = ServiceSpec("api", ("sleep", "1000"), depends_on={"db": Condition.HEALTHY})


def pids(rig: Rig) -> dict[str, int | None]:
    return {status.instance: status.pid for status in rig.room.status()}


async def test_only_what_changed_is_restarted() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        changed = replace(API, environment={"A": "b"}, replicas=2)
        rig.config.known["new"] = spec_of(DB, changed, replace(DB, name="cache"), digest="new")
        operation = await rig.run(ReloadConfigRequest("new"))
        assert operation.error == ""
        after = pids(rig)
        assert set(after) == {"db-1", "api-1", "api-2", "cache-1"}
        assert after["db-1"] == before["db-1"]
        assert after["api-1"] != before["api-1"]
        assert rig.config.spec.digest == "new"
        rig.config.known["fewer"] = spec_of(DB, replace(changed, replicas=1), digest="fewer")
        assert (await rig.run(ReloadConfigRequest("fewer"))).error == ""
        await eventually(lambda: set(pids(rig)) == {"db-1", "api-1"})
        assert pids(rig)["api-1"] == after["api-1"]


async def test_another_rate_of_log_lines_takes_hold_without_a_restart() -> None:
    flood = ServiceSpec("flood", ("sh", "-c", "while :; do echo x; sleep 0.001; done"))
    async with real_rig(spec_of(flood)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        rig.config.known["new"] = spec_of(replace(flood, rate_limit=RateSpec(lines=1, per=3600)), digest="new")
        assert (await rig.run(ReloadConfigRequest("new"))).error == ""
        assert pids(rig) == before
        path = str(rig.room.log_path("flood", "flood-1"))

        async def limited() -> bool:
            return path in (await rig.keeper.stats())["limited"]

        async with asyncio.timeout(60):
            while not await limited():
                await asyncio.sleep(0.02)


async def test_a_reload_that_fails_brings_back_what_was() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        broken = replace(API, command=("false",), restart=RestartSpec(policy=Restart.ALWAYS))
        rig.config.known["broken"] = spec_of(DB, broken, digest="broken")
        operation = await rig.run(ReloadConfigRequest("broken"))
        assert operation.state == "failed"
        assert "cannot start api-1" in operation.error
        assert rig.config.spec.digest == "old"
        await rig.reaches("api-1", State.RUNNING)
        assert pids(rig)["db-1"] == before["db-1"]
        assert rig.room.picture["api-1"].spec == API
