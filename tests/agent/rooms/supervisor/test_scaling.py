"""Another number of instances: the plan, and the room over a keeper that spawns nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bhtui.agent.keeper import KeeperError
from bhtui.agent.rooms.supervisor.reloading import Change
from bhtui.agent.rooms.supervisor.requests import plan
from bhtui.agent.rooms.supervisor.scaling import plan_scale
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.core.event import EventKind
from bhtui.core.operation import Plan
from bhtui.core.override import Override
from bhtui.core.replica import all_instances, with_replicas
from bhtui.core.request import ReloadConfigRequest, ScaleRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, EndpointsSpec, ProbeKind, ProbeSpec, RestartSpec, ServiceSpec
from bhtui.core.states import State
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.agent.rooms.supervisor.rig import Rig, fake_rig, spec_of
from tests.agent.rooms.supervisor.test_requests import order, picture
from tests.ports import free_ports

PORT = free_ports(4)
FAST = RestartSpec(delay=0.001, jitter=0, maximum=0.01)
DB = ServiceSpec("db", ("true",), restart=FAST)
API = ServiceSpec("api", ("true", "{port}"), ports=(PORT,), restart=FAST, depends_on={"db": Condition.STARTED})
WEB = ServiceSpec("web", ("true",), depends_on={"api": Condition.STARTED})
SPEC = spec_of(WEB, API, DB)


def made(replicas: int | None, *services: str, now: int = 1, override: Override | None = None, **states: State) -> Plan:
    spec = with_replicas(SPEC, {"api": now})
    states = states or {"web": State.RUNNING, "api": State.RUNNING, "db": State.RUNNING}
    request = ScaleRequest(services or ("api",), replicas)
    return plan_scale(SPEC, spec, picture(spec, **states), request, lambda name: override if name == "api" else None)


def shown(found: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """Without the draining, which the room of endpoints has its own tests for."""
    return [each for each in order(found) if each[0] != "drain"]


def test_more_are_started_beside_those_that_run() -> None:
    found = made(3)
    assert shown(found) == [("scale", "api", ()), ("start", "api-2", ("api",)), ("start", "api-3", ("api",))]
    assert found.steps[0].title == "scale api: 3 replicas instead of 1"
    assert found.effects == (f"new endpoints: api-2 :{PORT + 1}, api-3 :{PORT + 2}",)
    assert (found.undo_on_failure, found.claims) == (True, {"service:api"})


def test_it_is_done_when_others_were_told() -> None:
    told = replace(API, endpoints=EndpointsSpec(on_change=("tell",)))
    spec = spec_of(WEB, told, DB)
    found = plan_scale(spec, spec, picture(spec, api=State.RUNNING), ScaleRequest(("api",), 2), lambda _: None)
    assert found.effects == (f"new endpoints: api-2 :{PORT + 1}",)
    assert shown(found)[-1] == ("tell", "api", ("api-2",))
    assert found.steps[-1].title == "tell of api: its on_change knows all that is ready"


def test_what_new_ones_need_is_started_first() -> None:
    found = made(2, web=State.RUNNING, api=State.RUNNING)
    assert shown(found) == [("scale", "api", ()), ("start", "db-1", ("api",)), ("start", "api-2", ("api", "db-1"))]


def test_fewer_stop_one_by_one_from_the_youngest_and_the_number_comes_last() -> None:
    found = made(1, now=4)
    stops = [each for each in found.steps if each.kind == "service.stop"]
    assert [each.target for each in stops] == ["api-4", "api-3", "api-2"]
    assert all(each.args["restore"] for each in stops)
    chain = [[found.steps[at].target for at in each.after if found.steps[at].kind == "service.stop"] for each in stops]
    assert chain == [[], ["api-4"], ["api-3"]]
    assert (found.steps[-1].kind, found.steps[-1].title) == ("service.scale", "scale api: 1 replica instead of 4")
    assert found.steps[found.steps[-1].after[-1]].target == "api-2"


def test_that_nothing_well_would_be_left_is_said() -> None:
    spec = with_replicas(SPEC, {"api": 3})
    now = picture(spec, web=State.RUNNING, api=State.RUNNING, db=State.RUNNING)

    def effects(replicas: int, **changed: State) -> tuple[str, ...]:
        here = now | {n: replace(now[n], state=to) for n, to in changed.items()}
        return plan_scale(SPEC, spec, here, ScaleRequest(("api",), replicas), lambda _: None).effects

    assert effects(1) == ()
    assert effects(1, **{"api-1": State.BACKOFF}) == ("none of what stays is well: api-1 backoff",)
    assert effects(2, **{"api-1": State.BACKOFF}) == (), "api-2 goes on"
    assert effects(2, **dict.fromkeys(["api-1", "api-2", "api-3"], State.FAILED)) == (), "nor is it now"


def test_the_same_number_is_nothing_to_do() -> None:
    set_before = Override(3, "ada", 1)
    assert made(3, now=3, override=set_before).steps == ()
    assert made(3, now=3, override=set_before).effects == ("api has 3 replicas already",)
    assert made(None).effects == ("api has 1 replica already",)


def test_a_reset_goes_back_to_what_is_declared() -> None:
    found = made(None, now=3, override=Override(3, "ada", 7))
    assert [each.target for each in found.steps if each.kind == "service.stop"] == ["api-3", "api-2"]
    assert found.steps[-1].args == {"value": None, "before": {"value": 3, "actor": "ada", "time_ns": 7}}
    assert found.steps[-1].title == "scale api: 1 replica as declared, instead of 3"


def test_a_stopped_service_stays_stopped() -> None:
    found = made(3, db=State.RUNNING)
    assert shown(found) == [("scale", "api", ())]
    assert "api is stopped and stays so; `blackhole start api` starts all of it" in found.effects


def test_none_and_some_again() -> None:
    found = made(0)
    assert [(each.kind, each.target) for each in found.steps][-2:] == [
        ("service.stop", "api-1"),
        ("service.scale", "api"),
    ]
    assert "web depends on api and stays up" in found.effects
    again = plan_scale(SPEC, with_replicas(SPEC, {"api": 0}), {}, ScaleRequest(("api",), 2), lambda _: None)
    assert [each.target for each in again.steps if each.kind == "service.start"] == ["db-1", "api-1", "api-2"]


@pytest.mark.parametrize(
    ("replicas", "services", "error", "why"),
    [
        (-1, ("api",), UsageError, "0 to 1000"),
        (1001, ("api",), UsageError, "0 to 1000"),
        (2, ("apy",), NotFound, "did you mean api"),
        (2, ("api-1",), NotFound, "an instance of api; name the service"),
        (2, ("api", "nobody"), NotFound, "no such service"),
    ],
)
def test_what_cannot_be_is_refused(replicas: int, services: tuple[str, ...], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        made(replicas, *services)


def test_two_that_would_claim_the_same_are_refused() -> None:
    other = ServiceSpec("cache", ("cache",), ports=(PORT + 2,))
    spec = spec_of(API, DB, other)
    with pytest.raises(Refused, match=rf"cannot scale api: port {PORT + 2} .* leave room between the ports"):
        plan_scale(spec, spec, {}, ScaleRequest(("api",), 3), lambda _: None)
    named = spec_of(DB, replace(DB, name="db-2"))
    with pytest.raises(Refused, match="'db-2' is also the name of a service"):
        plan_scale(named, named, {}, ScaleRequest(("db",), 2), lambda _: None)
    shared = spec_of(replace(DB, data=("/srv/db",)))
    with pytest.raises(Refused, match=r"/srv/db of db-2 is already the data of db-1; write \{replica\}"):
        plan_scale(shared, shared, {}, ScaleRequest(("db",), 2), lambda _: None)


# ---- with the room ---------------------------------------------------------------------------------------------------


async def scaled(rig: Rig, replicas: int | None) -> None:
    assert (await rig.run(ScaleRequest(("api",), replicas))).error == ""


async def test_up_and_down_and_back(tmp_path: Path) -> None:
    plain = replace(API, ports=(), command=("true",))
    async with fake_rig(tmp_path, spec_of(plain, DB)) as rig:
        await rig.run(StartRequest())
        await scaled(rig, 3)
        assert sorted(rig.keeper.table) == ["api-1#1", "api-2#1", "api-3#1", "db-1#1"]
        status = rig.room.status(["api"])
        assert [(each.scaling.replicas, each.scaling.declared, each.scaling.by) for each in status if each.scaling] == [
            (3, 1, "test")
        ] * 3
        await scaled(rig, 2)
        assert sorted(rig.keeper.table) == ["api-1#1", "api-2#1", "db-1#1"]
        assert list(rig.room.picture) == ["api-1", "api-2", "db-1"]
        await scaled(rig, None)
        assert sorted(rig.keeper.table) == ["api-1#1", "db-1#1"]
        assert rig.store.load_overrides() == {}
        assert rig.room.status(["api"])[0].scaling is None
        told = [event.message for event in rig.events.read(limit=10_000) if event.kind == EventKind.REPLICAS_CHANGED]
        assert told == [
            "api: replicas 3, set by test",
            "api: replicas 2, set by test",
            "api: replicas as declared",
        ]


async def test_each_is_started_with_its_own(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API, DB)) as rig:
        await rig.run(StartRequest())
        await scaled(rig, 2)
        request = next(each for each in rig.keeper.requests if each.key == "api-2#1")
        assert request.argv[1:] == (str(PORT + 1),)
        assert (request.env["BLACKHOLE_PORT"], request.env["BLACKHOLE_REPLICA"]) == (str(PORT + 1), "2")
        assert [(each.ports, each.endpoint) for each in rig.room.status(["api"])] == [
            ((PORT,), f"127.0.0.1:{PORT}"),
            ((PORT + 1,), f"127.0.0.1:{PORT + 1}"),
        ]


async def test_a_start_that_fails_takes_everything_back(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(replace(API, ports=()), DB)) as rig:
        await rig.run(StartRequest())
        real = rig.keeper.spawn

        async def third_fails(request):  # type: ignore[no-untyped-def]
            if request.key.startswith("api-3"):
                raise KeeperError("cannot start true: no", "exec")
            return await real(request)

        rig.keeper.spawn = third_fails
        operation = await rig.run(ScaleRequest(("api",), 3))
        assert operation.state == "failed"
        assert operation.error.startswith("cannot start api-3")
        assert sorted(rig.keeper.table) == ["api-1#1", "db-1#1"]
        assert list(rig.room.picture) == ["api-1", "db-1"]
        assert rig.store.load_overrides() == {}


async def test_the_number_outlives_the_agent(tmp_path: Path) -> None:
    spec = spec_of(replace(API, ports=()), DB)
    async with fake_rig(tmp_path, spec) as rig:
        await rig.run(StartRequest())
        await scaled(rig, 2)
        keeper = rig.keeper
    async with fake_rig(tmp_path, spec, keeper) as rig:
        assert sorted(name for name, i in rig.room.picture.items() if i.declared) == ["api-1", "api-2", "db-1"]
        assert sorted(keeper.table) == ["api-1#1", "api-2#1", "db-1#1"], "nothing was started anew"
        # As after a reboot: everything is gone, and comes back.
        keeper.table.clear()
        keeper.boot_id = "another"
    async with fake_rig(tmp_path, spec, keeper) as rig:
        await rig.reaches("api-2", State.RUNNING)


async def test_another_configuration_keeps_the_number_and_says_so(tmp_path: Path) -> None:
    plain = replace(API, ports=())
    async with fake_rig(tmp_path, spec_of(plain, DB)) as rig:
        await rig.run(StartRequest())
        await scaled(rig, 2)
        rig.config.known["new"] = spec_of(replace(plain, replicas=4), DB, digest="new")
        plan = rig.room.plans.of(ReloadConfigRequest("new"))
        assert [each.kind for each in plan.steps] == ["spec.apply"]
        assert "api keeps the 2 replicas that test set; `blackhole scale api --reset` gives it 4" in plan.effects
        rig.room.auto_scale = lambda _: "auto 1..5"
        assert not any("keeps the" in each for each in rig.room.plans.of(ReloadConfigRequest("new")).effects)
        assert (await rig.run(plan)).error == ""
        assert sorted(rig.keeper.table) == ["api-1#1", "api-2#1", "db-1#1"]
        await scaled(rig, None)
        assert [key for key in sorted(rig.keeper.table) if key.startswith("api")] == [f"api-{n}#1" for n in range(1, 5)]


def test_a_change_of_replicas_takes_those_that_go_out_of_the_endpoints_first() -> None:
    old = spec_of(WEB, replace(API, replicas=3), DB)
    new = spec_of(WEB, replace(API, replicas=2), DB, digest="2")
    now = picture(old, web=State.RUNNING, api=State.RUNNING, db=State.RUNNING)
    now = {name: replace(i, spec=all_instances(old.services)[name]) for name, i in now.items()}
    found = plan(old, now, ReloadConfigRequest(), Change(new, "text", "/b"))
    assert order(found)[:2] == [("drain", "api-3", ()), ("stop", "api-3", ("api-3",))]


async def test_a_configuration_that_would_clash_with_the_number_is_refused(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API, DB)) as rig:
        await scaled(rig, 3)
        cache = ServiceSpec("cache", ("true",), ports=(PORT + 2,))
        rig.config.known["new"] = spec_of(API, DB, cache, digest="new")
        with pytest.raises(Refused, match=rf"cannot apply .*: port {PORT + 2} .* api-3"):
            rig.room.plans.of(ReloadConfigRequest("new"))


async def test_new_ones_wait_until_they_are_well(tmp_path: Path) -> None:
    probe = ProbeSpec(
        ProbeKind.COMMAND, command=("test", "-e", f"{tmp_path}/{{replica}}"), interval=0.05, ready_timeout=2
    )
    (tmp_path / "1").touch()
    async with fake_rig(
        tmp_path, spec_of(replace(DB, probe=probe, restart=replace(FAST, delay=60, maximum=60)))
    ) as rig:
        await rig.run(StartRequest())
        operation = await rig.run(ScaleRequest(("db",), 2))
        assert "cannot start db-2: not healthy within 2 s" in operation.error
        assert list(rig.room.picture) == ["db-1"]
        (tmp_path / "2").touch()
        assert (await rig.run(ScaleRequest(("db",), 2))).error == ""


async def test_the_step_stands_the_suite(tmp_path: Path) -> None:
    from bhtui.agent.rooms.supervisor import steps

    async with fake_rig(tmp_path, spec_of(replace(API, ports=()), DB)) as rig:
        (kind,) = [each for each in steps.kinds(rig.room) if each.name == "service.scale"]

        def seen() -> tuple[list[str], list[tuple[str, str]]]:
            known = [(key, str(each.value)) for of in rig.store.load_overrides().values() for key, each in of.items()]
            return sorted(rig.room.picture), known

        case = Case(kind, "api", seen, {"value": 3, "before": None})
        for check in (check_do_twice, check_crash_and_do, check_do_and_undo):
            await check(case)
        await rig.run(StopRequest())
