"""Rolling reloads with the real keeper: in which order, what a failure leaves, the way on and the way back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from bhtui.agent.rooms.supervisor.resuming import advice
from bhtui.core.diff import fingerprint
from bhtui.core.errors import Refused, UsageError
from bhtui.core.operation import Actor, Operation
from bhtui.core.request import (
    OnFailure,
    ReloadConfigRequest,
    RestartRequest,
    ResumeRequest,
    RollBackRequest,
    StartRequest,
)
from bhtui.core.spec import Condition, ProbeKind, ProbeSpec, Restart, RestartSpec, ServiceSpec, Spec
from bhtui.core.states import State
from tests.agent.rooms.supervisor.rig import Rig, real_rig, spec_of
from tests.waiting import eventually

QUICK = RestartSpec(policy=Restart.NO)
DB = ServiceSpec("db", ("sleep", "1000"))
API = ServiceSpec("api", ("sleep", "1000"), depends_on={"db": Condition.HEALTHY}, replicas=3, restart=QUICK)
NEW = replace(API, environment={"A": "b"})


def once_broken(gate: str) -> ServiceSpec:
    """Its second instance fails as long as the file `gate` is not there."""
    script = f'case "$BLACKHOLE_INSTANCE_NAME" in api-2) [ -e {gate} ] || exit 3;; esac; exec sleep 1000'
    return replace(API, command=("sh", "-c", script))


async def upgraded(rig: Rig, spec: Spec, on_failure: str = "") -> Operation:
    rig.config.known["new"] = spec
    return await rig.run(ReloadConfigRequest("new", rolling=True, on_failure=on_failure))


def pids(rig: Rig) -> dict[str, int | None]:
    return {name: i.pid for name, i in rig.room.picture.items()}


def order(operation: Operation) -> list[str]:
    return [f"{step.kind.partition('.')[2]} {step.target}" for step in operation.steps]


def is_with(rig: Rig, spec: ServiceSpec, *names: str) -> bool:
    found = [rig.room.picture[name] for name in names]
    return all(i.state is State.RUNNING and i.ran_as == fingerprint(spec) for i in found)


async def test_one_after_another_and_only_what_the_change_touches() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        cache = ServiceSpec("cache", ("sleep", "1000"))
        operation = await upgraded(rig, spec_of(DB, replace(NEW, replicas=2), cache, digest="new"))
        assert operation.error == ""
        assert order(operation)[1:] == [
            "start cache-1", "stop api-1", "start api-1", "stop api-2", "start api-2", "stop api-3"
        ]  # fmt: skip
        ends = [(step.started_ns, step.ended_ns) for step in operation.steps]
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ends))
        await eventually(lambda: set(pids(rig)) == {"db-1", "api-1", "api-2", "cache-1"})
        assert pids(rig)["db-1"] == before["db-1"]
        assert is_with(rig, NEW, "api-1", "api-2")


async def test_a_failure_stops_it_and_resume_goes_on_with_what_failed_first(tmp_path: object) -> None:
    gate = f"{tmp_path}/gate"
    broken = once_broken(gate)
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        failed = await upgraded(rig, spec_of(DB, broken, digest="new"))
        assert failed.state == "failed"
        assert "cannot start api-2" in failed.error
        assert "a file that you correct is applied by `blackhole restart --reload-config --rolling`" in failed.note
        assert rig.config.spec.digest == "new"
        assert is_with(rig, broken, "api-1")
        assert pids(rig)["api-3"] == before["api-3"]
        assert is_with(rig, API, "api-3")
        await rig.room.apply(rig.config.spec)  # as when another service is scaled
        assert rig.room.picture["api-3"].spec.command == API.command
        open(gate, "w").close()
        one = pids(rig)["api-1"]
        resumed = await rig.again(ResumeRequest(failed.id))
        assert resumed.error == ""
        assert order(resumed)[1:] == ["stop api-2", "start api-2", "stop api-3", "start api-3"]
        assert is_with(rig, broken, "api-1", "api-2", "api-3")
        assert pids(rig)["api-1"] == one
        assert pids(rig)["db-1"] == before["db-1"]
        with pytest.raises(Refused, match="it is done"):
            await rig.again(ResumeRequest(resumed.id))


async def test_what_is_not_well_has_the_first_turn_of_its_service(tmp_path: object) -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        failed = await upgraded(rig, spec_of(DB, once_broken(f"{tmp_path}/gate"), digest="new"))
        again = await upgraded(rig, spec_of(DB, replace(once_broken(f"{tmp_path}/gate"), umask=0o77), digest="new"))
        assert (failed.state, again.state) == ("failed", "failed")
        assert next(step.target for step in again.steps if step.state == "failed") == "api-2"
        assert [step.target for step in again.steps if step.state == "skipped"][:2] == ["api-1", "api-1"]
        assert pids(rig)["api-3"] == before["api-3"], "what is well goes on"


async def test_who_corrected_the_file_is_told_that_resume_does_not_read_it(tmp_path: object) -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        failed = await upgraded(rig, spec_of(DB, once_broken(f"{tmp_path}/gate"), digest="new"))
        plan = rig.past(ResumeRequest(failed.id))
        assert not [effect for effect in plan.effects if "has changed since" in effect]
        assert f"as {failed.id[:8]} read it, to each instance in turn" in plan.steps[0].title
        back = rig.past(RollBackRequest(failed.id))
        assert f"as it was before {failed.id[:8]}, to each instance in turn" in back.steps[0].title
        assert [effect for effect in back.effects if "still has what is taken back" in effect]
        rig.config.known["corrected"], rig.config.on_disk = spec_of(DB, NEW, digest="corrected"), "corrected"
        told = [effect for effect in rig.past(ResumeRequest(failed.id)).effects if "has changed since" in effect]
        assert "`blackhole restart --reload-config --rolling` applies it" in told[0]
        assert not [e for e in rig.past(RollBackRequest(failed.id)).effects if "still has" in e]


async def test_roll_back_puts_the_old_configuration_back_also_of_a_resumed_one(tmp_path: object) -> None:
    broken = once_broken(f"{tmp_path}/gate")
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        three = pids(rig)["api-3"]
        failed = await upgraded(rig, spec_of(DB, broken, digest="new"))
        again = await rig.again(ResumeRequest(failed.id))
        assert again.state == "failed"
        back = await rig.again(RollBackRequest(again.id))
        assert back.error == ""
        assert order(back)[1:] == ["stop api-2", "start api-2", "stop api-1", "start api-1"]
        assert rig.config.spec.digest == "old"
        assert is_with(rig, API, "api-1", "api-2", "api-3")
        assert pids(rig)["api-3"] == three
        with pytest.raises(Refused, match="another configuration was put in force since"):
            await rig.again(RollBackRequest(failed.id))
        with pytest.raises(Refused, match="another configuration was put in force since"):
            await rig.again(ResumeRequest(failed.id))


async def test_on_failure_rollback_undoes_it_one_by_one_with_the_old_configuration(tmp_path: object) -> None:
    broken = once_broken(f"{tmp_path}/gate")
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        three = pids(rig)["api-3"]
        failed = await upgraded(rig, spec_of(DB, broken, digest="new"), OnFailure.ROLLBACK)
        assert failed.state == "failed"
        assert failed.error.startswith("cannot start api-2")
        states = [(step.kind, step.target, str(step.state)) for step in failed.steps]
        assert all(state == "undone" for _, target, state in states if target != "api-3"), states
        assert rig.config.spec.digest == "old"
        assert is_with(rig, API, "api-1", "api-2", "api-3")
        assert pids(rig)["api-3"] == three
        assert failed.note == ""
        with pytest.raises(Refused, match="it was rolled back"):
            await rig.again(ResumeRequest(failed.id))
        with pytest.raises(Refused, match="it was rolled back already"):
            await rig.again(RollBackRequest(failed.id))


async def test_each_instance_is_probed_as_before_until_its_turn(tmp_path: object) -> None:
    """The new probe finds nothing in the old processes; with liveness they would all be restarted at once."""
    probed = ProbeSpec(ProbeKind.COMMAND, command=("true",), interval=0.05, retries=1, liveness=True)
    first = replace(API, replicas=2, probe=probed)
    new = replace(
        first,
        command=("sh", "-c", f"touch {tmp_path}/new; exec sleep 1000"),
        probe=replace(probed, command=("sh", "-c", f"test -e {tmp_path}/new || exit 1"), retries=1),
        stop=replace(API.stop, grace=5.0),
    )
    async with real_rig(spec_of(DB, first)) as rig:
        await rig.run(StartRequest())
        assert (await upgraded(rig, spec_of(DB, new, digest="new"))).error == ""
        assert [said for said in rig.messages() if "liveness" in said] == []


async def test_a_cancelled_restart_says_how_to_go_on_and_does() -> None:
    slow = replace(NEW, probe=ProbeSpec(ProbeKind.COMMAND, command=("false",), interval=0.05, ready_timeout=600))
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        before = pids(rig)
        rig.config.known["slow"] = spec_of(DB, slow, digest="slow")
        begun = await rig.begin(ReloadConfigRequest("slow", rolling=True))
        await rig.reaches("api-1", State.STARTING)
        rig.runner.cancel(begun.id, Actor("ada"))
        ended = await rig.finish(begun)
        assert ended.state == "cancelled"
        assert f"`blackhole operations resume {begun.id[:8]}` goes on" in ended.note
        assert f"`blackhole operations rollback {begun.id[:8]}`" in ended.note
        back = await rig.again(RollBackRequest(begun.id))
        assert back.error == ""
        assert is_with(rig, API, "api-1", "api-2", "api-3")
        assert {n: p for n, p in pids(rig).items() if n != "api-1"} == {n: p for n, p in before.items() if n != "api-1"}


async def test_a_restart_cannot_be_rolled_back_and_resumes_with_those_it_did_not_get_to() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        await rig.run(StartRequest())
        begun = await rig.begin(RestartRequest(("api",), rolling=True))
        steps = lambda: rig.runner.get(begun.id).steps  # noqa: E731
        await eventually(
            lambda: any(step.state in ("running", "waiting") and step.target == "api-2" for step in steps())
        )
        rig.runner.cancel(begun.id, Actor("ada"))
        ended = await rig.finish(begun)
        assert ended.state == "cancelled"
        with pytest.raises(Refused, match="changes nothing that could be put back; `blackhole operations resume"):
            await rig.again(RollBackRequest(begun.id))
        await asyncio.sleep(0)
        resumed = await rig.again(ResumeRequest(begun.id))
        assert resumed.error == ""
        assert [step.target for step in resumed.steps if step.kind == "service.start"] in (
            ["api-3"],
            ["api-2", "api-3"],
        )
        assert is_with(rig, API, "api-1", "api-2", "api-3")


async def test_what_is_not_half_done_is_refused() -> None:
    async with real_rig(spec_of(DB, API)) as rig:
        started = await rig.run(StartRequest())
        assert advice(started) == ""
        with pytest.raises(Refused, match="only a restart or a reload can be left half done"):
            await rig.again(ResumeRequest(started.id))
        with pytest.raises(Refused, match="`blackhole stop` ends what it has started"):
            await rig.again(RollBackRequest(started.id))
        rig.config.known["new"] = spec_of(DB, NEW, digest="new")
        with pytest.raises(UsageError, match="must be stop or rollback"):
            rig.room.plans.of(ReloadConfigRequest("new", on_failure="explode"))
