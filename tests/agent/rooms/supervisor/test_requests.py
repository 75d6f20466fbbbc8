from __future__ import annotations

from dataclasses import replace

import pytest

from bhtui.agent.rooms.supervisor.instance import Instance
from bhtui.agent.rooms.supervisor.reloading import Change
from bhtui.agent.rooms.supervisor.requests import plan
from bhtui.core.diff import fingerprint
from bhtui.core.errors import NotFound
from bhtui.core.operation import Plan
from bhtui.core.request import ReloadConfigRequest, Request, RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, ProbeKind, ProbeSpec, ServiceKind, ServiceSpec, Spec, StopSpec
from bhtui.core.states import Goal, Health, Result, State

HEALTHY, STARTED, COMPLETED = Condition.HEALTHY, Condition.STARTED, Condition.COMPLETED
HTTP = ProbeSpec(ProbeKind.HTTP, "http://127.0.0.1:8080/health")
DB = ServiceSpec("db", ("db",), probe=ProbeSpec(ProbeKind.TCP, "127.0.0.1:5432"))
API = ServiceSpec("api", ("api",), depends_on={"db": HEALTHY}, probe=HTTP, replicas=2)
WEB = ServiceSpec("web", ("web",), depends_on={"api": STARTED})


def spec_of(*services: ServiceSpec, digest: str = "1") -> Spec:
    return Spec({s.name: s for s in services}, digest=digest)


SPEC = spec_of(WEB, API, DB)


def picture(spec: Spec = SPEC, **states: State) -> dict[str, Instance]:
    """All stopped, but those services named."""
    return {name: _instance(name, s, states.get(s.name, State.STOPPED)) for s in spec.services.values()
            for name in s.instance_names()}  # fmt: skip


def _instance(name: str, spec: ServiceSpec, state: State) -> Instance:
    up = state is not State.STOPPED
    well = Health.HEALTHY if state is State.RUNNING else Health.UNKNOWN
    return Instance(name, spec, state=state, goal=Goal.UP if up else Goal.DOWN, health=well, pid=1 if up else None)


UP = picture(web=State.RUNNING, api=State.RUNNING, db=State.RUNNING)


def made(
    request: Request, now: dict[str, Instance] | None = None, spec: Spec = SPEC, change: Change | None = None
) -> Plan:
    found = plan(spec, picture() if now is None else now, request, change)
    assert all(index < at for at, step in enumerate(found.steps) for index in step.after), "waits for a later step"
    return found


def order(found: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """What, on what, after what."""
    steps = found.steps
    return [(step.kind.partition(".")[2], step.target, tuple(steps[i].target for i in step.after)) for step in steps]


def test_start_goes_by_levels_and_says_what_it_waits_for() -> None:
    found = made(StartRequest())
    assert order(found) == [
        ("start", "db-1", ()),
        ("start", "api-1", ("db-1",)),
        ("start", "api-2", ("db-1",)),
        ("start", "web-1", ("api-1", "api-2")),
    ]
    assert found.undo_on_failure
    assert found.claims == {"service:db", "service:api", "service:web"}
    assert [step.title for step in found.steps][::2] == [
        "start db-1: wait healthy by tcp :5432, at most 30 s",
        "start api-2: wait healthy by http :8080/health, at most 30 s",
    ]
    assert found.steps[3].title == "start web-1: it has no probe, running is enough"


def test_start_takes_what_is_needed_and_leaves_what_runs() -> None:
    found = made(StartRequest(("api",)), picture(db=State.RUNNING))
    assert order(found) == [("start", "api-1", ()), ("start", "api-2", ())]
    assert found.effects == ("already running: db-1",)
    assert made(StartRequest(), UP).steps == ()
    assert made(StartRequest(), UP).claims == frozenset()


def test_start_waits_for_a_dependency_that_runs_and_is_not_well() -> None:
    now = picture(db=State.RUNNING)
    now["db-1"] = replace(now["db-1"], health=Health.UNHEALTHY)
    assert order(made(StartRequest(("api-1",)), now)) == [("wait", "db-1", ()), ("start", "api-1", ("db-1",))]


def test_start_waits_for_completion() -> None:
    once = ServiceSpec("once", ("once",))
    spec = spec_of(replace(WEB, depends_on={"once": COMPLETED}), once)
    assert order(made(StartRequest(), picture(spec), spec)) == [
        ("start", "once-1", ()), ("wait", "once-1", ("once-1",)), ("start", "web-1", ("once-1",)),
    ]  # fmt: skip
    now = picture(spec)
    now["once-1"] = replace(now["once-1"], goal=Goal.UP, result=Result.SUCCESS)
    assert order(made(StartRequest(), now, spec)) == [("start", "web-1", ())]
    assert order(made(StartRequest(("once",)), now, spec)) == [("start", "once-1", ())]


def test_a_rolling_restart_says_for_whom_nobody_stands_in() -> None:
    spec = Spec(services={
        "web": ServiceSpec("web", ("web",), ports=(80,)), "api": ServiceSpec("api", ("api",), ports=(81,), replicas=2),
        "job": ServiceSpec("job", ("job",)),
    })  # fmt: skip
    up = {
        name: Instance(name, spec.services[name[:-2]], state=State.RUNNING, goal=Goal.UP, health=Health.HEALTHY, pid=1)
        for name in ("web-1", "api-1", "api-2", "job-1")
    }
    told = "web: one instance, so that nobody answers while it is restarted"
    assert told in plan(spec, up, RestartRequest(rolling=True)).effects
    assert told not in plan(spec, up, RestartRequest()).effects


def test_debug_is_not_for_what_its_manager_starts() -> None:
    unit = ServiceSpec("web", (), kind=ServiceKind.SYSTEMD, unit="nginx.service")
    spec = Spec(services={"web": unit})
    [told] = plan(spec, {}, StartRequest(("web",), debug=True)).effects
    assert told == "web: the manager gives the environment, so that --debug and --enable-pprof do nothing"
    assert plan(spec, {}, StartRequest(("web",))).effects == ()


def test_debug_is_for_this_run() -> None:
    found = made(StartRequest(("db",), debug=True, enable_pprof=True))
    assert found.steps[0].args["environment"] == {"BLACKHOLE_DEBUG": "1", "LOG_LEVEL": "debug", "BLACKHOLE_PPROF": "1"}


def test_stop_stops_what_is_named_and_says_who_stays_up() -> None:
    found = made(StopRequest(("db",)), UP)
    assert order(found) == [("stop", "db-1", ())]
    assert found.effects == ("api depends on db and stays up",)
    assert found.steps[0].title == "stop db-1: SIGTERM, 10 s grace, then the whole process tree"
    assert not found.undo_on_failure


def test_stop_goes_in_reverse() -> None:
    found = made(StopRequest(), UP)
    assert order(found) == [
        ("stop", "web-1", ()), ("stop", "api-1", ("web-1",)), ("stop", "api-2", ("web-1",)),
        ("stop", "db-1", ("api-1", "api-2")),
    ]  # fmt: skip
    assert made(StopRequest()).effects == ("already stopped: web-1, api-1, api-2, db-1",)


def test_stop_claims_what_is_down_too_for_it_may_be_about_to_start() -> None:
    assert made(StopRequest(("db",))).claims == {"service:db"}


def test_force_waits_for_nobody_and_takes_over() -> None:
    found = made(StopRequest(force=True, timeout=30), UP)
    assert found.preempts
    assert all(step.after == () and step.args["grace"] == 30 for step in found.steps)
    assert "30 s grace" in found.steps[0].title


def test_emergency_kills_all_at_once() -> None:
    found = made(StopRequest(emergency=True), UP)
    assert {(step.kind, step.after) for step in found.steps} == {("service.kill", ())}
    assert found.preempts
    assert "nothing starts again, by itself or at boot, before `blackhole start`" in found.effects


def test_restart_of_all() -> None:
    found = made(RestartRequest(), UP)
    assert order(found)[:4] == order(made(StopRequest(), UP))
    assert order(found)[4:] == [
        ("start", "db-1", ("db-1",)), ("start", "api-1", ("api-1", "db-1")), ("start", "api-2", ("api-2", "db-1")),
        ("start", "web-1", ("web-1", "api-1", "api-2")),
    ]  # fmt: skip
    assert not found.undo_on_failure


def test_restart_of_one_and_of_what_is_stopped() -> None:
    found = made(RestartRequest(("api-1",)), UP)
    assert order(found) == [("stop", "api-1", ()), ("start", "api-1", ("api-1",))]
    assert found.effects == ("web depends on api and stays up",)
    found = made(RestartRequest(), picture(db=State.RUNNING))
    assert {step.target for step in found.steps} == {"db-1"}
    assert found.effects == ("stopped and left so: web-1, api-1, api-2",)
    assert order(made(RestartRequest(("db",)))) == [("start", "db-1", ())]


def test_what_a_restart_starts_because_others_need_it_is_not_told_to_stay_stopped() -> None:
    found = made(RestartRequest(), picture(web=State.RUNNING, api=State.RUNNING))
    assert order(found)[0] == ("start", "db-1", ())
    assert found.effects == ()


def test_rolling_is_one_after_the_other() -> None:
    found = made(RestartRequest(("api",), rolling=True), UP)
    assert [(s.kind, s.target, s.after) for s in found.steps] == [
        ("service.stop", "api-1", ()), ("service.start", "api-1", (0,)),
        ("service.stop", "api-2", (1,)), ("service.start", "api-2", (2,)),
    ]  # fmt: skip


def test_a_restart_starts_what_is_missing_before_it_stops_anything() -> None:
    now = picture(web=State.RUNNING, api=State.RUNNING)
    assert order(made(RestartRequest(("api",), rolling=True), now)) == [
        ("start", "db-1", ()), ("stop", "api-1", ("db-1",)), ("start", "api-1", ("api-1",)),
        ("stop", "api-2", ("api-1",)), ("start", "api-2", ("api-2",)),
    ]  # fmt: skip
    found = made(RestartRequest(("api",)), now)
    assert order(found)[:3] == [("start", "db-1", ()), ("stop", "api-1", ("db-1",)), ("stop", "api-2", ("db-1",))]
    assert found.steps[1].after == found.steps[2].after == (0,)
    unwell = UP | {"db-1": replace(UP["db-1"], health=Health.UNHEALTHY)}
    for request in (RestartRequest(("api",), rolling=True), RestartRequest(("api",))):
        assert order(made(request, unwell))[:2] == [("wait", "db-1", ()), ("stop", "api-1", ("db-1",))]


def test_a_completed_one_shot_is_run_again_only_when_it_is_named() -> None:
    once = ServiceSpec("once", ("true",))
    spec = spec_of(once, replace(API, replicas=1, depends_on={"once": HEALTHY}))
    done = replace(_instance("once-1", once, State.STOPPED), goal=Goal.UP, result=Result.SUCCESS)
    now = picture(spec, api=State.RUNNING) | {"once-1": done}
    for rolling in (False, True):
        found = made(RestartRequest(rolling=rolling), now, spec)
        assert order(found) == [("stop", "api-1", ()), ("start", "api-1", ("api-1",))], "and it blocks nobody"
        assert found.effects == ("completed, and run again only when named: once-1",)
        assert order(made(RestartRequest(("once",), rolling=rolling), now, spec)) == [("start", "once-1", ())]


def test_a_grace_of_nothing_kills_at_once() -> None:
    found = made(StopRequest(("db",), timeout=0.0), UP)
    assert found.steps[0].args["grace"] == 0.0
    assert found.steps[0].title == "stop db-1: kill the whole process tree at once"
    assert made(StopRequest(("db",)), UP).steps[0].args["grace"] is None


def reload(new: Spec, now: dict[str, Instance] | None = None) -> Plan:
    change = Change(new, "new", "/b.yaml", "old", "/b.yaml")
    return made(ReloadConfigRequest(), UP if now is None else now, SPEC, change)


def test_reload_restarts_what_the_difference_touches() -> None:
    cache = ServiceSpec("cache", ("cache",))
    new = spec_of(replace(API, environment={"TOKEN": "s3cret"}), replace(DB, stop=StopSpec(grace=3)), cache, digest="2")
    found = reload(new)
    assert order(found) == [
        ("stop", "web-1", ()), ("stop", "api-1", ("web-1",)), ("stop", "api-2", ("web-1",)),
        ("apply", "/b.yaml", ("web-1", "api-1", "api-2")),
        ("start", "cache-1", ("/b.yaml",)), ("start", "api-1", ("api-1", "/b.yaml")),
        ("start", "api-2", ("api-2", "/b.yaml")),
    ]  # fmt: skip
    assert found.effects == (
        "added: cache",
        "removed: web",
        "api: environment.TOKEN - -> ********",
        "db: stop.grace 10 -> 3, without a restart",
    )
    assert "s3cret" not in repr(found)
    assert found.undo_on_failure
    assert found.claims == {"service:api", "service:web", "service:cache", "config"}


def test_a_change_of_replicas_keeps_the_running_ones() -> None:
    more = reload(spec_of(WEB, replace(API, replicas=3), DB, digest="2"))
    assert order(more) == [("apply", "/b.yaml", ()), ("start", "api-3", ("/b.yaml",))]
    assert "api: replicas 2 -> 3, without a restart" in more.effects
    fewer = reload(spec_of(WEB, replace(API, replicas=1), DB, digest="2"))
    assert order(fewer) == [("stop", "api-2", ()), ("apply", "/b.yaml", ("api-2",))]
    stopped = reload(spec_of(WEB, replace(API, replicas=3), DB, digest="2"), picture())
    assert order(stopped) == [("apply", "/b.yaml", ())]


def test_a_reload_of_the_same_does_nothing() -> None:
    assert reload(SPEC).steps == ()
    assert reload(SPEC).effects == ("the configuration is the one in force",)


def test_a_reload_shows_the_values() -> None:
    old = spec_of(replace(API, environment={"LOG_LEVEL": "info"}, depends_on={}))
    new = spec_of(replace(API, environment={"LOG_LEVEL": "debug"}, depends_on={}), digest="2")
    found = made(ReloadConfigRequest(), picture(old), old, Change(new, "new", "/b.yaml"))
    assert found.effects == ("api: environment.LOG_LEVEL info -> debug",)


def test_a_reload_signals_what_it_does_not_restart() -> None:
    signalled, cache = replace(DB, reload_signal="SIGHUP"), ServiceSpec("cache", ("cache",), reload_signal="SIGUSR1")
    spec = spec_of(signalled, cache)
    new = spec_of(signalled, replace(cache, command=("cache2",)), digest="2")
    now = picture(spec, db=State.RUNNING, cache=State.RUNNING)
    found = made(ReloadConfigRequest(), now, spec, Change(new, "n", "/b"))
    assert order(found) == [
        ("stop", "cache-1", ()), ("apply", "/b", ("cache-1",)), ("start", "cache-1", ("cache-1", "/b")),
        ("reload", "db-1", ("/b",)),
    ]  # fmt: skip
    assert found.steps[-1].title == "reload db-1: SIGHUP, so that it reads its own configuration again"
    same = made(ReloadConfigRequest(), picture(spec, db=State.RUNNING), spec, Change(spec, "n", "/b"))
    assert (order(same), same.effects) == ([("reload", "db-1", ())], ())
    assert same.claims == {"service:db"}


def test_a_reload_asks_by_contract_what_has_no_signal() -> None:
    both = replace(DB, reload_signal="SIGHUP", contract="127.0.0.1:1")
    spec = spec_of(both, ServiceSpec("cache", ("cache",), contract="127.0.0.1:2"))
    found = made(
        ReloadConfigRequest(), picture(spec, db=State.RUNNING, cache=State.RUNNING), spec, Change(spec, "n", "/b")
    )
    assert [(step.target, dict(step.args)) for step in found.steps] == [
        ("db-1", {"signal": "SIGHUP"}), ("cache-1", {"contract": "127.0.0.1:2"}),
    ]  # fmt: skip
    assert (
        found.steps[-1].title == "reload cache-1: asked by its contract, so that it reads its own configuration again"
    )


def outdated(now: dict[str, Instance], *names: str) -> dict[str, Instance]:
    """As if these had been started with another configuration."""
    return {n: replace(i, ran_as="another" if n in names else fingerprint(i.spec)) for n, i in now.items()}


def test_a_reload_restarts_what_runs_with_an_earlier_configuration() -> None:
    found = reload(SPEC, outdated(UP, "db-1"))
    assert order(found) == [("stop", "db-1", ()), ("start", "db-1", ("db-1",))]
    assert found.effects == ("db runs with an earlier configuration", "api depends on db and stays up")


def test_a_reload_leaves_what_runs_with_the_new_configuration_already() -> None:
    """The file was changed, applied by a start, and changed back."""
    new = replace(API, command=("api2",))
    now = {n: replace(i, ran_as=fingerprint(new)) if i.service == "api" else i for n, i in UP.items()}
    assert order(reload(spec_of(WEB, new, DB, digest="2"), now)) == [("apply", "/b.yaml", ())]


def test_start_by_a_changed_file_touches_nothing_that_runs() -> None:
    cache = ServiceSpec("cache", ("cache",))
    new = spec_of(WEB, replace(API, command=("api2",), replicas=1), cache, digest="2")
    now = picture(api=State.RUNNING, db=State.RUNNING)
    change = Change(new, "new", "/b.yaml")
    found = made(StartRequest(("web",)), now, SPEC, change)
    assert order(found) == [("apply", "/b.yaml", ()), ("start", "web-1", ("/b.yaml",))]
    assert found.effects == (
        "added: cache",
        "removed: db",
        "api: command api -> api2",
        "api: replicas 2 -> 1, without a restart",
        "api runs with the configuration before; `restart --reload-config` applies the change",
        "api-2 runs on and is not declared any more; `stop api-2` ends it",
        "db runs on and is not declared any more; `stop db` ends it",
        "already running: api-1",
    )
    assert [step.target for step in made(StartRequest(), now, SPEC, change).steps] == ["/b.yaml", "cache-1", "web-1"]
    assert made(StartRequest(("cache",)), now, SPEC, change).claims == {"config", "service:cache"}


def test_start_by_a_changed_file_begins_anew_what_still_starts_with_the_one_before() -> None:
    """As after `agent stop`: what was up comes up by itself while the start comes; its new probe would never pass."""
    new = spec_of(WEB, API, replace(DB, command=("db2",)), digest="2")
    now = picture(db=State.STARTING, api=State.RUNNING)
    found = made(StartRequest(("web",)), now, SPEC, Change(new, "new", "/b.yaml"))
    assert order(found) == [
        ("stop", "db-1", ()),
        ("apply", "/b.yaml", ("db-1",)),
        ("start", "db-1", ("db-1", "/b.yaml")),
        ("start", "web-1", ("/b.yaml",)),
    ]
    assert found.effects == (
        "db: command db -> db2",
        "db-1 was still starting with the configuration before; it begins anew",
        "already running: api-1, api-2",
    )
    alone = replace(API, depends_on={})
    change = Change(spec_of(alone, replace(DB, command=("db2",)), digest="2"), "new", "/b.yaml")
    other = made(StartRequest(("api",)), picture(db=State.STARTING), spec_of(alone, DB), change)
    assert "db-1" not in [step.target for step in other.steps], "what is not waited for is left alone"


def test_start_says_what_runs_with_an_earlier_configuration() -> None:
    said = "api runs with the configuration before; `restart --reload-config` applies the change"
    assert said in made(StartRequest(), outdated(UP, "api-1")).effects


def test_start_with_another_configuration() -> None:
    new = spec_of(WEB, replace(API, command=("api2",)), DB, digest="2")
    found = made(StartRequest(config_yaml="new"), picture(db=State.RUNNING), SPEC, Change(new, "new", "/b.yaml"))
    assert order(found)[0] == ("apply", "/b.yaml", ())
    assert [step.target for step in found.steps[1:]] == ["api-1", "api-2", "web-1"]


@pytest.mark.parametrize("request_", [StartRequest(("zero",)), StopRequest(("zero",)), RestartRequest(("zero",))])
def test_a_service_without_instances_is_no_unknown_one(request_: Request) -> None:
    found = made(request_, {}, spec_of(ServiceSpec("zero", ("x",), replicas=0)))
    assert found.steps == ()
    assert "zero has no instances: its replicas are 0" in found.effects


@pytest.mark.parametrize("request_", [StartRequest(("wep",)), StopRequest(("wep",)), RestartRequest(("wep",))])
def test_unknown_names_get_a_suggestion(request_: Request) -> None:
    with pytest.raises(NotFound, match="cannot find wep: there is no such service; did you mean web"):
        made(request_)
