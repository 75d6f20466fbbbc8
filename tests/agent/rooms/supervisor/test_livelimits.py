"""Limits that a configuration changes: what takes them as it runs, with the real keeper and this host's cgroups."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.rooms.supervisor import steps
from bhtui.agent.rooms.supervisor.livelimits import cannot_hold
from bhtui.core import codec
from bhtui.core.diff import fingerprint
from bhtui.core.request import ReloadConfigRequest, RollBackRequest, StartRequest
from bhtui.core.spec import LimitsSpec, Restart, RestartSpec, ServiceSpec
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.agent.rooms.supervisor.rig import Rig, connect, short_root, spec_of

MIB = 1 << 20
API = ServiceSpec("api", ("sleep", "1000"), limits=LimitsSpec(memory=64 * MIB, pids=50, nice=5), replicas=2)
MORE = replace(API, limits=LimitsSpec(memory=128 * MIB, pids=60, nice=7))


def held(name: str) -> tuple[str, str]:
    return "cgroup v2", ""


def test_what_holds_a_limit_decides() -> None:
    none, some = LimitsSpec(), LimitsSpec(memory=MIB)
    assert cannot_hold(none, some, None, held) == ""
    assert cannot_hold(none, some, MIB - 1, held) == ""
    assert cannot_hold(none, some, MIB, held) == "it uses more memory than it may"
    assert cannot_hold(some, some, 2 * MIB, held) == ""
    assert cannot_hold(some, replace(some, nice=3), 2 * MIB, held) == ""
    nothing = lambda name: ("", "there are no cgroups")  # noqa: E731
    assert cannot_hold(none, some, 0, nothing) == "nothing holds memory of what runs: there are no cgroups"
    assert cannot_hold(some, replace(some, nice=3), 0, nothing) == ""


@asynccontextmanager
async def limited_rig() -> AsyncIterator[tuple[Rig, Limits]]:
    """With cgroups that hold memory; skipped where there are none."""
    async with short_root() as root:
        limits = Limits(root / "run")
        if not limits.holder("memory")[0]:
            pytest.skip("nothing holds memory here")
        rigs: list[Rig] = []
        keeper = await connect(root, rigs)
        rig = Rig(root, spec_of(API), keeper, limits=limits)
        rigs.append(rig)
        try:
            await rig.room.adopt()
            yield rig, limits
        finally:
            await rig.close()
            await keeper.shutdown(force=True)
            await keeper.close()
            limits.close()


def memory_of(limits: Limits, name: str) -> int:
    for group in map(Path, limits.groups(name)):
        for file in ("memory.max", "memory.limit_in_bytes"):
            if (group / file).exists():
                return int((group / file).read_text())
    raise AssertionError(f"{name} has no group for memory")


def seen(rig: Rig, limits: Limits) -> list[Any]:
    found = [(n, i.pid, i.ran_as) for n, i in rig.room.picture.items()]
    return [(n, pid, ran, memory_of(limits, n), os.getpriority(os.PRIO_PROCESS, pid or 0)) for n, pid, ran in found]


@pytest.mark.parametrize("rolling", [False, True])
async def test_only_limits_changed_and_nothing_is_restarted(rolling: bool) -> None:
    async with limited_rig() as (rig, limits):
        await rig.run(StartRequest())
        before = seen(rig, limits)
        rig.config.known["more"] = spec_of(MORE, digest="more")
        plan = rig.room.plans.of(ReloadConfigRequest("more", rolling=rolling))
        assert [step.title for step in plan.steps][1:] == [
            f"hold api-{n}: memory 128 M instead of 64 M, pids 60 instead of 50, nice 7 instead of 5, as it runs"
            for n in (1, 2)
        ]
        assert "api: limits.memory 64 M -> 128 M, without a restart" in plan.effects
        reload = await rig.run(ReloadConfigRequest("more", rolling=rolling))
        assert reload.error == ""
        assert seen(rig, limits) == [
            (n, pid, fingerprint(rig.room.picture[n].spec), 128 * MIB, 7) for n, pid, *_ in before
        ]
        again = rig.room.plans.of(ReloadConfigRequest("more"))
        assert again.steps == ()
        assert (await rig.again(RollBackRequest(reload.id))).error == ""
        assert seen(rig, limits) == before


async def test_what_fails_later_takes_the_limits_back() -> None:
    async with limited_rig() as (rig, limits):
        await rig.run(StartRequest())
        before = seen(rig, limits)
        broken = ServiceSpec("new", ("false",), restart=RestartSpec(Restart.NO), depends_on={})
        rig.config.known["more"] = spec_of(MORE, broken, digest="more")
        failed = await rig.run(ReloadConfigRequest("more"))
        assert failed.state == "failed"
        assert "cannot start new-1" in failed.error
        assert [each for each in seen(rig, limits) if each[0] != "new-1"] == before


async def test_what_uses_more_than_it_may_is_restarted_and_says_why() -> None:
    async with limited_rig() as (rig, _):
        await rig.run(StartRequest())
        rig.usage.of = lambda name: type("Sample", (), {"memory_bytes": 50 * MIB})()  # type: ignore[method-assign]
        less = replace(API, limits=replace(API.limits, memory=32 * MIB))
        rig.config.known["less"] = spec_of(less, digest="less")
        plan = rig.room.plans.of(ReloadConfigRequest("less"))
        assert {step.kind for step in plan.steps} == {"service.stop", "spec.apply", "service.start"}
        assert "api-1 is restarted for its limits: it uses more memory than it may" in plan.effects


async def test_the_step_stands_the_suite() -> None:
    async with limited_rig() as (rig, limits):
        await rig.run(StartRequest())
        kinds = {kind.name: kind for kind in steps.kinds(rig.room)}
        args = {"limits": codec.encode(MORE.limits), "before": codec.encode(API.limits)}
        case = Case(kinds["service.hold"], "api-1", lambda: seen(rig, limits), args)
        await check_do_twice(case)
        await check_crash_and_do(case)
        await check_do_and_undo(case)
        await asyncio.sleep(0)
