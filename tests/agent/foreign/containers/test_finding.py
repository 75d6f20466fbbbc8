"""Which engine has the container that a service means."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bhtui.agent.foreign.containers.engine import Engine
from bhtui.agent.foreign.containers.finding import Engines, find
from bhtui.agent.foreign.containers.sockets import Place
from bhtui.core.errors import NoConnection, NotFound, UsageError
from bhtui.core.spec import ServiceKind, ServiceSpec

from .rig import DOCKER, HEADS, PODMAN, answer, recorded, served

WEB = ServiceSpec("site", (), kind=ServiceKind.CONTAINER, container="web")


def _has(engine: str, *names: str) -> Callable[[str], bytes]:
    def of(request: str) -> bytes:
        for name in names:
            if request.endswith(f"/{name}/json"):
                return answer("200 OK", json.dumps(recorded(engine)["inspect"][name]).encode())
        status = "200 OK" if request == "GET /_ping" else "404 Not Found"
        return answer(status, b'{"message":"No such container"}', HEADS[engine])

    return of


async def test_the_one_that_has_it() -> None:
    async with served(_has(DOCKER)) as (docker, _), served(_has(PODMAN, "web")) as (podman, _):
        engine, found = await find(WEB, [Engine(Place("docker", docker)), Engine(Place("podman", podman))])
        assert (engine.name, found.name) == ("podman", "web")


async def test_both_have_one() -> None:
    async with served(_has(DOCKER, "web")) as (docker, _), served(_has(PODMAN, "web")) as (podman, _):
        with pytest.raises(UsageError, match=r"write engine: docker, or engine: podman, in services\.site"):
            await find(WEB, [Engine(Place("docker", docker)), Engine(Place("podman", podman))])


async def test_none_has_it_is_told_apart_from_one_that_cannot_be_asked() -> None:
    async with served(_has(DOCKER)) as (docker, _):
        with pytest.raises(NotFound, match="cannot find the container web: docker has none"):
            await find(WEB, [Engine(Place("docker", docker))])
        with pytest.raises(NoConnection, match="podman"):
            await find(WEB, [Engine(Place("docker", docker)), Engine(Place("podman", "/nowhere/podman.sock"))])


async def test_where_there_is_no_engine_all_that_might_be_are_named() -> None:
    places = [Place("docker", "/nowhere/docker.sock"), Place("podman", "/nowhere/podman.sock")]
    with pytest.raises(NoConnection) as raised:
        await find(WEB, [Engine(place) for place in places])
    assert str(raised.value) == (
        "cannot find the container web: neither docker nor podman has a socket here (/nowhere/docker.sock, "
        "/nowhere/podman.sock); if one is installed, `systemctl start docker` or "
        "`systemctl enable --now podman.socket` opens it"
    )


async def test_a_socket_under_two_names_is_one_engine(tmp_path) -> None:
    async with served(_has(PODMAN, "web")) as (podman, _):
        link = tmp_path / "docker.sock"
        link.symlink_to(podman)
        engines = Engines({"DOCKER_HOST": f"unix://{link}"}, 0)
        assert len(engines.of(str(link))) == 1
