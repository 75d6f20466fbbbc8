"""What Docker and Podman really said of containers in every state, understood alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign.containers.container import Container, Status, from_inspect, from_list, time_ns
from bhtui.core.states import Health
from bhtui.core.units import format_time

from .rig import DOCKER, PODMAN, recorded


def _of(engine: str, name: str) -> Container:
    return from_inspect(recorded(engine)["inspect"][name])


@pytest.mark.parametrize("engine", [DOCKER, PODMAN])
def test_a_running_container(engine: str) -> None:
    found = _of(engine, "web")
    assert (found.name, found.status, found.is_up) == ("web", Status.RUNNING, True)
    assert found.pid
    assert found.started_ns > found.created_ns > 0
    assert (found.health, found.policy, found.exit_code) == (None, "", 0)


@pytest.mark.parametrize("engine", [DOCKER, PODMAN])
def test_one_that_was_never_started_has_no_times(engine: str) -> None:
    found = _of(engine, "made")
    assert (found.status, found.started_ns, found.finished_ns, found.pid) == (Status.CREATED, 0, 0, None)


@pytest.mark.parametrize("engine", [DOCKER, PODMAN])
def test_paused_terminal_and_policy(engine: str) -> None:
    assert _of(engine, "held").status is Status.PAUSED
    assert _of(engine, "tty").tty
    looping = _of(engine, "loop")
    assert (looping.policy, looping.exit_code) == ("always", 3)
    assert looping.restarts > 0


def test_memory_limit_and_its_end() -> None:
    assert _of(DOCKER, "oom").oom_killed
    for engine in (DOCKER, PODMAN):
        found = _of(engine, "oom")
        assert (found.status, found.exit_code, found.limits.memory) == (Status.EXITED, 137, 8 << 20)


def test_health_of_what_has_a_check_and_of_what_has_none() -> None:
    assert _of(DOCKER, "well").health is Health.HEALTHY
    assert _of(PODMAN, "well").health is Health.UNKNOWN  # it was starting
    assert _of(PODMAN, "web").health is None


def test_why_it_could_not_be_started() -> None:
    assert "nonesuch" in _of(DOCKER, "bad").error


@pytest.mark.parametrize("engine", [DOCKER, PODMAN])
def test_a_list_has_each_by_its_name(engine: str) -> None:
    found = {one.name: one for one in from_list("docker", recorded(engine)["list"])}
    assert {"web", "oom", "held"} <= set(found)
    assert (found["held"].status, found["oom"].status) == (Status.PAUSED, Status.EXITED)
    assert found["oom"].detail.startswith("Exited (137)")


def test_ports_of_the_host_are_told_once() -> None:
    binds = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "53/udp": None,
    }
    said = {**recorded(DOCKER)["inspect"]["web"], "NetworkSettings": {"Ports": binds}}
    assert from_inspect(said).ports == (8080,)


@pytest.mark.parametrize("said", [{}, [], None, "x", {"State": 1}, {"State": {}, "Id": "a"}])
def test_what_is_no_container_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match="no container"):
        from_inspect(said)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(1, 4_102_444_800_000_000_000))
def test_times_are_read_as_they_are_written(moment: int) -> None:
    assert time_ns(format_time(moment)) == moment


def test_times_of_other_zones_and_no_times() -> None:
    assert time_ns("2026-01-01T02:00:00.5+02:00") == time_ns("2026-01-01T00:00:00.5Z")
    assert [time_ns(text) for text in (None, "", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z", 5)] == [0] * 5
