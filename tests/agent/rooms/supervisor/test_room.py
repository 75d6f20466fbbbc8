"""The room over a keeper that spawns nothing: adoption, reboots, lost answers, dependencies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bhtui.agent.keeper import KeeperError, KeeperLost, KeptProcess, Killed, SpawnRequest
from bhtui.agent.rooms.supervisor.restart import SECOND
from bhtui.core.errors import NotFound, Refused
from bhtui.core.event import EventKind
from bhtui.core.request import ReloadConfigRequest, RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, ProbeKind, ProbeSpec, Restart, RestartSpec, ServiceSpec
from bhtui.core.states import Goal, Health, Result, State
from tests.agent.rooms.supervisor.rig import FakeKeeper, NoLimits, fake_rig, spec_of
from tests.waiting import eventually

FAST = RestartSpec(delay=0.001, jitter=0, maximum=0.01)
API = ServiceSpec("api", ("true",), restart=FAST)
DB = ServiceSpec("db", ("true",), restart=FAST)
WEB = ServiceSpec("web", ("true",), restart=FAST, depends_on={"api": Condition.STARTED})


async def test_start_and_stop(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        assert (await rig.run(StartRequest())).error == ""
        (status,) = rig.room.status()
        assert (status.state, status.health, status.pid, status.restarts) == (State.RUNNING, Health.HEALTHY, 1000, 0)
        assert rig.usage == {"api-1": 1000}
        assert (await rig.run(StopRequest())).error == ""
        (status,) = rig.room.status(["api"])
        assert (status.state, status.pid, status.uptime_seconds) == (State.STOPPED, None, None)
        assert rig.keeper.table == {}
        assert rig.usage == {}


async def test_what_is_spawned_knows_who_it_is(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    spec = replace(API, environment={"A": "b"}, secrets={"KEY": str(secret)}, tuning={"max-conns": "5"})
    async with fake_rig(tmp_path, spec_of(spec)) as rig:
        await rig.run(StartRequest(debug=True))
        (request,) = rig.keeper.requests
        expected = {
            "A": "b", "KEY": "hush", "BLACKHOLE_TUNING_MAX_CONNS": "5", "BLACKHOLE_SERVICE": "api",
            "BLACKHOLE_REPLICA": "1",
            "BLACKHOLE_INSTANCE_NAME": "api-1", "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "debug", "BLACKHOLE_DEBUG": "1",
        }  # fmt: skip
        assert expected.items() <= dict(request.env).items()
        assert request.tag == {"service": "api", "instance": "api-1", "incarnation": 1}
        assert "hush" not in repr(request)
        assert not any("hush" in str(row) for row in rig.store.rows("SELECT * FROM events"))
        assert not any("hush" in str(row) for row in rig.store.rows("SELECT * FROM instances"))


async def test_start_goes_by_the_file_as_it_is_now(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API, DB)) as rig:
        assert (await rig.run(StartRequest(("api",)))).error == ""
        rig.config.known["new"] = spec_of(replace(API, command=("false",)), DB, replace(DB, name="cache"), digest="new")
        rig.config.on_disk = "new"
        operation = await rig.run(StartRequest(("cache",)))
        assert (operation.error, rig.config.spec.digest) == ("", "new")
        assert {name: str(i.state) for name, i in rig.room.picture.items()} == {
            "api-1": "running", "db-1": "stopped", "cache-1": "running",
        }  # fmt: skip
        assert rig.room.picture["api-1"].incarnation == 1
        rig.config.on_disk = ""
        assert (await rig.run(ReloadConfigRequest("new"))).error == ""
        assert rig.room.picture["api-1"].incarnation == 2
        assert rig.room.plans.of(ReloadConfigRequest("new")).effects == ("the configuration is the one in force",)


async def test_a_start_that_fails_takes_the_changed_file_back(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        rig.config.known["new"] = spec_of(replace(API, command=("no-such-program",)), digest="new")
        rig.config.on_disk = "new"
        operation = await rig.run(StartRequest())
        assert "no-such-program" in operation.error
        assert rig.config.spec.digest == "old"


async def test_a_file_that_is_gone_leaves_what_is_in_force(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        rig.config.is_gone = True
        plan = rig.room.plans.of(StartRequest())
        assert plan.effects == ("/etc/b.yaml is gone; the configuration in force stays",)
        assert [step.target for step in plan.steps] == ["api-1"]
    async with fake_rig(tmp_path, spec_of(digest="")) as rig:
        rig.config.is_gone = True
        with pytest.raises(NotFound, match="there is no such file"):
            rig.room.plans.of(StartRequest())


async def test_limits_that_nothing_holds_are_told_once_a_start(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API), limits=NoLimits(not_held={"memory": "no controller"})) as rig:
        await rig.run(StartRequest())
        told = rig.events.read(kinds=[EventKind.LIMITS_NOT_HELD])
        assert [(e.target, e.message, e.data) for e in told] == [
            ("api-1", "api-1 runs with limits that are not held: memory: no controller", {"memory": "no controller"})
        ]
        assert rig.room.status()[0].limits_not_held == "memory: no controller"
        await rig.run(StopRequest())
        assert rig.room.status()[0].limits_not_held == ""


async def test_a_crash_is_followed_by_a_restart_with_a_new_key(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        await rig.run(StartRequest())
        rig.keeper.end("api-1#1", code=3)
        await eventually(lambda: "api-1#2" in rig.keeper.table)
        await rig.reaches("api-1", State.RUNNING)
        (status,) = rig.room.status()
        assert (status.restarts, status.result) == (1, Result.EXIT_CODE)
        assert status.last_error.startswith("exit 3 after")
        assert list(rig.keeper.table) == ["api-1#2"]


async def test_it_fails_at_the_start_limit_and_stays_so(tmp_path: Path) -> None:
    spec = replace(API, restart=replace(FAST, start_limit=3))
    async with fake_rig(tmp_path, spec_of(spec)) as rig:
        await rig.room.start("api-1")
        for incarnation in (1, 2, 3, 4):
            key = f"api-1#{incarnation}"
            await eventually(lambda k=key: k in rig.keeper.table and rig.state("api-1") is State.RUNNING)
            rig.keeper.end(key, code=1)
        await rig.reaches("api-1", State.FAILED)
        assert "restarted 3 times in 60 s" in rig.room.status()[0].last_error


async def test_a_lost_answer_never_makes_two_of_it(tmp_path: Path) -> None:
    """The rig fails the test when there would be two."""
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        real = rig.keeper.spawn

        async def lost(request):  # type: ignore[no-untyped-def]
            await real(request)
            rig.keeper.spawn = real
            raise KeeperLost("cannot spawn: no answer")

        rig.keeper.spawn = lost
        await rig.room.start("api-1")
        await rig.reaches("api-1", State.RUNNING)
        assert list(rig.keeper.table) == ["api-1#2"]


async def test_a_failed_spawn_fails_the_start_at_once_and_is_rolled_back(tmp_path: Path) -> None:
    patient = replace(API, restart=RestartSpec(delay=60.0))  # or it may be up again before it is taken back
    async with fake_rig(tmp_path, spec_of(patient, DB, replace(WEB, depends_on={"db": Condition.STARTED}))) as rig:
        rig.keeper.fail = [KeeperError("cannot start true: exec: Permission denied", "exec")]
        operation = await rig.run(StartRequest(("api",)))
        assert operation.state == "failed"
        assert operation.error == "cannot start api-1: true: exec: Permission denied"
        assert rig.room.picture["api-1"].goal is Goal.DOWN
        await rig.reaches("api-1", State.STOPPED)
        (status,) = rig.room.status(["api"])
        assert status.last_error == "cannot start true: exec: Permission denied", "and no restart is promised"


async def test_restarts_wait_for_a_dependency_that_is_down(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API, WEB)) as rig:
        await rig.run(StartRequest())
        await rig.run(StopRequest(("api",)))
        assert rig.state("web-1") is State.RUNNING
        rig.keeper.end("web-1#1", code=1)
        await eventually(lambda: rig.room.picture["web-1"].waiting_for)
        assert rig.room.status(["web"])[0].waiting_for == "api-1 started (it is stopped)"
        await rig.run(StartRequest(("api",)))
        await rig.reaches("web-1", State.RUNNING)


async def test_unknown_names(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        with pytest.raises(NotFound, match="cannot find apu: there is no such service; did you mean api"):
            rig.room.status(["apu"])
        with pytest.raises(NotFound):
            rig.room.plans.of(StopRequest(("nothing",)))
    async with fake_rig(tmp_path, spec_of(replace(API, replicas=0))) as rig:
        with pytest.raises(NotFound, match="api has no instances: its replicas are 0"):
            rig.room.status(["api"])


async def test_an_agent_that_comes_back_adopts_what_runs(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    probe = ProbeSpec(ProbeKind.COMMAND, command=("true",), interval=0.05)
    spec = spec_of(API, replace(WEB, probe=probe))
    async with fake_rig(tmp_path, spec, keeper) as rig:
        await rig.run(StartRequest())
        before = {name: i.pid for name, i in rig.room.picture.items()}
    async with fake_rig(tmp_path, spec, keeper) as rig:
        assert {name: i.pid for name, i in rig.room.picture.items()} == before
        assert rig.state("web-1") is State.RUNNING
        await eventually(lambda: rig.room.picture["web-1"].health is Health.HEALTHY)
        assert "api-1 runs on with pid 1000" in rig.messages()
        assert len(keeper.requests) == 2


async def test_what_ended_meanwhile_is_restarted_and_what_was_stopped_stays_down(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    async with fake_rig(tmp_path, spec_of(API, DB), keeper) as rig:
        await rig.run(StartRequest())
        await rig.run(StopRequest(("db",)))
    keeper.exited = lambda ended: None
    keeper.end("api-1#1", code=7)
    async with fake_rig(tmp_path, spec_of(API, DB), keeper) as rig:
        await rig.reaches("api-1", State.RUNNING)
        (status,) = rig.room.status(["api"])
        assert status.restarts == 1
        assert status.last_error.startswith("exit 7, restart 1 in")
        assert rig.state("db-1") is State.STOPPED
        assert list(keeper.table) == ["api-1#2"]


async def test_a_process_that_was_not_recorded_is_adopted_too(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    async with fake_rig(tmp_path, spec_of(API), keeper) as rig:
        await rig.run(StartRequest())
        record = rig.store.load_instances()["api-1"]
    async with fake_rig(tmp_path, spec_of(API), keeper) as rig:
        rig.store.save_instance("api-1", {**record, "incarnation": 0, "pid": None, "state": "backoff"})
    async with fake_rig(tmp_path, spec_of(API), keeper) as rig:
        assert rig.room.picture["api-1"].key == "api-1#1"
        await rig.reaches("api-1", State.RUNNING)


async def test_without_any_record_what_runs_runs_on(tmp_path: Path) -> None:
    """Its database was lost: nobody is known to have asked for an end, and what was slow to become ready is ready."""
    keeper = FakeKeeper()
    never = ProbeSpec(ProbeKind.COMMAND, command=("false",), interval=60, ready_timeout=0.01)
    async with fake_rig(tmp_path, spec_of(API, DB), keeper) as rig:
        await rig.run(StartRequest())
        for name in ("api-1", "db-1"):
            await rig.room.driver(name).close()
            rig.store.delete_instance(name)
    async with fake_rig(tmp_path, spec_of(replace(API, probe=never)), keeper) as rig:
        assert {name: (i.state, i.goal) for name, i in rig.room.picture.items()} == {
            "api-1": (State.RUNNING, Goal.UP),
            "db-1": (State.RUNNING, Goal.UP),
        }
        assert (keeper.signals, keeper.killed) == ([], [])


async def test_after_a_reboot_all_that_was_up_is_started_in_order(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    once = ServiceSpec("once", ("true",), restart=RestartSpec(policy=Restart.ON_FAILURE))
    no = ServiceSpec("no", ("true",), restart=RestartSpec(policy=Restart.NO))
    spec = spec_of(WEB, API, DB, once, no)
    async with fake_rig(tmp_path, spec, keeper) as rig:
        await rig.run(StartRequest())
        keeper.end("once-1#1", code=0)
        await rig.reaches("once-1", State.STOPPED)
        await rig.run(StopRequest(("db",)))
    rebooted = FakeKeeper()
    rebooted.boot_id = "boot-2"
    async with fake_rig(tmp_path, spec, rebooted) as rig:
        await rig.reaches("web-1", State.RUNNING)
        assert [request.key for request in rebooted.requests] == ["api-1#2", "web-1#2"]
        assert rig.state("db-1") is State.STOPPED
        assert rig.room.picture["once-1"].completed
        assert rig.state("no-1") is State.FAILED


async def test_what_is_not_declared_any_more_is_shown_until_it_is_stopped(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    async with fake_rig(tmp_path, spec_of(API, DB), keeper) as rig:
        await rig.run(StartRequest())
    async with fake_rig(tmp_path, spec_of(API), keeper) as rig:
        assert rig.state("db-1") is State.RUNNING
        with pytest.raises(Refused, match="the configuration does not declare it"):
            await rig.room.start("db-1")
        assert (await rig.run(StopRequest(("db-1",)))).error == ""
        await eventually(lambda: "db-1" not in rig.room.picture)
        assert list(rig.store.load_instances()) == ["api-1"]


async def test_after_an_emergency_nothing_comes_back_until_a_person_starts_it(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        await rig.run(StartRequest())
        rig.keeper.held = True
        rig.room.on_emergency()
        rig.keeper.end("api-1#1", signal=9)
        await rig.reaches("api-1", State.STOPPED)
        await rig.run(StartRequest())
        assert (rig.state("api-1"), rig.keeper.held) == (State.RUNNING, False)


async def test_an_emergency_stop_kills_all_without_asking(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API, WEB)) as rig:
        await rig.run(StartRequest())
        assert (await rig.run(StopRequest(emergency=True))).error == ""
        assert (rig.keeper.signals, rig.keeper.held) == ([], True)
        assert {rig.state("api-1"), rig.state("web-1")} == {State.STOPPED}


async def test_a_rolling_restart_stops_at_the_first_failure(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(replace(API, replicas=3))) as rig:
        await rig.run(StartRequest())
        assert (await rig.run(RestartRequest(rolling=True))).error == ""
        assert sorted(rig.keeper.table) == ["api-1#2", "api-2#2", "api-3#2"]
        real = rig.keeper.spawn

        async def second_fails(request):  # type: ignore[no-untyped-def]
            if request.key.startswith("api-2"):
                raise KeeperError("cannot start true: no", "exec")
            return await real(request)

        rig.keeper.spawn = second_fails
        operation = await rig.run(RestartRequest(rolling=True))
        assert operation.state == "failed"
        assert "api-3#2" in rig.keeper.table, "the third was not touched"
        assert "api-1#3" in rig.keeper.table


async def test_a_restart_touches_nothing_as_long_as_what_it_needs_cannot_be_started(tmp_path: Path) -> None:
    web = replace(WEB, replicas=2)
    async with fake_rig(tmp_path, spec_of(API, web)) as rig:
        await rig.run(StartRequest())
        await rig.run(StopRequest(("api",)))
        rig.keeper.fail = [KeeperError("cannot start true: no", "exec")] * 20
        for rolling in (True, False):
            operation = await rig.run(RestartRequest(("web",), rolling=rolling))
            assert "cannot start api-1" in operation.error
            assert sorted(key for key in rig.keeper.table if key.startswith("web")) == ["web-1#1", "web-2#1"]
        rig.keeper.fail = []
        for rolling in (True, False):
            await rig.run(StopRequest(("api",)))
            assert (await rig.run(RestartRequest(("web",), rolling=rolling))).error == ""
        assert sorted(key for key in rig.keeper.table if key.startswith("web")) == ["web-1#3", "web-2#3"]


async def test_a_rolling_restart_ends_at_the_instance_that_does_not_get_well(tmp_path: Path) -> None:
    """That one is left as it is, with the reason; the next runs on as before."""
    probe = ProbeSpec(ProbeKind.COMMAND, command=("test", "-e", str(tmp_path / "well")), interval=0.05, ready_timeout=2)
    (tmp_path / "well").touch()
    slow = replace(API, replicas=2, probe=probe, restart=replace(FAST, delay=60, maximum=60))
    async with fake_rig(tmp_path, spec_of(slow)) as rig:
        await rig.run(StartRequest())
        (tmp_path / "well").unlink()
        operation = await rig.run(RestartRequest(rolling=True))
        assert operation.error.startswith("cannot start api-1: not healthy within 2 s: ")
        assert [step.state for step in operation.steps] == ["done", "failed", "skipped", "skipped"]
        status = {each.instance: each for each in rig.room.status()}
        assert (status["api-1"].state, status["api-1"].goal) == (State.BACKOFF, Goal.UP)
        assert status["api-1"].last_error.startswith("not healthy within 2 s: ")
        assert status["api-2"].state is State.RUNNING
        assert "api-2#1" in rig.keeper.table


async def test_leftovers_are_told(tmp_path: Path) -> None:
    async with fake_rig(tmp_path, spec_of(API)) as rig:
        await rig.run(StartRequest())
        rig.keeper.leftover = 2
        operation = await rig.run(StopRequest())
        assert "2 processes outlived api-1 and were killed" in operation.steps[0].detail


async def test_a_start_is_done_in_time_although_the_clock_is_set_back(tmp_path: Path) -> None:
    class Setback(FakeKeeper):
        async def spawn(self, request: SpawnRequest) -> KeptProcess:
            kept = await super().spawn(request)
            return replace(kept, spawned_ns=kept.spawned_ns + 3600 * SECOND)  # the clock was set right after

    async with fake_rig(tmp_path, spec_of(API), Setback()) as rig:
        assert (await rig.run(StartRequest(), 5.0)).error == ""


async def test_a_process_that_was_started_unheard_is_ended(tmp_path: Path) -> None:
    class Deaf(FakeKeeper):
        async def spawn(self, request: SpawnRequest) -> KeptProcess:
            await super().spawn(request)
            raise KeeperLost("cannot spawn: no answer")

    once = replace(API, restart=RestartSpec(policy=Restart.NO))
    async with fake_rig(tmp_path, spec_of(once), Deaf()) as rig:
        assert "no answer" in (await rig.run(StartRequest())).error
        assert rig.state("api-1") is State.STOPPED  # taken back
        await eventually(lambda: rig.keeper.table == {}, what="nothing of it is left")


async def test_a_kill_that_the_keeper_did_not_hear_is_repeated(tmp_path: Path) -> None:
    class HardOfHearing(FakeKeeper):
        deaf = 2

        async def kill(self, key: str) -> Killed:
            if self.deaf:
                self.deaf -= 1
                raise KeeperLost("cannot kill: no answer")
            return await super().kill(key)

    async with fake_rig(tmp_path, spec_of(API), HardOfHearing()) as rig:
        await rig.run(StartRequest())
        assert (await rig.run(StopRequest(timeout=0.0))).error == ""
        assert rig.state("api-1") is State.STOPPED
        await eventually(lambda: rig.keeper.table == {}, what="nothing of it is left")


async def test_what_was_under_way_in_an_emergency_stop_starts_nothing(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    async with fake_rig(tmp_path, spec_of(API, DB), keeper) as rig:
        await rig.run(StartRequest())
        keeper.stubborn |= {"api-1", "db-1"}
        operation = await rig.begin(RestartRequest())
        await eventually(lambda: {rig.state(name) for name in rig.room.picture} == {State.STOPPING})
        keeper.held = True
        rig.room.on_emergency()
        await eventually(lambda: rig.runner.get(operation.id).ended)
        assert "held down since an emergency stop" in rig.runner.get(operation.id).error
        assert {rig.state(name) for name in rig.room.picture} == {State.STOPPED}
        assert (await rig.run(StartRequest())).error == ""
        assert not keeper.held
        assert {rig.state(name) for name in rig.room.picture} == {State.RUNNING}


async def test_an_agent_that_was_away_in_an_emergency_stop_starts_nothing(tmp_path: Path) -> None:
    keeper = FakeKeeper()
    async with fake_rig(tmp_path, spec_of(API), keeper) as rig:
        await rig.run(StartRequest())
    keeper.exited = lambda ended: None
    keeper.held = True
    keeper.end("api-1#1", signal=9)
    for _ in range(2):
        async with fake_rig(tmp_path, spec_of(API), keeper) as rig:
            i = rig.room.picture["api-1"]
            assert (i.state, i.goal) == (State.STOPPED, Goal.DOWN)
        keeper.held = False  # lifted for another service: this one stays down
