"""What is asked of an engine, and its troubles in words."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bhtui.agent.foreign.containers.container import Status, from_inspect
from bhtui.agent.foreign.containers.engine import Engine
from bhtui.agent.foreign.containers.sockets import Place
from bhtui.core.errors import BlackholeError, NoConnection, NotFound, Refused
from bhtui.core.spec import LimitsSpec
from tests.live import require

from .rig import DOCKER, HEADS, PODMAN, answer, chunked, recorded, served


def _answers(engine: str, **others: bytes) -> Callable[[str], bytes]:
    def of(request: str) -> bytes:
        if request == "GET /_ping":
            return answer("200 OK", b"OK", HEADS[engine])
        if request.startswith("POST ") and "post" in others:
            return others["post"]
        for name, said in recorded(engine)["inspect"].items():
            if request.endswith(f"/containers/{name}/json"):
                return answer("200 OK", json.dumps(said).encode())
        return others.get("other", answer("404 Not Found", b'{"message":"No such container: x"}'))

    return of


@pytest.mark.parametrize(("engine", "name"), [(DOCKER, "docker"), (PODMAN, "podman")])
async def test_who_answers_is_seen_in_his_answer(engine: str, name: str) -> None:
    async with served(_answers(engine)) as (path, asked):
        version = await Engine(Place("docker", path)).version()
        assert (version.engine, version.api) == (name, (1, 41))
        assert asked == ["GET /_ping"]


async def test_the_engines_own_version_is_spoken() -> None:
    head = "Api-Version: 1.52\r\nServer: Docker/29.0.0 (linux)\r\n"
    async with served(lambda _: answer("200 OK", b"[]", head)) as (path, asked):
        assert await Engine(Place("docker", path)).list() == []
        assert asked[-1] == "GET /v1.52/containers/json?all=1"


@pytest.mark.parametrize("head", ["", "Api-Version: 1.12\r\n", "Api-Version: x\r\n"])
async def test_old_engines_and_other_servers_are_refused(head: str) -> None:
    async with served(lambda _: answer("200 OK", b"OK", head)) as (path, _):
        with pytest.raises(NoConnection, match="cannot reach docker"):
            await Engine(Place("docker", path)).version()


async def test_a_part_of_an_id_is_no_name() -> None:
    async with served(_answers(DOCKER)) as (path, _):
        engine = Engine(Place("docker", path))
        assert (await engine.inspect("web")).name == "web"
        with pytest.raises(NotFound, match="docker ps -a"):
            await engine.inspect("x")


async def test_what_is_paused_goes_on_before_it_is_stopped() -> None:
    async with served(_answers(DOCKER, post=answer("204 No Content"))) as (path, asked):
        await Engine(Place("docker", path)).stop("held", 3.0)
        posts = [one for one in asked if one.startswith("POST")]
        assert posts == ["POST /v1.41/containers/held/unpause", "POST /v1.41/containers/held/stop?t=3"]


async def test_what_is_so_already_is_no_error() -> None:
    async with served(_answers(DOCKER, post=answer("304 Not Modified"))) as (path, _):
        await Engine(Place("docker", path)).stop("web", 0)
        await Engine(Place("docker", path)).start("web")


async def test_podman_is_asked_in_its_own_words_for_limits() -> None:
    found = from_inspect(recorded(PODMAN)["inspect"]["web"])
    async with served(_answers(PODMAN, post=answer("201 Created", b"x"))) as (path, asked):
        await Engine(Place("podman", path)).update(found, LimitsSpec(memory=1 << 25), 2)
        assert asked[-1].startswith(f"POST /v4.0.0/libpod/containers/{found.id}/update {{")
    async with served(_answers(PODMAN, post=answer("404 Not Found", b"Not Found"))) as (path, _):
        with pytest.raises(BlackholeError, match="no such call"):
            await Engine(Place("podman", path)).update(found, LimitsSpec(memory=1 << 25), 2)


@pytest.mark.parametrize(
    ("status", "kind"), [("409 Conflict", Refused), ("403 Forbidden", Refused), ("500 Oops", BlackholeError)]
)
async def test_a_refusal_has_the_engines_own_words(status: str, kind: type[BlackholeError]) -> None:
    async with served(_answers(DOCKER, post=answer(status, b'{"message":"it is  not\\nrunning"}'))) as (path, _):
        with pytest.raises(kind, match="cannot send web SIGHUP: docker says: it is not running"):
            await Engine(Place("docker", path)).kill("web", "SIGHUP")


async def test_events_follow_each_other_with_and_without_newlines() -> None:
    actor = b'{"ID":"a1","Attributes":{"name":"web","exitCode":"3"}}'
    one = b'{"Type":"container","Action":"die","Actor":' + actor + b',"timeNano":5}'
    two = one.replace(b"die", b"start")
    said = chunked(one + b"\n" + two[:30], two[30:] + one)
    async with (
        served(_answers(DOCKER, other=said)) as (path, _),
        Engine(Place("docker", path)).events() as events,
    ):
        seen = [event async for event in events]
    assert [event.action for event in seen] == ["die", "start", "die"]
    assert (seen[0].id, seen[0].name, seen[0].attributes["exitCode"]) == ("a1", "web", "3")


async def test_logs_of_a_moment_and_after() -> None:
    def frame(text: bytes) -> bytes:
        return b"\1\0\0\0" + len(text).to_bytes(4, "big") + text

    found = from_inspect(recorded(PODMAN)["inspect"]["web"])
    lines = chunked(frame(b"2026-11-24T09:59:43Z a\n"), frame(b"2026-11-24T09:59:44Z b\n"))
    async with served(_answers(PODMAN, other=lines)) as (path, asked):
        async with Engine(Place("podman", path)).logs(found, since=1795514384) as pieces:
            assert [piece.text async for batch in pieces for piece in batch] == [b"b"]
        assert "since=1795514383" in asked[-1]


async def test_no_socket_no_listener_and_no_right_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NoConnection, match="there is no socket; is Docker installed"):
        await Engine(Place("docker", str(tmp_path / "none.sock"))).version()
    dead = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(dead)
    with pytest.raises(NoConnection, match="nobody listens"):
        await Engine(Place("podman", dead)).version()


async def test_who_may_not_is_told_which_group_may() -> None:
    require.root()
    async with served(_answers(DOCKER)) as (path, _):
        os.chown(path, 0, 4)  # adm
        os.chmod(path, 0o660)
        Path(path).parent.chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(Refused, match="the group adm may: `usermod -aG adm"):
                await Engine(Place("docker", path)).version()
            os.seteuid(0)
            os.chmod(path, 0o600)
            os.seteuid(65534)
            with pytest.raises(Refused, match="only its owner"):
                await Engine(Place("docker", path)).version()
        finally:
            os.seteuid(0)


def test_status_words_of_podman() -> None:
    said = recorded(PODMAN)["inspect"]["web"]
    for word, status in (("configured", Status.CREATED), ("stopped", Status.EXITED), ("new-word", Status.DEAD)):
        assert from_inspect({**said, "State": {**said["State"], "Status": word}}).status is status
