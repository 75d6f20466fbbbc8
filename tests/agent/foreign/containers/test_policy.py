"""Restart policies of containers: when the engine would start one again, and how it is told to or not to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bhtui.agent.foreign.containers import policy
from bhtui.agent.foreign.containers.container import Container, Status
from bhtui.agent.foreign.containers.engine import Engine
from bhtui.agent.foreign.containers.sockets import Place
from bhtui.core.errors import BlackholeError
from tests.agent.foreign.containers.rig import HEADS, PODMAN, answer, served

WEB = Container("0123456789abcdef", "web", "busybox", Status.EXITED, exit_code=1, policy="always", started_ns=1)


@pytest.mark.parametrize(
    ("declared", "code", "restarts", "again"),
    [
        ("always", 0, 9, True),
        ("unless-stopped", 1, 0, True),
        ("on-failure", 0, 0, False),
        ("on-failure", 3, 99, True),
        ("on-failure:5", 3, 4, True),
        ("on-failure:5", 3, 5, False),
    ],
)
def test_when_it_would_be_started_again(declared: str, code: int, restarts: int, again: bool):
    before = policy.of(replace(WEB, policy=declared))
    ended = replace(WEB, policy="", exit_code=code, restarts=restarts)
    assert policy.would_restart(before, ended, asked=False) is again
    assert not policy.would_restart(before, ended, asked=True)
    assert not policy.would_restart(before, replace(ended, id="another"), asked=False)


def test_one_that_is_never_restarted_has_nothing_to_be_held():
    assert policy.of(replace(WEB, policy="")) == {} and not policy.would_restart({}, WEB, asked=False)


async def test_docker_is_told_by_its_update():
    async with served(lambda request: answer("200 OK", b"{}")) as (path, asked):
        await Engine(Place("docker", path)).set_policy(WEB, "no")
        await Engine(Place("docker", path)).set_policy(WEB, "on-failure:5")
    told = [json.loads(each.split(" ", 2)[2]) for each in asked if each.startswith("POST")]
    assert told == [
        {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
        {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}},
    ]


async def test_podman_is_told_from_5_1_on_and_says_so_before():
    async with served(lambda request: answer("200 OK", b"{}", HEADS[PODMAN])) as (path, asked):
        with pytest.raises(BlackholeError, match=r"cannot hold the restarts of web: podman 4\.3\.1 cannot change"):
            await Engine(Place("podman", path)).set_policy(WEB, "no")
        assert not any(each.startswith("POST") for each in asked)
    newer = HEADS[PODMAN].replace("4.3.1", "5.1.0")
    async with served(lambda request: answer("200 OK", b"{}", newer)) as (path, asked):
        await Engine(Place("podman", path)).set_policy(WEB, "on-failure:5")
        assert asked[-1].startswith(f"POST /v4.0.0/libpod/containers/{WEB.id}/update?restartPolicy=on-failure&restart")
