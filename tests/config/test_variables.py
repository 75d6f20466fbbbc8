"""`${VAR}` as Compose has it; what came from a variable is never told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.config.document import Document
from bhtui.config.layers import Around
from bhtui.config.load import load, parse
from bhtui.config.variables import fill
from bhtui.core.diff import diff
from bhtui.core.errors import ConfigError
from bhtui.core.spec import Spec

VARIABLES = {"A": "alpha", "EMPTY": "", "PORT": "8080", "B": "${A}"}


def filled(text: str, **more: str) -> str:
    document = Document(data=[text])
    found = fill(document, VARIABLES | more)
    return str(found.faults[0].message) if found.faults else str(document.data[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "alpha"),
        ("x${A}y${A}", "xalphayalpha"),
        ("${NONE}", ""),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${A:-d}", "alpha"),
        ("${NONE:-${A}-${EMPTY:-e}}", "alpha-e"),
        ("${A:-${NONE:?never}}", "alpha"),
        ("${A:+there}${NONE:+not}${EMPTY+here}${EMPTY:+not}", "therehere"),
        ("${A:?must}", "alpha"),
        ("${EMPTY?must}", ""),
        ("${B}", "${A}"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A $PATH $1 $", "$A $PATH $1 $"),
        ("${EMPTY:?must be set}", "[0]: the variable EMPTY is not set: must be set"),
        ("${NONE:?${A} is secret}", "[0]: the variable NONE is not set: ${A} is secret"),
        ("${NONE?}", "[0]: the variable NONE is not set"),
        ("${A", "[0]: this is not a variable; write ${NAME}, ${NAME:-default} or $${ for the signs themselves"),
        ("${A:-b", "[0]: a variable is not closed; write ${NAME}, or $${ for the signs themselves"),
        ("${1}", "[0]: this is not a variable; write ${NAME}, ${NAME:-default} or $${ for the signs themselves"),
        ("${A:x}", "[0]: this is not a variable; write ${NAME}, ${NAME:-default} or $${ for the signs themselves"),
        ("${A:-" * 30, "[0]: variables stand more than 20 deep in each other"),
    ],
)
def test_the_forms(text: str, expected: str) -> None:
    assert filled(text) == expected


@given(st.text(st.sampled_from("${}A:-?+x"), max_size=12))
def test_any_text_is_filled_or_refused(text: str) -> None:
    filled(text)


@given(st.text(max_size=20))
def test_what_is_escaped_comes_back(text: str) -> None:
    assert filled(text.replace("$", "$$")) == text


def read(body: str, **variables: str) -> Spec:
    return parse(f"services: {{api: {{command: api, {body}}}}}", "f.yaml", Path("/etc"), Around("", variables))


def test_numbers_words_and_lists() -> None:
    api = read(
        'ports: ["${PORT}"], replicas: "${N:-1}", limits: {memory: "${M}", cpu: "${C}"}, restart: "${R}", '
        'healthcheck: {tcp: "${PORT}", liveness: "${L}"}',
        PORT="81", M="64M", C="0.5", R="no", L="true",
    ).services["api"]  # fmt: skip
    assert (api.ports, api.replicas, api.limits.memory, api.limits.cpu) == ((81,), 1, 64 << 20, 0.5)
    assert (api.restart.policy, api.probe.target, api.probe.liveness) == ("no", "127.0.0.1:81", True)


@pytest.mark.parametrize(
    "body",
    [
        'ports: ["${SECRET}"]',
        'replicas: "${SECRET}"',
        'limits: {memory: "${SECRET}"}',
        'depends_on: ["${SECRET}"]',
        'environment: ["${SECRET}"]',
        'stop_signal: "${SECRET}"',
        'healthcheck: {log: "(${SECRET}"}',
        'healthcheck: {http: "ftp://${SECRET}"}',
        'restart: "${SECRET}"',
        'labels: ["a=b", "${SECRET}"]',
        'ulimits: {nofile: "${SECRET}"}',
        'env_file: "/nowhere/${SECRET}"',
    ],
)
@pytest.mark.parametrize("secret", ["hunter2", "x y'z\"", "HUNTER " * 30])
def test_faults_do_not_tell_values(body: str, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(body, SECRET=secret)
    said = str(caught.value).lower()
    assert not any(word and word in said for word in (secret.lower()[:12], secret.lower().strip()[:6]))
    assert "${secret}" in said


def test_differences_do_not_tell_values() -> None:
    body = 'command: [x, "${S}"], environment: {A: "a ${S}", B: b}, stop_command: "x ${S}", labels: ["L=${S}"]'
    one, other = (
        parse(
            f"services: {{api: {{{body}}}}}\nperformance: {{api: {{q: '${{S}}'}}}}",
            "f",
            Path("/"),
            Around("", {"S": s}),
        )
        for s in ("hunter2", "hunter3")
    )
    (change,) = diff(one, other).changed
    assert {each.name for each in change.fields} == {"command", "environment.A", "stop.command", "labels.L", "tuning.q"}
    assert {each.old for each in change.fields} == {each.new for each in change.fields} == {"********"}


def test_a_file_beside_it_sets_what_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.yaml").write_text("services: {api: {command: '${FROM_FILE} ${FROM_BOTH}'}}")
    (tmp_path / ".env").write_text("FROM_FILE='a'\nFROM_BOTH=b\n")
    monkeypatch.setenv("FROM_BOTH", "c")
    assert load(tmp_path / "f.yaml").services["api"].command == ("a", "c")
    (tmp_path / ".env").write_text("oops hunter2\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "f.yaml")
    assert f"{tmp_path}/.env:1:1: line 1 is not KEY=VALUE" in str(caught.value)
    assert "hunter2" not in str(caught.value)
