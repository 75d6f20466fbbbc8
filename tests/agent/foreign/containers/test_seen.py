"""What is shown of a container, from what engines really said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign.containers import seen
from bhtui.agent.foreign.containers.container import Container, Status, from_inspect
from bhtui.agent.foreign.containers.engine import EngineEvent
from bhtui.core.spec import LimitsSpec
from bhtui.core.states import Health, Result, State

from .rig import DOCKER, PODMAN, recorded


def _of(engine: str, name: str) -> Container:
    return from_inspect(recorded(engine)["inspect"][name])


def _event(action: str, found: Container, **attributes: str) -> EngineEvent:
    return EngineEvent(action, found.id, found.name, found.finished_ns - 1000, attributes)


EXITED = Container(
    "a" * 64, "web", "image", Status.EXITED, exit_code=143, started_ns=10**18, finished_ns=10**18 + 10**9
)


@pytest.mark.parametrize("engine", [DOCKER, PODMAN])
def test_every_recorded_state(engine: str) -> None:
    def state(name: str) -> State | None:
        return seen.observation(_of(engine, name), "docker", asked=False).state

    assert [state(name) for name in ("web", "made", "oom", "loop", "held")] == [
        State.RUNNING, State.STOPPED, State.FAILED, State.BACKOFF, State.RUNNING,
    ]  # fmt: skip


def test_out_of_memory_is_named_with_its_limit() -> None:
    found = seen.observation(_of(DOCKER, "oom"), "docker", asked=False)
    assert found.result is Result.OOM_KILL
    assert found.text == "killed by SIGKILL: out of memory (its limit is 8.0 M); docker does not restart it"


def test_a_start_that_failed_has_the_engines_reason() -> None:
    found = seen.observation(_of(DOCKER, "bad"), "docker", asked=False)
    assert (found.state, found.result, found.run) == (State.FAILED, Result.SPAWN_ERROR, "")
    assert "executable file not found" in found.text


def test_between_two_runs_the_policy_is_told() -> None:
    found = seen.observation(_of(DOCKER, "loop"), "docker", asked=False)
    assert found.text == "exit 3; docker restarts it (always)"
    assert found.restarts > 0


def test_a_policy_that_has_given_up() -> None:
    found = replace(EXITED, exit_code=3, policy="on-failure:5", restarts=5)
    assert seen.observation(found, "docker", asked=False).text == (
        "exit 3; docker has given up after 5 restarts (on-failure:5)"
    )


def test_paused_is_running_and_unhealthy() -> None:
    found = seen.observation(_of(DOCKER, "held"), "docker", asked=False)
    assert (found.state, found.health) == (State.RUNNING, Health.UNHEALTHY)
    assert "docker unpause held" in found.health_detail


def test_a_health_check_that_has_not_passed_yet_is_a_start() -> None:
    assert seen.observation(_of(PODMAN, "well"), "podman", asked=False).state is State.STARTING
    well = seen.observation(_of(DOCKER, "well"), "docker", asked=False)
    assert (well.state, well.health) == (State.RUNNING, Health.HEALTHY)


def test_who_asked_for_an_end_is_seen_in_the_events() -> None:
    def asked(*events: EngineEvent, found: Container = EXITED, engine: str = "docker") -> bool:
        return seen.was_asked(found, engine, events)

    assert asked(_event("stop", EXITED))
    assert asked(_event("kill", EXITED, signal="15"))
    assert asked(_event("kill", EXITED), engine="podman")
    assert not asked(_event("kill", EXITED, signal="1"))
    assert not asked(_event("kill", replace(EXITED, exit_code=1)), found=replace(EXITED, exit_code=1), engine="podman")
    assert not asked(_event("die", EXITED))
    assert not asked(replace(_event("stop", EXITED), time_ns=EXITED.started_ns - 1))
    assert not asked(_event("stop", EXITED), found=replace(EXITED, oom_killed=True))


def test_docker_leaves_at_rest_only_what_somebody_stopped() -> None:
    assert seen.was_asked(replace(EXITED, policy="always"), "docker", ())
    assert not seen.was_asked(replace(EXITED, policy="always", exit_code=137), "podman", ())


def test_podman_tells_of_an_obeyed_stop_by_its_exit_code() -> None:
    assert seen.was_asked(EXITED, "podman", ())
    assert not seen.was_asked(EXITED, "docker", ())


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    assert seen.observation(EXITED, "docker", asked=True).state is State.STOPPED
    assert seen.observation(EXITED, "docker", asked=False).state is State.FAILED
    assert seen.observation(replace(EXITED, exit_code=0), "docker", asked=False).result is Result.SUCCESS


def test_another_container_of_the_name_is_another_run() -> None:
    assert seen.run_of(EXITED) != seen.run_of(replace(EXITED, id="b" * 64))
    assert seen.run_of(replace(EXITED, started_ns=0)) == ""


def test_a_process_that_cannot_be_seen_has_no_number() -> None:
    assert seen.observation(_of(DOCKER, "web"), "docker", asked=False, sees_pid=False).pid is None


@settings(deadline=None)
@given(
    st.builds(
        Container,
        id=st.just("a" * 64),
        name=st.just("web"),
        image=st.just("i"),
        status=st.sampled_from(Status),
        pid=st.none() | st.integers(1, 9999),
        exit_code=st.integers(0, 300),
        oom_killed=st.booleans(),
        error=st.sampled_from(["", "no such file"]),
        started_ns=st.integers(0, 10**19),
        restarts=st.integers(0, 9),
        policy=st.sampled_from(["", "always", "on-failure:3"]),
        health=st.none() | st.sampled_from(Health),
        limits=st.just(LimitsSpec()),
    ),
    st.booleans(),
)
def test_whatever_an_engine_says_can_be_shown(found: Container, asked: bool) -> None:
    told = seen.observation(found, "podman", asked)
    assert told.state is not None
    assert (told.state is State.FAILED) <= bool(told.text)
    assert (told.pid is not None) <= found.is_up
