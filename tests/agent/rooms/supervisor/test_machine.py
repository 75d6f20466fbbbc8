"""The machine: random histories never leave the edges, and what each event means where it matters."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.supervisor import machine
from bhtui.agent.rooms.supervisor.effects import (
    Effect,
    ForgetHealth,
    Ignored,
    KillTree,
    Record,
    Refusal,
    RunStopCommand,
    Signal,
    Spawn,
    StartTimer,
    Timer,
    WatchHealth,
)
from bhtui.agent.rooms.supervisor.exits import Exit
from bhtui.agent.rooms.supervisor.instance import Instance, Moved
from bhtui.agent.rooms.supervisor.restart import SECOND, History
from bhtui.core.event import EventKind
from bhtui.core.spec import ProbeKind, ProbeSpec, Restart, RestartSpec, ServiceSpec, StopSpec
from bhtui.core.states import EDGES, Goal, Health, Result, State

PROBE = ProbeSpec(kind=ProbeKind.TCP, target=":80")
SPEC = ServiceSpec("api", ("api",), probe=PROBE, restart=RestartSpec(jitter=0))
NOW = 1_000 * SECOND


def instance(**changes: object) -> Instance:
    return Instance("api-1", SPEC, **changes)  # type: ignore[arg-type]


def exit_of(i: Instance, code: int | None = 1, signal: int | None = None, tail: tuple[str, ...] = ()) -> Exit:
    return Exit(i.incarnation, code, signal, tail=tail)


def started(i: Instance | None = None, waiting: str = "") -> Moved:
    return machine.on_start_asked(i or instance(), "op", {}, waiting, NOW)


def running(spec: ServiceSpec = SPEC) -> Instance:
    i, _ = started(Instance("api-1", spec))
    i, _ = machine.on_spawned(i, 42, NOW, NOW)
    if i.state is State.STARTING:
        i, _ = machine.on_health(i, Health.HEALTHY, "", NOW + SECOND)
    assert i.state is State.RUNNING
    return i


def kinds(effects: tuple[Effect, ...]) -> list[type]:
    return [type(effect) for effect in effects]


# ---- all of it ---------------------------------------------------------------------------------------------------

Event = Callable[[Instance, int], Moved]
times = st.integers(0, 100)
healths = st.sampled_from(Health)
exits = st.tuples(st.sampled_from([0, 1, None]), st.sampled_from([None, 9, 15, 11]), st.booleans(), st.integers(-1, 1))


def _exit_event(parts: tuple[int | None, int | None, bool, int]) -> Event:
    code, signal, oom, shift = parts
    return lambda i, now: machine.on_exited(i, Exit(i.incarnation + shift, code, signal, oom, ("line",)), now, 0.5)


def _unseen(parts: tuple[int | None, int | None, bool, int], waiting: str) -> Event:
    code, signal, oom, _ = parts
    return lambda i, now: machine.on_ended_unseen(i, Exit(i.incarnation, code, signal, oom), waiting, now, 0.5)


waits = st.sampled_from(["", "db-1 healthy"])
events: st.SearchStrategy[Event] = st.one_of(
    waits.map(lambda w: lambda i, now: machine.on_start_asked(i, "op", {"A": "b"}, w, now)),
    st.sampled_from([None, 0.0, 3.0]).map(lambda g: lambda i, now: machine.on_stop_asked(i, g, now)),
    waits.map(lambda w: lambda i, now: machine.on_dependencies(i, w, now)),
    st.just(lambda i, now: machine.on_spawned(i, 42, now, now)),
    st.just(lambda i, now: machine.on_spawn_failed(i, "cannot start api: no", now, 0.5)),
    healths.map(lambda h: lambda i, now: machine.on_health(i, h, "said", now)),
    st.just(lambda i, now: machine.on_start_timeout(i, now)),
    st.just(lambda i, now: machine.on_grace_over(i, now)),
    exits.map(_exit_event),
    st.integers(0, 3).map(lambda n: lambda i, now: machine.on_killed(i, n, now, 0.5)),
    waits.map(lambda w: lambda i, now: machine.on_backoff_over(i, w, now)),
    st.booleans().map(lambda ready: lambda i, now: machine.on_adopted(i, 43, ready, now)),
    st.builds(_unseen, exits, waits),
    st.booleans().map(lambda d: lambda i, now: machine.on_spec_changed(i, replace(i.spec, probe=ProbeSpec()), d)),
)
specs = st.builds(
    ServiceSpec,
    name=st.just("api"),
    command=st.just(("api",)),
    probe=st.sampled_from([ProbeSpec(), PROBE, replace(PROBE, liveness=True)]),
    restart=st.builds(RestartSpec, policy=st.sampled_from(Restart), start_limit=st.integers(0, 3)),
    stop=st.sampled_from([StopSpec(), StopSpec(command=("stop",)), StopSpec(grace=0)]),
)


@settings(max_examples=400, deadline=None)
@given(specs, st.lists(st.tuples(events, times), max_size=60))
def test_any_history_keeps_to_the_edges_and_decides(spec: ServiceSpec, history: list[tuple[Event, int]]) -> None:
    i, now = Instance("api-1", spec), NOW
    for event, seconds in history:
        now += seconds * SECOND // 10
        before = i
        i, effects = event(before, now)
        records = [e for e in effects if isinstance(e, Record) and e.kind == EventKind.STATE_CHANGED]
        path = [(e.data["from"], e.data["to"]) for e in records]
        assert all(State(to) in EDGES[State(origin)] for origin, to in path)
        assert (path[0][0], path[-1][1]) == (before.state, i.state) if path else before.state is i.state
        check_invariants(i, effects)


def check_invariants(i: Instance, effects: tuple[Effect, ...]) -> None:
    if i.state in (State.STOPPED, State.WAITING, State.BACKOFF, State.FAILED):
        assert i.pid is None, "no process outside the states that have one"
    if i.state is State.RUNNING:
        assert i.pid is not None
    if i.state in (State.WAITING, State.BACKOFF, State.STARTING, State.RUNNING):
        assert i.goal is Goal.UP, "nothing moves up that is to be down"
    spawns = [e for e in effects if isinstance(e, Spawn)]
    assert len(spawns) <= 1
    if spawns:
        assert (i.state, effects[-1]) == (State.STARTING, Spawn(i.incarnation)), "a spawn is the last effect"
    timers = [e for e in effects if isinstance(e, StartTimer)]
    assert all(t.incarnation == i.incarnation and t.delay >= 0 for t in timers)


def states() -> dict[State, Instance]:
    up = running()
    stopping, _ = machine.on_stop_asked(up, None, NOW)
    backoff, _ = machine.on_exited(up, exit_of(up), NOW, 0.5)
    failed = running(replace(SPEC, restart=RestartSpec(policy=Restart.NO)))
    failed, _ = machine.on_exited(failed, exit_of(failed), NOW, 0.5)
    starting, _ = started()
    waiting, _ = started(waiting="db-1 healthy")
    found = [instance(), waiting, starting, up, stopping, backoff, failed]
    return {i.state: i for i in found}


EVENTS: dict[str, Event] = {
    "start": lambda i, now: machine.on_start_asked(i, "op2", {}, "", now),
    "start, waiting": lambda i, now: machine.on_start_asked(i, "op2", {}, "db", now),
    "stop": lambda i, now: machine.on_stop_asked(i, None, now),
    "kill": lambda i, now: machine.on_stop_asked(i, 0.0, now),
    "dependencies": lambda i, now: machine.on_dependencies(i, "", now),
    "spawned": lambda i, now: machine.on_spawned(i, 42, now, now),
    "spawn failed": lambda i, now: machine.on_spawn_failed(i, "no", now, 0.5),
    "healthy": lambda i, now: machine.on_health(i, Health.HEALTHY, "", now),
    "unhealthy": lambda i, now: machine.on_health(i, Health.UNHEALTHY, "x", now),
    "start timeout": lambda i, now: machine.on_start_timeout(i, now),
    "grace over": lambda i, now: machine.on_grace_over(i, now),
    "exited": lambda i, now: machine.on_exited(i, exit_of(i), now, 0.5),
    "killed": lambda i, now: machine.on_killed(i, 0, now, 0.5),
    "backoff over": lambda i, now: machine.on_backoff_over(i, "", now),
    "adopted": lambda i, now: machine.on_adopted(i, 42, True, now),
    "ended unseen": lambda i, now: machine.on_ended_unseen(i, exit_of(i), "", now, 0.5),
}


@pytest.mark.parametrize(("event", "state"), itertools.product(EVENTS, State))
def test_every_cell_is_decided(event: str, state: State) -> None:
    """It changes something, wants something done, or says why it does not."""
    before = states()[state]
    after, effects = EVENTS[event](before, NOW + SECOND)
    assert effects or after != before


def test_every_state_was_reached() -> None:
    assert set(states()) == set(State)


# ---- starting ----------------------------------------------------------------------------------------------------


def test_a_start_spawns_and_waits_until_it_is_well() -> None:
    i, effects = started()
    assert (i.state, i.goal, i.incarnation, i.key) == (State.STARTING, Goal.UP, 1, "api-1#1")
    assert isinstance(effects[-1], Spawn)
    i, effects = machine.on_spawned(i, 42, NOW, NOW)
    assert effects == (WatchHealth(1, starting=True), StartTimer(Timer.READY, 30.0, 1))
    i, effects = machine.on_health(i, Health.UNKNOWN, "connection refused", NOW)
    assert (i.state, i.health_detail) == (State.STARTING, "connection refused")
    i, _ = machine.on_health(i, Health.DEGRADED, "cache cold", NOW)
    assert (i.state, i.health) == (State.RUNNING, Health.DEGRADED)


def test_without_a_probe_it_runs_when_its_process_does() -> None:
    i = running(replace(SPEC, probe=ProbeSpec()))
    assert i.health is Health.HEALTHY


def test_it_waits_for_its_dependencies() -> None:
    i, effects = started(waiting="db-1 healthy")
    assert (i.state, i.waiting_for) == (State.WAITING, "db-1 healthy")
    i, effects = machine.on_dependencies(i, "db-1 healthy, mq-1 healthy", NOW)
    assert (i.state, i.waiting_for, effects) == (State.WAITING, "db-1 healthy, mq-1 healthy", ())
    i, effects = machine.on_dependencies(i, "", NOW)
    assert (i.state, i.waiting_for) == (State.STARTING, "")
    assert isinstance(effects[-1], Spawn)


def test_a_second_start_changes_nothing() -> None:
    i = running()
    after, effects = started(i)
    assert after == i
    assert kinds(effects) == [Ignored]


def test_what_is_not_declared_is_not_started() -> None:
    i, effects = started(instance(declared=False))
    assert i.state is State.STOPPED
    assert kinds(effects) == [Refusal]


def test_a_start_timeout_ends_it_and_counts_as_a_failure() -> None:
    i, _ = started()
    i, _ = machine.on_spawned(i, 42, NOW, NOW)
    i, _ = machine.on_health(i, Health.UNKNOWN, "connection refused", NOW)
    i, effects = machine.on_start_timeout(i, NOW + 30 * SECOND)
    assert i.state is State.STOPPING
    assert Signal("SIGTERM") in effects
    i, _ = machine.on_exited(i, exit_of(i, None, 15, ("bye",)), NOW + 31 * SECOND, 0.5)
    i, _ = machine.on_killed(i, 0, NOW + 31 * SECOND, 0.5)
    assert (i.state, i.result, i.early_exits) == (State.BACKOFF, Result.START_TIMEOUT, 1)
    assert i.last_error == "not healthy within 30 s: connection refused, restart 1 in 20 ms\n  bye"


def test_a_spawn_that_fails_follows_the_policy() -> None:
    i, _ = started()
    i, effects = machine.on_spawn_failed(i, "cannot start api: port 80 is in use by nginx (pid 7)", NOW, 0.5)
    assert (i.state, i.result) == (State.BACKOFF, Result.SPAWN_ERROR)
    assert i.last_error.startswith("cannot start api: port 80 is in use by nginx (pid 7), restart 1 in")
    assert isinstance(effects[-1], StartTimer)


# ---- ending by itself --------------------------------------------------------------------------------------------


def test_a_crash_is_told_with_its_last_lines_and_what_is_left_is_killed() -> None:
    i = running()
    i, effects = machine.on_exited(i, exit_of(i, 1, tail=("bind: address in use",)), NOW + SECOND // 5, 0.5)
    assert (i.state, i.result, i.pid) == (State.BACKOFF, Result.EXIT_CODE, None)
    assert i.last_error == "exit 1 after 0.2 s, restart 1 in 20 ms\n  bind: address in use"
    order = kinds(effects)
    assert order[-1] is KillTree, "so that nothing else waits for it; the driver takes no event meanwhile"
    assert ForgetHealth in order
    i, _ = machine.on_killed(i, 2, NOW, 0.5)
    left = "2 processes outlived api-1 and were killed"
    assert i.last_error.startswith(f"exit 1 after 0.2 s, restart 1 in 20 ms; {left}\n")
    i, effects = machine.on_backoff_over(i, "", NOW + SECOND)
    assert (i.state, i.incarnation) == (State.STARTING, 2)


def test_an_exit_of_an_earlier_process_is_ignored() -> None:
    i = running()
    after, effects = machine.on_exited(i, Exit(0, 1), NOW, 0.5)
    assert after == i
    assert kinds(effects) == [Ignored]


def test_a_one_shot_service_completes() -> None:
    i = running(replace(SPEC, probe=ProbeSpec(), restart=RestartSpec(policy=Restart.ON_FAILURE)))
    i, _ = machine.on_exited(i, exit_of(i, 0), NOW, 0.5)
    assert (i.state, i.result, i.completed, i.last_error) == (State.STOPPED, Result.SUCCESS, True, "")


def test_it_gives_up_at_the_start_limit() -> None:
    i = replace(running(), history=History(10, tuple([NOW] * 10), 10))
    i, _ = machine.on_exited(i, exit_of(i, 1), NOW, 0.5)
    assert i.state is State.FAILED
    assert i.last_error.endswith("restarted 10 times in 60 s")


def test_runs_that_end_early_are_counted_until_one_is_ready() -> None:
    spec = replace(SPEC, probe=ProbeSpec())
    i = running(spec)
    for count in (1, 2, 3):
        i, _ = machine.on_exited(i, exit_of(i), i.started_ns + SECOND // 10, 0.5)
        assert i.early_exits == count
        i, _ = machine.on_backoff_over(i, "", NOW)
        i, _ = machine.on_spawned(i, 42, NOW, NOW)
    i, _ = machine.on_exited(i, exit_of(i), i.started_ns + 2 * SECOND, 0.5)
    assert i.early_exits == 0


def test_out_of_memory_is_named() -> None:
    i = running()
    i, _ = machine.on_exited(i, Exit(i.incarnation, None, 9, oom=True), NOW, 0.5)
    assert i.result is Result.OOM_KILL
    assert "killed by SIGKILL: out of memory" in i.last_error


def test_a_restart_waits_for_a_dependency_that_is_down() -> None:
    i = running()
    i, _ = machine.on_exited(i, exit_of(i), NOW, 0.5)
    i, _ = machine.on_backoff_over(i, "db-1 healthy (it is backoff)", NOW)
    assert (i.state, i.waiting_for) == (State.BACKOFF, "db-1 healthy (it is backoff)")
    i, _ = machine.on_dependencies(i, "", NOW)
    assert i.state is State.STARTING


def test_liveness_restarts_it() -> None:
    i = running(replace(SPEC, probe=replace(PROBE, liveness=True)))
    i, effects = machine.on_health(i, Health.UNHEALTHY, "HTTP 503", NOW)
    assert i.state is State.STOPPING
    assert kinds(effects)[0] is Record
    i, _ = machine.on_exited(i, exit_of(i, 0), NOW, 0.5)
    i, _ = machine.on_killed(i, 0, NOW, 0.5)
    assert (i.state, i.result) == (State.BACKOFF, Result.LIVENESS)
    assert i.last_error.startswith("unhealthy: HTTP 503, restart 1 in")


def test_without_liveness_it_is_only_told() -> None:
    i, effects = machine.on_health(running(), Health.UNHEALTHY, "HTTP 503", NOW)
    assert (i.state, i.health) == (State.RUNNING, Health.UNHEALTHY)
    assert effects == (
        Record(
            EventKind.HEALTH_CHANGED, "api-1 unhealthy: HTTP 503",
            {"from": "healthy", "to": "unhealthy", "detail": "HTTP 503"},
        ),
    )  # fmt: skip


# ---- stopping ----------------------------------------------------------------------------------------------------


def test_a_stop_asks_then_kills_then_tells_what_was_left() -> None:
    i, effects = machine.on_stop_asked(running(), None, NOW)
    assert (i.state, i.goal) == (State.STOPPING, Goal.DOWN)
    assert effects[-2:] == (Signal("SIGTERM"), StartTimer(Timer.GRACE, 10.0, 1))
    i, effects = machine.on_grace_over(i, NOW)
    assert effects == (KillTree(1),)
    i, _ = machine.on_killed(i, 4, NOW, 0.5)
    assert i.state is State.STOPPING, "until its main process is known to have ended"
    i, effects = machine.on_exited(i, exit_of(i, None, 9), NOW, 0.5)
    assert effects[-1] == KillTree(1)
    i, effects = machine.on_killed(i, 2, NOW, 0.5)
    assert (i.state, i.result) == (State.STOPPED, Result.SIGNAL)
    assert machine.leftover_text(i) == "2 processes outlived api-1 and were killed"
    assert "2 processes outlived api-1 and were killed" in effects[0].message  # type: ignore[union-attr]


def test_an_end_by_the_stop_signal_is_a_success() -> None:
    i, _ = machine.on_stop_asked(running(), None, NOW)
    i, _ = machine.on_exited(i, exit_of(i, None, 15), NOW, 0.5)
    assert i.result is Result.SUCCESS


def test_a_stop_command_comes_before_the_signal() -> None:
    i = running(replace(SPEC, stop=StopSpec(command=("nginx", "-s", "quit"), grace=3)))
    _, effects = machine.on_stop_asked(i, None, NOW)
    assert RunStopCommand(("nginx", "-s", "quit"), 3) in effects
    assert not any(isinstance(e, Signal) for e in effects)


def test_a_kill_has_no_grace_and_a_second_stop_can_hurry() -> None:
    _, effects = machine.on_stop_asked(running(), 0.0, NOW)
    assert effects[-1] == KillTree(1)
    i, _ = machine.on_stop_asked(running(), None, NOW)
    assert machine.on_stop_asked(i, 0.0, NOW)[1] == (KillTree(1),)
    assert machine.on_stop_asked(i, 1.0, NOW)[1] == (StartTimer(Timer.GRACE, 1.0, 1),)


def test_a_stop_while_the_keeper_starts_it_ends_it_when_it_is_there() -> None:
    i, _ = started()
    i, effects = machine.on_stop_asked(i, None, NOW)
    assert i.state is State.STOPPING
    assert not any(isinstance(e, Signal) for e in effects)
    i, effects = machine.on_spawned(i, 42, NOW, NOW)
    assert effects[0] == Signal("SIGTERM")


def test_a_start_while_it_stops_comes_after() -> None:
    i, _ = machine.on_stop_asked(running(), None, NOW)
    i, _ = started(i)
    i, _ = machine.on_exited(i, exit_of(i, 0), NOW, 0.5)
    assert i.state is State.STOPPING
    i, _ = machine.on_killed(i, 0, NOW, 0.5)
    assert (i.state, i.incarnation, i.goal) == (State.STARTING, 2, Goal.UP)


def test_a_stop_ends_waiting_for_a_restart() -> None:
    i = running()
    i, _ = machine.on_exited(i, exit_of(i), NOW, 0.5)
    i, _ = machine.on_stop_asked(i, None, NOW)
    assert i.state is State.STOPPED
    _, effects = machine.on_backoff_over(i, "", NOW)
    assert kinds(effects) == [Ignored]


# ---- another life of the agent -----------------------------------------------------------------------------------


def test_what_runs_is_adopted() -> None:
    i, effects = machine.on_adopted(instance(goal=Goal.UP, incarnation=7, started_ns=NOW), 42, True, NOW)
    assert (i.state, i.pid, i.key) == (State.RUNNING, 42, "api-1#7")
    assert effects[0] == Record(EventKind.INSTANCE_ADOPTED, "api-1 runs on with pid 42", {"pid": 42})
    assert WatchHealth(7, starting=False) in effects


def test_what_was_starting_goes_on_starting_with_the_time_that_is_left() -> None:
    i = instance(goal=Goal.UP, incarnation=7, started_ns=NOW - 10 * SECOND)
    i, effects = machine.on_adopted(i, 42, False, NOW)
    assert i.state is State.STARTING
    assert StartTimer(Timer.READY, 20.0, 7) in effects


def test_what_should_be_down_is_stopped_when_it_is_found() -> None:
    i, effects = machine.on_adopted(instance(goal=Goal.DOWN, incarnation=7), 42, True, NOW)
    assert i.state is State.STOPPING
    assert Signal("SIGTERM") in effects


def test_an_end_that_nobody_saw() -> None:
    i = instance(goal=Goal.UP, incarnation=7)
    after, _ = machine.on_ended_unseen(i, Exit(7), "", NOW, 0.5)
    assert (after.state, after.history.restarts, after.result) == (State.STARTING, 1, Result.UNKNOWN)
    after, _ = machine.on_ended_unseen(i, Exit(7, 1), "db-1 healthy", NOW, 0.5)
    assert after.state is State.WAITING
    after, _ = machine.on_ended_unseen(i, Exit(7, 0), "", NOW, 0.5)
    assert after.completed
    i = replace(i, spec=replace(SPEC, restart=RestartSpec(policy=Restart.NO)))
    after, _ = machine.on_ended_unseen(i, Exit(7), "", NOW, 0.5)
    assert (after.state, after.last_error) == (State.FAILED, "ended unseen, with an unknown exit status")


def test_a_changed_probe_holds_at_once() -> None:
    other = replace(SPEC, probe=replace(PROBE, target=":81"))
    i, effects = machine.on_spec_changed(running(), other, True)
    assert effects == (WatchHealth(1, starting=False),)
    i, effects = machine.on_spec_changed(i, replace(SPEC, probe=ProbeSpec()), True)
    assert (i.health, effects) == (Health.HEALTHY, (ForgetHealth(),))


def test_a_start_asked_while_it_stops_waits_for_what_it_depends_on() -> None:
    i, _ = machine.on_stop_asked(running(), None, NOW)
    i, _ = machine.on_start_asked(i, "op", {}, "db-1 healthy", NOW)
    i, _ = machine.on_exited(i, exit_of(i), NOW, 0.5)
    i, _ = machine.on_killed(i, 0, NOW, 0.5)
    assert (i.state, i.waiting_for, i.again) == (State.WAITING, "db-1 healthy", False)
    i, _ = machine.on_dependencies(i, "", NOW)
    assert i.state is State.STARTING


def test_what_it_waits_for_may_come_while_it_still_stops() -> None:
    i, _ = machine.on_stop_asked(running(), None, NOW)
    i, _ = machine.on_start_asked(i, "op", {}, "db-1 healthy", NOW)
    i, _ = machine.on_dependencies(i, "", NOW)
    i, _ = machine.on_exited(i, exit_of(i), NOW, 0.5)
    i, effects = machine.on_killed(i, 0, NOW, 0.5)
    assert i.state is State.STARTING
    assert Spawn in kinds(effects)


def test_a_clock_that_was_set_back_gives_no_longer_time_to_become_ready() -> None:
    i = instance(goal=Goal.UP, started_ns=NOW + 3600 * SECOND)
    _, effects = machine.on_adopted(i, 43, False, NOW)
    [timer] = [each for each in effects if isinstance(each, StartTimer)]
    assert timer.delay == PROBE.ready_timeout


@pytest.mark.parametrize("step", [3600 * SECOND, -86_400 * SECOND])
def test_ages_and_delays_stay_what_they_are_when_the_clock_is_set(step: int) -> None:
    before = replace(running(), next_start_ns=NOW + 5 * SECOND, history=History(2, (NOW - 2 * SECOND, NOW - SECOND), 2))
    i, effects = machine.on_clock_set(before, step)
    assert effects == ()
    assert (i.started_ns - before.started_ns, i.since_ns - before.since_ns) == (step, step)
    assert i.next_start_ns == NOW + step + 5 * SECOND
    assert i.history == History(2, (NOW + step - 2 * SECOND, NOW + step - SECOND), 2)
    assert machine.on_clock_set(instance(), step)[0] == instance()  # what never was stays so


def test_a_probe_that_reads_the_log_looks_anew_when_the_clock_is_set() -> None:
    read = replace(SPEC, probe=ProbeSpec(ProbeKind.LOG, "ready"))
    i = replace(instance(goal=Goal.UP, incarnation=3, started_ns=NOW), spec=read, state=State.STARTING, pid=42)
    assert machine.on_clock_set(i, -SECOND)[1] == (WatchHealth(3, starting=True),)


@pytest.mark.parametrize("step", [3600 * SECOND, -86_400 * SECOND])
def test_a_run_is_as_long_as_it_was_when_the_clock_was_set_in_it(step: int) -> None:
    i = running()
    ended = replace(exit_of(i), time_ns=i.started_ns + step + 2 * SECOND, lived=2.0)
    i, _ = machine.on_exited(i, ended, i.started_ns + step + 2 * SECOND, 0.5)
    assert " after 2 s" in i.last_error
