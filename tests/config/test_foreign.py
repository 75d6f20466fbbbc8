"""Services that stand for what others run: units and containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.config.load import parse
from bhtui.core.errors import ConfigError
from bhtui.core.spec import ServiceKind, Spec


def read(text: str) -> Spec:
    return parse(text, "blackhole.yaml", Path("/etc/blackhole"))


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return str(refused.value)


def test_a_container_by_its_name_and_engine() -> None:
    web = read("services: {web: {kind: container, container: /web.1, engine: 'unix:///srv/p.sock'}}").services["web"]
    assert (web.kind, web.container, web.engine) == (ServiceKind.CONTAINER, "web.1", "/srv/p.sock")
    assert (web.ref, web.is_foreign, web.command) == ("web.1", True, ())
    assert read("services: {web: {kind: container, container: web}}").services["web"].engine == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("kind: container", "container"),
        ("{kind: container, container: a b}", "not the name of a container"),
        ("{kind: container, container: a, engine: lxc}", "not docker, podman or the path of a socket"),
        ("{kind: container, container: a, unit: b}", "services.web.unit is of kind: systemd alone"),
        ("{command: a, container: a}", "services.web.container is of kind: container alone"),
        ("{container: a}", "write kind: container too"),
        ("{command: a, engine: docker}", "services.web.engine is of kind: container alone"),
        ("{kind: container, container: a, command: b}", "services.web.command does nothing for a container"),
        ("{kind: container, container: a, restart: always}", "docker update --restart POLICY a"),
        ("{kind: container, container: a, stop_signal: HUP}", "--stop-signal and --stop-timeout"),
        ("{kind: container, container: a, replicas: 2}", "there is one container of a name"),
        ("{kind: container, container: a, healthcheck: {tcp: 80, liveness: true}}", "HEALTHCHECK"),
        ("{kind: systemd, unit: a, command: b}", "systemctl edit a.service"),
        ("{command: a, container_name: b}", "write kind: container and container: NAME"),
    ],
)
def test_what_would_do_nothing_is_refused(body: str, said: str) -> None:
    written = body if body.startswith("{") else f"{{{body}}}"
    assert said in problems(f"services: {{web: {written}}}")


def test_a_container_is_one_service() -> None:
    assert "a is already services.one" in problems(
        "services: {one: {kind: container, container: a}, two: {kind: container, container: a}}"
    )
    one_each = (
        "{one: {kind: container, container: a, engine: docker}, two: {kind: container, container: a, engine: podman}}"
    )
    assert len(read(f"services: {one_each}").services) == 2
