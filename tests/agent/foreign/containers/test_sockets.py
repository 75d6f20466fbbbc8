"""Where engines are looked for."""

from __future__ import annotations

from bhtui.agent.foreign.containers.sockets import Place, places, wanted


def test_root_looks_at_those_of_the_host() -> None:
    assert places({}, 0) == (Place("docker", "/var/run/docker.sock"), Place("podman", "/run/podman/podman.sock"))


def test_a_user_looks_at_his_own_first() -> None:
    found = [place.path for place in places({}, 1000)]
    assert found[:2] == ["/run/user/1000/docker.sock", "/run/user/1000/podman/podman.sock"]
    assert places({"XDG_RUNTIME_DIR": "/x"}, 1000)[0].path == "/x/docker.sock"


def test_docker_host_comes_first_and_each_path_once() -> None:
    assert places({"DOCKER_HOST": "unix:///run/podman/podman.sock"}, 0)[0] == Place("podman", "/run/podman/podman.sock")
    assert len(places({"DOCKER_HOST": "unix:///run/podman/podman.sock"}, 0)) == 2
    assert len(places({"DOCKER_HOST": "tcp://10.0.0.1:2375"}, 0)) == 2


def test_a_declared_engine() -> None:
    assert [place.engine for place in wanted("podman", {}, 0)] == ["podman"]
    assert wanted("/srv/podman.sock", {}, 0) == (Place("podman", "/srv/podman.sock"),)
    assert wanted("", {}, 0) == places({}, 0)
