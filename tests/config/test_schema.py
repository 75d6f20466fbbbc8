"""The schema for editors: current, true of what is right, and against what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bhtui.config.document import read
from bhtui.config.schema import schema

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLES = sorted(path for path in CONFIGS.rglob("*.yaml") if path.name != "hosts.yaml")
SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def wrong(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(read(text).data)]


def test_the_file_is_current_and_a_schema() -> None:
    written = (CONFIGS / "blackhole.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == SCHEMA, "run `make docs`"
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=[str(path.relative_to(CONFIGS)) for path in EXAMPLES])
def test_every_example_is_valid(path: Path) -> None:
    assert wrong(path.read_text()) == []


@pytest.mark.parametrize(
    "body",
    [
        "command: [a, 1]\nenvironment: {A: 1, B: true}",
        "command: a\nreplicas: ${N:-2}\nlimits: {cpu: '${C}', memory: 1.5G}\nports: ['${P}', 80]",
        "command: a\nrestart: on-failure:5\ndepends_on: [b]\nlabels: [a=b]",
        "command: a\nrestart: {policy: no, delay: 10ms}\ndepends_on: {b: {condition: service_healthy}}",
        "command: a\nhealthcheck: {tcp: 80, interval: 1m30s}\nulimits: {nofile: {soft: 1, hard: 2}, core: unlimited}",
        "command: a\nscale: {min: 1, max: 3, cpu: 70, window: 30s, auto: false}\nlimits: {cpu: 1}",
        "command: a\nx-note: {a: b}\nenvironment:\nstop_signal: 15\numask: 022",
    ],
)
def test_what_is_right(body: str) -> None:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    assert wrong(f"services:\n  web:\n{lines}") == []


@pytest.mark.parametrize(
    "text",
    [
        "servces: {}",
        "services: []",
        "services: {web: }",
        "services: {web: {}}",
        "services: {Web App: {command: a}}",
        "services: {web: {comand: a}}",
        "services: {web: {command: []}}",
        "services: {web: {command: a, image: b}}",
        "services: {web: {command: a, replicas: many}}",
        "services: {web: {command: a, scale: 3}}",
        "services: {web: {command: a, scale: {max: 0}}}",
        "services: {web: {command: a, replicas: -1}}",
        "services: {web: {command: a, restart: sometimes}}",
        "services: {web: {command: a, ports: ['80:80']}}",
        "services: {web: {command: a, limits: {memory: lots}}}",
        "services: {web: {command: a, limits: {mem: 1G}}}",
        "services: {web: {command: a, stop_grace_period: 10 parsecs}}",
        "services: {web: {command: a, environment: [A]}}",
        "services: {web: {command: a, environment: {A B: c}}}",
        "services: {web: {command: a, secrets: [a]}}",
        "services: {web: {command: a, depends_on: {b: {condition: healthy}}}}",
        "services: {web: {command: a, healthcheck: {htp: x}}}",
        "services: {web: {command: a, ulimits: {nofil: 1}}}",
        "services: {web: {command: a, healthcheck: {liveness: perhaps}}}",
        "services: {web: {kind: systemd}}",
        "services: {web: {kind: upstart, command: a}}",
        "services: {web: {kind: systemd, unit: a b}}",
        "logging: {level: loud}",
        "logging: {outputs: [{type: carrier-pigeon}]}",
        "alerts: {name: a}",
        "alerts: [{name: a}]",
        "backup: {storage: {type: local}}",
        "maintenance: {schedule: {a: {interval: 5x, tasks: [rotate_logs]}}}",
        "include: {a: b}",
        "hosts: {web: {services: {api: {limts: {}}}}}",
        "profiles: {big: {include: a}}",
        "groups: {web: {services: {}}}",
    ],
)
def test_typical_mistakes(text: str) -> None:
    assert wrong(text)


@pytest.mark.parametrize(
    "text", ["hosts: {web: {services: {api: {limits: {cpu: 1}}}}}", "profiles: {a: }", "include: a"]
)
def test_overlays_need_not_be_whole(text: str) -> None:
    assert wrong(text) == []


def test_everything_that_can_be_written_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, definition in SCHEMA["$defs"].items()
        for key, value in definition.get("properties", {}).items()
        if "description" not in value and name not in ("Overlay", "Group")
    ]
    assert undescribed == []
