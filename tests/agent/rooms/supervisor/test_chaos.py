"""Random orders, crashes, failed and lost starts, new agents: never two processes, and in the end what was asked."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bhtui.agent.keeper import KeeperError, KeeperLost, KeptProcess, SpawnRequest
from bhtui.core.spec import Condition, Restart, RestartSpec, ServiceSpec, StopSpec
from bhtui.core.states import SETTLED, Goal, State
from tests.agent.rooms.supervisor.rig import FakeKeeper, Rig, fake_rig, spec_of
from tests.waiting import eventually

FAST = RestartSpec(policy=Restart.ALWAYS, delay=0.001, maximum=0.004, start_limit=0)
DB = ServiceSpec("db", ("true",), restart=FAST, stop=StopSpec(grace=0.01), replicas=2)
API = ServiceSpec("api", ("true",), restart=FAST, stop=StopSpec(grace=0.01), depends_on={"db": Condition.STARTED})
SPEC = spec_of(DB, API)


class Unreliable(FakeKeeper):
    """Some starts fail, of some the answer is lost though they worked; the rig fails the test if two would run."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice, self.calm = dice, False

    async def spawn(self, request: SpawnRequest) -> KeptProcess:
        await asyncio.sleep(self.dice.random() * 0.003)
        luck = 1.0 if self.calm else self.dice.random()
        if luck < 0.1:
            raise KeeperError("cannot start true: no room", "fork")
        kept = await super().spawn(request)
        if luck < 0.2:
            raise KeeperLost("cannot spawn: no answer")
        if luck < 0.4:
            self.end(request.key, code=1)  # its end is told before its start
        return kept


async def disturb(rig: Rig, keeper: Unreliable, dice: random.Random) -> None:
    name = dice.choice(list(rig.room.picture))
    match dice.randrange(6):
        case 0 | 1:
            await rig.room.start(name, by=dice.choice(["", "op"]))
        case 2:
            await rig.room.stop(name, dice.choice([None, 0.0, 0.005]))
        case 3 | 4:
            for kept in keeper.living(name):
                keeper.end(kept.key, code=dice.choice([0, 1]))
        case 5:
            keeper.stubborn ^= {name}
    await asyncio.sleep(dice.random() * 0.004)


@pytest.mark.parametrize("seed", range(6))
async def test_chaos(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    keeper = Unreliable(dice)
    for _ in range(4):
        async with fake_rig(tmp_path, SPEC, keeper) as rig:
            for _ in range(60):
                await disturb(rig, keeper, dice)
        keeper.exited = lambda ended: None  # no agent listens
        for name in ("db-1", "api-1"):
            for kept in keeper.living(name) if dice.random() < 0.5 else ():
                keeper.end(kept.key, code=1)
        if dice.random() < 0.3:
            keeper.table.clear()
            keeper.boot_id += "+"
    keeper.calm = True
    async with fake_rig(tmp_path, SPEC, keeper) as rig:
        for name in ("db-1", "db-2"):
            await rig.room.start(name)
        await eventually(lambda: all(is_as_asked(rig, keeper, name) for name in rig.room.picture), 20, "what was asked")
        assert all(kept.exit is None for kept in keeper.table.values()), "ended processes are forgotten"


def is_as_asked(rig: Rig, keeper: Unreliable, name: str) -> bool:
    i = rig.room.picture[name]
    living = [kept.pid for kept in keeper.living(name)]
    if i.goal is Goal.UP:
        return i.state is State.RUNNING and living == [i.pid]
    return i.state in SETTLED and i.state is not State.RUNNING and living == []


async def test_a_stop_comes_through_a_full_storm_of_crashes(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(replace(DB, replicas=1))) as rig:
        await rig.room.start("db-1")
        for _ in range(50):
            await eventually(lambda: rig.keeper.living("db-1"))
            rig.keeper.end(rig.keeper.living("db-1")[0].key, code=1)
        await rig.room.stop("db-1")
        await rig.reaches("db-1", State.STOPPED)
        await asyncio.sleep(0.02)
        assert rig.keeper.living("db-1") == []
