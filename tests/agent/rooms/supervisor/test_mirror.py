"""The mirror: whatever a manager says and people ask, in any order, only listed edges are walked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.foreign.model import Observation
from bhtui.agent.rooms.supervisor import holds, mirror
from bhtui.agent.rooms.supervisor.effects import AskManager, Effect, Record, StartTimer, WatchHealth
from bhtui.agent.rooms.supervisor.instance import Instance, Moved
from bhtui.agent.rooms.supervisor.restart import SECOND
from bhtui.core.event import EventKind
from bhtui.core.spec import ProbeKind, ProbeSpec, ServiceKind, ServiceSpec
from bhtui.core.states import EDGES, Goal, Health, Result, State

BARE = ServiceSpec("web", (), kind=ServiceKind.SYSTEMD, unit="nginx.service", scope="system")
PROBED = replace(BARE, probe=ProbeSpec(kind=ProbeKind.TCP, target=":80"))
NOW = 1_000 * SECOND
UP = Observation(State.RUNNING, "run-1", pid=42, since_ns=NOW)
DOWN = Observation(State.STOPPED, "run-1", result=Result.SUCCESS, was_asked=True)
BROKEN = Observation(State.FAILED, "run-1", result=Result.EXIT_CODE, text="exit 3")


def instance(spec: ServiceSpec = BARE, **changes: object) -> Instance:
    return Instance("web-1", spec, **changes)  # type: ignore[arg-type]


def seen(i: Instance, *observations: Observation) -> Moved:
    effects: tuple[Effect, ...] = ()
    for each in observations:
        i, more = mirror.on_observed(i, each, (), NOW)
        effects += more
    return i, effects


def running(spec: ServiceSpec = BARE) -> Instance:
    i, _ = mirror.on_adopted(instance(spec), False, UP, (), NOW)
    assert (i.state, i.goal, i.pid) == (State.RUNNING, Goal.UP, 42)
    return i


def events(effects: tuple[Effect, ...]) -> list[str]:
    return [each.message for each in effects if isinstance(each, Record)]


# ---- all of it ---------------------------------------------------------------------------------------------------

Event = Callable[[Instance], Moved]
states = st.sampled_from([None, *(s for s in State if s is not State.WAITING)])
observations = st.builds(
    Observation,
    state=states,
    run=st.sampled_from(["", "a", "b"]),
    pid=st.sampled_from([None, 1, 2]),
    since_ns=st.sampled_from([0, NOW]),
    restarts=st.integers(0, 2),
    result=st.sampled_from(Result),
    was_asked=st.booleans(),
    text=st.sampled_from(["", "exit 1"]),
    health=st.sampled_from([None, *Health]),
    would_restart=st.booleans(),
)
windows = st.sampled_from(["", "night"])
happenings: st.SearchStrategy[Event] = st.one_of(
    st.tuples(observations, windows).map(lambda p: lambda i: mirror.on_observed(i, p[0], ("line",), NOW, p[1])),
    st.tuples(observations, st.booleans(), windows, st.booleans()).map(
        lambda p: lambda i: mirror.on_adopted(i, p[1], p[0], (), NOW, p[2], p[3])
    ),
    windows.map(lambda w: lambda i: mirror.on_window(i, w)),
    st.just(lambda i: mirror.on_let(i, NOW)),
    st.booleans().map(lambda b: lambda i: holds.taken(i, {"Restart": "always"} if b else {}, "")),
    st.tuples(st.sampled_from(["start", "stop", "restart"]), st.sampled_from(["", "no"]), observations).map(
        lambda p: lambda i: mirror.on_answered(i, p[0], p[1], p[2], (), NOW)
    ),
    st.sampled_from(["", "db-1 healthy"]).map(lambda w: lambda i: mirror.on_start_asked(i, "op", w, NOW)),
    st.sampled_from(["", "db-1 healthy"]).map(lambda w: lambda i: mirror.on_dependencies(i, w, NOW)),
    st.sampled_from([None, 0.0, 5.0]).map(lambda g: lambda i: mirror.on_stop_asked(i, g, NOW)),
    st.just(lambda i: mirror.on_restart_asked(i, "op", NOW)),
    st.just(mirror.on_start_timeout),
    st.sampled_from(Health).map(lambda h: lambda i: mirror.on_health(i, h, "detail", NOW)),
    st.sampled_from([BARE, PROBED]).map(lambda s: lambda i: mirror.on_spec_changed(i, s, True)),
)


@given(st.sampled_from([BARE, PROBED]), st.lists(happenings, max_size=25), observations)
def test_any_history_walks_listed_edges_and_calms_down(spec: ServiceSpec, history: list[Event], last: Observation):
    i = instance(spec)
    for event in history:
        before = i.state
        i, effects = event(i)
        for each in effects:
            if isinstance(each, Record) and each.kind is EventKind.STATE_CHANGED:
                assert each.data["from"] == before
                before = State(each.data["to"])
                assert before in EDGES[State(each.data["from"])]
        assert before is i.state
    # Once nothing is asked any more the same observation, seen again, changes nothing more.
    i, _ = mirror.on_answered(i, i.asking, "", last, (), NOW) if i.asking else seen(i, last)
    i, _ = seen(i, last)
    again, effects = seen(i, last)
    assert (again, events(effects)) == (i, [])
    if last.state is not None and i.state is not State.WAITING:
        wanted = {last.state}
        if last.state is State.RUNNING and spec_has_probe(i):
            wanted = {State.STARTING, State.RUNNING}
        if last.state in (State.STOPPED, State.FAILED):
            wanted = {State.BACKOFF} if i.held else {State.STOPPED, State.FAILED}
        is_ending = i.goal is Goal.DOWN or i.again
        if last.state in (State.STARTING, State.RUNNING) and is_ending and last.run == i.run:
            wanted = {State.STOPPING}  # it was asked to end, and its manager still has the same run
        assert i.state in wanted


def spec_has_probe(i: Instance) -> bool:
    return i.spec.probe.kind is not ProbeKind.NONE


@pytest.mark.parametrize("begin", State)
@pytest.mark.parametrize("end", [s for s in State if s is not State.WAITING])
def test_there_is_a_way_from_each_state_to_each(begin: State, end: State):
    way = mirror.route(begin, end)
    assert way[-1] is end and len(way) <= 3
    here = begin
    for state in way:
        assert state in EDGES[here]
        here = state


# ---- what people do ----------------------------------------------------------------------------------------------


def test_what_runs_is_taken_as_it_is():
    i, effects = mirror.on_adopted(instance(), False, UP, (), NOW)
    assert (i.state, i.goal, i.health, i.run) == (State.RUNNING, Goal.UP, Health.HEALTHY, "run-1")
    assert "web-1 runs on with pid 42" in events(effects)
    i, effects = mirror.on_adopted(instance(), False, DOWN, (), NOW)
    assert (i.state, i.goal, events(effects)) == (State.STOPPED, Goal.DOWN, [])


def test_a_start_is_asked_of_the_manager_and_what_was_seen_before_it_does_not_count():
    i, effects = mirror.on_start_asked(instance(), "op", "", NOW)
    assert (i.state, i.asking) == (State.STARTING, "start") and AskManager("start") in effects
    i, _ = seen(i, DOWN)
    assert i.state is State.STARTING
    i, _ = mirror.on_answered(i, "start", "", UP, (), NOW)
    assert (i.state, i.asking, i.asked_by) == (State.RUNNING, "", "op")


def test_a_refused_start_has_failed_and_says_why():
    i, _ = mirror.on_start_asked(instance(), "op", "", NOW)
    i, _ = mirror.on_answered(i, "start", "cannot start web: masked", Observation(State.STOPPED), (), NOW)
    assert (i.state, i.result, i.last_error) == (State.FAILED, Result.SPAWN_ERROR, "cannot start web: masked")
    i, _ = seen(i, Observation(State.STOPPED))
    assert i.state is State.FAILED


def test_a_refused_stop_goes_on_and_says_why():
    i, effects = mirror.on_stop_asked(running(), None, NOW)
    assert i.state is State.STOPPING and AskManager("stop", None) in effects
    i, _ = mirror.on_answered(i, "stop", "cannot stop web: not allowed", UP, (), NOW)
    assert (i.state, i.goal, i.stop_trouble) == (State.RUNNING, Goal.UP, "cannot stop web: not allowed")


def test_somebody_stops_it_elsewhere_and_the_goal_follows():
    i, effects = seen(running(), DOWN)
    assert (i.state, i.goal) == (State.STOPPED, Goal.DOWN)
    assert "web-1 was stopped past the agent; its goal follows" in events(effects)
    i, effects = seen(i, replace(UP, run="run-2", pid=43))
    assert (i.state, i.goal, i.pid) == (State.RUNNING, Goal.UP, 43)
    assert "web-1 was started past the agent; its goal follows" in events(effects)


def test_what_ends_by_itself_has_completed():
    i, effects = seen(running(), replace(DOWN, was_asked=False))
    assert i.completed and not [text for text in events(effects) if "past the agent" in text]


def test_our_own_stop_is_not_somebody_elses():
    i, _ = mirror.on_stop_asked(running(), None, NOW)
    i, effects = mirror.on_answered(i, "stop", "", DOWN, (), NOW)
    assert (i.state, i.goal, i.asking) == (State.STOPPED, Goal.DOWN, "")
    assert not [text for text in events(effects) if "past the agent" in text]


def test_an_automatic_restart_that_was_too_short_to_be_seen_is_told():
    before = running()
    i, effects = seen(before, replace(UP, run="run-2", pid=43, restarts=1))
    told = events(effects)
    assert [text.split(":")[0] for text in told] == ["web-1 backoff", "web-1 starting", "web-1 running"]
    assert (i.state, i.history.restarts, i.incarnation) == (State.RUNNING, 1, before.incarnation + 1)


def test_it_fails_with_its_reason_and_last_lines():
    i, _ = mirror.on_observed(running(), BROKEN, ("boom",), NOW + 5 * SECOND)
    assert (i.state, i.goal, i.result) == (State.FAILED, Goal.UP, Result.EXIT_CODE)
    assert i.last_error == "exit 3 after 5 s\n  boom"


def test_backoff_says_when_it_is_started_again_and_what_for():
    i, _ = mirror.on_observed(
        running(), replace(BROKEN, state=State.BACKOFF, next_start_ns=NOW + 7 * SECOND), ("boom",), NOW + SECOND
    )
    assert (i.state, i.next_start_ns) == (State.BACKOFF, NOW + 7 * SECOND)
    i, _ = seen(i, replace(UP, run="run-2", restarts=1))
    assert (i.state, i.last_error) == (State.RUNNING, "exit 3 after 1 s\n  boom")


def test_with_a_probe_it_is_starting_until_it_is_well():
    i, _ = mirror.on_start_asked(instance(PROBED), "op", "", NOW)
    i, effects = mirror.on_answered(i, "start", "", UP, (), NOW)
    assert i.state is State.STARTING and WatchHealth(1, starting=True) in effects
    assert any(isinstance(each, StartTimer) for each in effects)
    i, _ = mirror.on_start_timeout(i)
    assert (i.state, i.result, i.last_error) == (State.STARTING, Result.START_TIMEOUT, "not healthy within 30 s")
    i, _ = mirror.on_health(i, Health.HEALTHY, "", NOW)
    assert (i.state, i.result, i.last_error) == (State.RUNNING, Result.NONE, "")


def test_a_manager_that_does_not_answer_leaves_the_state_and_takes_the_certainty():
    i, effects = seen(running(), Observation(None, text="systemd does not answer"))
    assert (i.state, i.health, i.health_detail) == (State.RUNNING, Health.UNKNOWN, "systemd does not answer")
    assert events(effects) == ["web-1 unknown: systemd does not answer"]
    i, _ = seen(i, UP)
    assert i.health is Health.HEALTHY


def test_a_restart_is_one_thing_and_the_old_run_does_not_count():
    i, effects = mirror.on_restart_asked(running(), "op", NOW)
    assert i.state is State.STOPPING and AskManager("restart") in effects
    i, _ = seen(i, UP)
    assert i.state is State.STOPPING
    i, _ = mirror.on_answered(i, "restart", "", replace(UP, run="run-2", pid=43), (), NOW)
    assert (i.state, i.pid, i.goal) == (State.RUNNING, 43, Goal.UP)


def test_what_was_asked_by_an_agent_that_died_is_asked_again():
    record = {
        "goal": "up", "run": "", "asking": "start", "incarnation": 3, "asked_by": "op", "since_ns": 0, "restarts": 0,
    }  # fmt: skip
    i, effects = mirror.on_adopted(mirror.known_before(instance(), record), True, Observation(State.STOPPED), (), NOW)
    assert effects == (AskManager("start"),) and i.goal is Goal.UP
