from dataclasses import replace

from bhtui.console.models.fleet import FleetView, chosen, reduce_fleet
from bhtui.console.models.host import EVENTS_KEPT, HISTORY, HostView, InstanceView, reduce_host
from bhtui.console.models.match import parse
from bhtui.console.models.operation import headline, progress
from bhtui.console.models.trouble import (
    Level,
    host_level,
    instance_level,
    is_up,
    link_text,
    reason,
    trouble_text,
    word,
    worst_text,
)
from bhtui.console.sources.message import HostInfo, LinkSeen, Seen, Trouble
from bhtui.rpc.blackhole.v1 import events_pb2, operations_pb2, status_pb2

NOW = 1000.0


def one(name: str = "api-1", **changes) -> status_pb2.InstanceStatus:
    return status_pb2.InstanceStatus(
        **{"service": name[:-2], "instance": name, "state": "running", "goal": "up", "health": "healthy"} | changes
    )


def snapshot(*instances, full=False, removed=(), cpu=10.0) -> status_pb2.Snapshot:
    host = status_pb2.HostStatus(hostname="web", time_ns=int(NOW * 1e9), cpu_percent=cpu)
    return status_pb2.Snapshot(host=host, instances=instances, full=full, removed=removed)


def see(view: HostView, *bodies, time: float = NOW) -> HostView:
    for body in bodies:
        view = reduce_host(view, Seen(time, "web", body))
    return view


def test_a_snapshot_is_all_and_then_what_changed():
    view = see(HostView(HostInfo("web")), snapshot(one("a-1"), one("b-1"), full=True))
    view = see(view, snapshot(one("b-1", state="failed"), removed=["a-1"]))
    assert list(view.instances) == ["b-1"]
    assert view.instances["b-1"].status.state == "failed"
    view = see(view, snapshot(one("c-1"), full=True))
    assert list(view.instances) == ["c-1"]


def test_order_stays_as_declared_when_one_changes():
    view = see(
        HostView(HostInfo("web")), snapshot(one("a-1"), one("b-1"), full=True), snapshot(one("a-1", state="failed"))
    )
    assert list(view.instances) == ["a-1", "b-1"]


def test_histories_are_bounded():
    view = HostView(HostInfo("web"))
    for _ in range(HISTORY + 10):
        view = see(view, snapshot(one(), full=True))
    assert len(view.cpu) == len(view.instances["api-1"].cpu) == HISTORY


def test_events_are_taken_once_and_bounded():
    batch = events_pb2.EventBatch(events=[events_pb2.Event(seq=n) for n in range(1, EVENTS_KEPT + 50)])
    view = see(HostView(HostInfo("web")), batch, batch)
    assert len(view.events) == EVENTS_KEPT
    assert view.events[-1].seq == EVENTS_KEPT + 49


def test_a_late_answer_does_not_revive_an_operation():
    ended = operations_pb2.Operation(id="x", state="done", created_ns=1)
    late = operations_pb2.Operation(id="x", state="running", created_ns=1)
    view = see(HostView(HostInfo("web")), ended, late)
    assert view.operations[0].state == "done"


def test_a_host_is_stale_when_it_is_silent_although_its_link_says_nothing():
    view = see(HostView(HostInfo("web")), LinkSeen("live"), snapshot(one(), full=True))
    assert link_text(view, NOW + 1) == "live"
    assert link_text(view, NOW + 12) == "stale 12 s"
    assert host_level(view, NOW + 12) is Level.NOTICE
    assert link_text(see(view, LinkSeen("auth-failed", "no key")), NOW) == "auth failed"
    assert link_text(HostView(HostInfo("web")), NOW) == "connecting"


def test_trouble_in_order():
    assert instance_level(one(state="failed")) is Level.BAD
    assert instance_level(one(health="unhealthy")) is Level.BAD
    assert instance_level(one(health="degraded")) is Level.WARN
    assert instance_level(one(state="starting")) is Level.NOTICE
    assert instance_level(one()) is Level.FINE
    assert instance_level(one(state="stopped", goal="down")) is Level.OFF
    assert instance_level(one(state="stopped")) is Level.WARN
    assert instance_level(one(state="stopped", result="exit-code")) is Level.WARN
    assert instance_level(one(state="stopped", result="success")) is Level.OFF, "it has done what it was for"


def test_reasons_are_one_line():
    assert reason(one(state="failed", last_error="exit 1\nmore")) == "exit 1"
    assert reason(one(state="waiting", waiting_for="db")) == "waits for db"
    assert reason(one(health="degraded", health_detail="slow")) == "slow"
    assert reason(one(health="unknown", health_detail="no socket", ref="web")) == "no socket"
    assert reason(one(health="unknown", health_detail="not asked yet")) == ""
    assert reason(one(last_error="old")) == ""


def test_the_fleet_is_sorted_by_trouble_and_filtered():
    fleet = FleetView()
    for name, state in (("a", "running"), ("b", "failed"), ("c", "backoff")):
        for body in (
            HostInfo(name, group="x" if name != "a" else "y"),
            LinkSeen("live"),
            snapshot(one(state=state), full=True),
        ):
            fleet = reduce_fleet(fleet, Seen(NOW, name, body))
    assert [view.name for view in chosen(fleet, parse(""), "", False, NOW)] == ["b", "c", "a"]
    assert [view.name for view in chosen(fleet, parse("backoff"), "", False, NOW)] == ["c"]
    assert [view.name for view in chosen(fleet, parse(""), "y", False, NOW)] == ["a"]
    assert [view.name for view in chosen(fleet, parse(""), "", True, NOW)] == ["b", "c"]
    assert fleet.worst(NOW) == (Level.BAD, "b: api-1 failed")
    assert fleet.groups() == {"y": 1, "x": 2}


def test_nothing_new_is_the_same_view():
    view = see(HostView(HostInfo("web")), LinkSeen("live"))
    assert reduce_host(view, Seen(NOW, "web", LinkSeen("live"))) is view
    assert see(view, Trouble("refused")).trouble == "refused"
    assert worst_text(view) == ""


def test_an_operation_in_one_line():
    host = see(HostView(HostInfo("web")), snapshot(one(), full=True))
    step = operations_pb2.Step(title="start api-1", state="waiting", detail="not ready")
    running = operations_pb2.Operation(
        kind="restart",
        targets=["api"],
        state="running",
        started_ns=int(NOW * 1e9),
        steps=[operations_pb2.Step(state="done"), step],
    )
    assert progress(running) == "1/2"
    over = [operations_pb2.Step(state=state) for state in ("done", "failed", "skipped")]
    assert progress(operations_pb2.Operation(state="failed", steps=over)) == "1/3"
    assert headline(running, host, NOW)[0] == "▶ restart api on web 1/2 · start api-1: not ready"
    done = operations_pb2.Operation(kind="restart", state="done", started_ns=1, ended_ns=1 + 4 * 10**9)
    assert headline(done, host, NOW) == ("✓ restart all on web done in 4.0 s", "ok")
    failed = operations_pb2.Operation(kind="start", state="failed", error="cannot start\nlog")
    assert headline(failed, host, NOW) == ("✗ start all on web failed: cannot start", "bad")


def test_a_crash_is_seen_for_some_minutes_after_the_restart():
    error = "killed by SIGSEGV after 31 s, restart 1 in 95 ms\n  last line"
    one = status_pb2.InstanceStatus(instance="api-1", state="running", goal="up", health="healthy", restarts=1)
    assert instance_level(one) is Level.FINE
    one.uptime_seconds, one.result = 200.0, "signal"
    assert (instance_level(one), word(one)) == (Level.WARN, "crashed")
    assert reason(one) == "restarted 3 min ago, last end: signal"
    one.uptime_seconds = 301.0
    assert instance_level(one) is Level.FINE
    one.last_error = error
    assert (instance_level(one), word(one), is_up(one)) == (Level.WARN, "crashed", True)
    assert reason(one) == "killed by SIGSEGV after 31 s; restart 1"
    one.health, one.health_detail = "unhealthy", "no answer"
    assert (instance_level(one), word(one), is_up(one), reason(one)) == (Level.BAD, "unhealthy", False, "no answer")
    # Stopped by a person, the old crash is not why.
    stopped = status_pb2.InstanceStatus(instance="api-1", state="stopped", goal="down", last_error=error)
    assert reason(stopped) == ""


def test_the_worst_in_words_is_of_the_instance_unless_the_link_is_worse():
    view = HostView(HostInfo("web"), link=LinkSeen("live"), seen_at=100.0)
    stopping = status_pb2.InstanceStatus(instance="api-1", state="stopping", goal="up")
    view = replace(view, instances={"api-1": InstanceView(stopping)})
    assert trouble_text(view, 100.0) == "api-1 stopping"
    assert trouble_text(view, 120.0) == "stale 20 s"


def test_what_an_agent_says_of_itself_is_told_while_nothing_is_worse():
    well = see(HostView(HostInfo("web")), LinkSeen("live"), snapshot(one(), full=True))
    said = snapshot(one(), full=True)
    said.notes.append("the output elk fails")
    view = see(well, said)
    assert host_level(view, NOW) is Level.WARN
    assert trouble_text(view, NOW) == "the output elk fails"
    failed = see(view, snapshot(one(state="failed"), full=True), said)
    assert "elk" in trouble_text(failed, NOW)
    assert see(view, snapshot(one(), full=True)).notes == ()
    said.instances[0].state = "failed"
    assert trouble_text(see(view, said), NOW) == "api-1 failed"


def test_an_operation_without_steps_tells_no_number_of_them() -> None:
    assert progress(operations_pb2.Operation(kind="stop", state="done")) == ""
