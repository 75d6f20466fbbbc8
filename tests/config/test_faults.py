"""Every problem at once, each at its place and with what may have been meant."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.config.checks import CHECKS
from bhtui.config.load import parse
from bhtui.config.model import SECTIONS
from bhtui.config.services import Service
from bhtui.config.validation import keys_of
from bhtui.core.errors import ConfigError, Problem

BASE = Path("/etc/blackhole")


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml", BASE)
    return list(caught.value.problems)


def test_all_faults_of_a_file_at_once() -> None:
    found = problems(
        """\
servces: {}
services:
  web:
    comand: [python3]
    depends_on: [db, dbb]
    healthcheck: {tcp: 8080, http: "http://x/", interval: 2x}
    ports: [80]
  db:
    command: x
    command: y
    depends_on: {web: {condition: service_health}}
    ports: [80]
"""
    )
    assert [(p.line, p.column) for p in found] == [
        (1, 1), (3, 3), (4, 5), (5, 18), (5, 22), (6, 5), (6, 49), (10, 5), (11, 24), (12, 13),
    ]  # fmt: skip
    text = "\n".join(map(str, found))
    assert "f.yaml:4:5: services.web: there is no key 'comand' (did you mean 'command'?)" in text
    assert "dependency cycle: web -> db -> web" in text
    assert "depends on 'dbb', which is not declared (did you mean 'db'?)" in text
    assert "'command' is given twice (first in line 9)" in text
    assert "port 80 is already that of services.web" in text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("image: redis", "kind: container, container: NAME"),
        ("mem_limit: 1G", "limits: {memory"),
        ("volumes: [a:b]", "data: [PATH]"),
        ("depends_on: [web]", "web -> web"),
        ("depends_on: {other: {condition: service_completed_successfully}}", "restart: on-failure in services.other"),
        ("healthcheck: {interval: 1s}", "does not say what to ask"),
        ("healthcheck: {tcp: 0}", "not between 1 and 65535"),
        ("healthcheck: {tcp: 99999}", "not between 1 and 65535"),
        ("healthcheck: {http: 'ftp://x'}", "not a URL"),
        ("healthcheck: {log: '('}", "not a regular expression"),
        ("healthcheck: {log: '\\u1234'}", "not a regular expression"),
        ("healthcheck: {test: [redis-cli]}", "begins with CMD"),
        ("healthcheck: {tcp: 1, interval: 0s}", "must be more than 0"),
        ("logging: {rate_limit: {}}", "this bounds nothing; write lines: 10000"),
        ("logging: {rate_limit: {per: 1s}}", "this bounds nothing"),
        ("logging: {rate_limit: {lines: -1}}", "at least 0"),
        ("logging: {rate_limit: {lines: 5, per: 0s}}", "at least 0.1"),
        ("logging: {rate_limit: {burst: 5}}", "write lines: 10000, per: 30s"),
        ("restart: sometimes", "'no', 'on-failure', 'always' or 'unless-stopped'"),
        ("restart: {policy: always, delay: 1s}\nrestart_delay: 2s", "also in restart"),
        ("restart_delay: 5m", "above its maximum"),
        ("replicas: 2\nports: [80]", "nothing tells web-2 that its port is 81"),
        ("environment: {P: '{port}'}\nreplicas: 2\nports: [65535]", "the port of web-2 would be 65536"),
        (
            "environment: {P: '{port}'}\nreplicas: 3\nports: [80, 82]",
            "port 82 of web-3 is already that of services.web",
        ),
        (
            "environment: {P: '{port}'}\nreplicas: 2\nports: [80]\nhealthcheck: {tcp: 80}",
            "asks port 80, which is that of web-1",
        ),
        ("replicas: 2\ndata: [/d]", "/d of web-2 is already the data of web-1"),
        ("environment: {A: '{port}'}", "speaks of {port}, which is none of its ports"),
        ("ports: [80]\nworking_dir: '/{port2}'", "speaks of {port2}, which is none of its ports"),
        ("endpoints: {host: 'a:80'}", "has a port; leave it out"),
        ("replicas: -1", "at least 0"),
        ("scale: 3", "write replicas"),
        ("restart: no\nscale: {max: 3}", "it runs once (restart: no)"),
        ("scale: {min: 3, max: 2}", "the minimum 3 is above the maximum 2"),
        ("scale: {max: 0}", "at least 1"),
        ("scale: {cpu: 0}", "neither CPU nor memory is looked at"),
        ("scale: {memory: 80}", "has no memory limit, of which scale.memory would be a share"),
        ("scale: {window: 10m}", "is shorter than window"),
        ("scale: {cpu_threshold: 80}", "write cpu"),
        ("replicas: 7\nscale: {max: 5}", "7 replicas are not within its scale of 1..5"),
        ("ports: [80]\nscale: {max: 2}", "nothing tells web-2 that its port is 81"),
        ("ports: ['80:80']", "the host's own ports"),
        ("environment: {A: }", 'write "" for an empty one'),
        ("environment: {A B: x}", "cannot be the name of a variable"),
        ("environment: [A]", "write A=VALUE"),
        ("secrets: [a]", "mapping of variables"),
        ("environment: {A: x}\nsecrets: {A: f}", "set in secrets too"),
        ("ulimits: {nofil: 1}", "no resource limit 'nofil'"),
        ("ulimits: {nofile: {soft: 2, hard: 1}}", "soft is above hard"),
        ("limits: {memory: 1}", "at least"),
        ("limits: {ionice: fast}", "best-effort:0-7"),
        ("stop_signal: SIGFOO", "no signal 'SIGFOO'"),
        ("umask: 99", "octal"),
        ("user: [a]", "one value"),
        ("usr:", "did you mean 'user'?"),
    ],
)
def test_a_fault_in_a_service(body: str, said: str) -> None:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    found = problems(f"services:\n  other: {{command: y, restart: always}}\n  web:\n    command: x\n{lines}")
    assert len(found) == 1
    assert said in str(found[0])
    assert found[0].line >= 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty (write `services: {}` if nothing is to run)"),
        ("# nothing yet\n", "it is empty"),
        ("services: {agent: {command: x}}", "that name is reserved"),
        ("services: {host: {command: x}}", "that name is reserved"),
        ("services: {a: {command: x, replicas: 2}, a-1: {command: x}}", "also the name of an instance of services.a"),
        ("- a", "must be a mapping of sections"),
        ("hello", "must be a mapping of sections"),
        ("services: [a]", "mapping of names to services"),
        ("services: {A b: {command: x}}", "cannot name a service"),
        ("services: {a: }", "services.a is empty"),
        ("services: {a: hello}", "must be a mapping of keys"),
        ("services: {a: {command: []}}", "no program to run"),
        ("services: {a: {command: \"it's\"}}", "No closing quotation"),
        ("version: 3", "leave it out"),
        ("loging: {}", "did you mean 'logging'?"),
        ("logging: {level: inf}", "did you mean 'info'?"),
        ("logging: {outputs: [{type: fil}]}", "did you mean 'file'?"),
        ("logging: {outputs: [{path: x}]}", "'type' is missing"),
        ("backup: {schedule: {full: '0 25 * * *'}}", "not a cron expression"),
        ("alerts: [{name: a, condition: x, actions: [emial]}]", "did you mean 'email'?"),
        ("alerts: [{name: a, condition: x}, {name: a, condition: y}]", "already an alert named 'a'"),
        ("alerts: {a: 1}", "must be a list"),
        ("performance: {web: {a: 1}}", "no service 'web' to tune"),
        ('maintenance: {windows: [{name: a, start: "Sun 25:00", duration: 1h}]}', "no time of a day"),
        ('maintenance: {windows: [{name: a, start: "Fun 02:00", duration: 1h}]}', "a day and a time like 'Sun 02:00'"),
        ('maintenance: {windows: [{name: a, start: "02:00", duration: 25h}]}', "opens again before it closes"),
        ('maintenance: {windows: [{name: a, start: "02:00", duration: 0s}]}', "duration"),
        ('maintenance: {windows: [{name: a, start: "02:00", duration: 1h, services: [nope]}]}', "no service 'nope'"),
        ('maintenance: {windows: [{name: a, start: "02:00", duration: 1h, timezone: Mars}]}', "no time zone"),
        ("maintenance: {schedule: {a: {interval: 5s, tasks: [rotate_logs]}}}", "not an interval"),
        ("maintenance: {schedule: {a: {interval: 1d, tasks: [rotate_log]}}}", "did you mean 'rotate_logs'?"),
        ("automation: {tasks: [&t {name: a, schedule: '* * * * *', command: x}, *t]}",
         "already a task named 'a'"),
        ("metrics: {listen: '0.0.0.0:9090'}", "reached from outside"),
        ("metrics: {listen: 90}\nservices: {a: {command: x, ports: [90]}}", "already that of metrics.listen"),
        ("a: !!python/object:os.system x", "has no meaning here"),
        ("a: [", "not YAML"),
        ("a: \0", "not YAML"),
        ("a: 1\n---\nb: 2", "another document"),
        ("? [a]\n: b", "a key must be a word"),
        ("services: &a {b: *a}", "contains itself"),
        ("services: &a {<<: *a}", "merges itself"),
        ("services: {<<: 1}", "takes a mapping"),
        ("[" * 100_000, "nested more than"),
    ],
)  # fmt: skip
def test_a_fault_in_the_file(text: str, said: str) -> None:
    assert said in "\n".join(map(str, problems(text)))


@pytest.mark.parametrize("left", ["[", "{<<: ["])
def test_a_document_that_grows_without_measure_is_refused(left: str) -> None:
    right = "]" if left == "[" else "]}"
    first = "a: &a [1, 2]\n" if left == "[" else "a: &a {x: 1}\n"
    names = "abcdefghij"
    text = first + "".join(f"{n}: &{n} {left}{', '.join([f'*{b}'] * 10)}{right}\n" for b, n in pairwise(names))
    assert "100,000 values" in str(problems(text)[-1])


def test_two_cycles_are_both_told() -> None:
    needs = {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["e"], "e": ["c"]}
    lines = "".join(f"  {name}: {{command: x, depends_on: {other}}}\n" for name, other in needs.items())
    assert [p.message for p in problems(f"services:\n{lines}")] == [
        "dependency cycle: a -> b -> a",
        "dependency cycle: c -> d -> e -> c",
    ]


def test_every_check_says_what_it_is_about() -> None:
    assert all(check.__doc__ for check in CHECKS)
    assert len(set(CHECKS)) == len(CHECKS)


KEYS = sorted(
    {"services", "web", "<<", "x-a", *SECTIONS, *keys_of(Service), *(k for m in SECTIONS.values() for k in keys_of(m))}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["10s", "64M", "always", "web", "0 2 * * *", "no", "[CMD, x]", "127.0.0.1:1", "SIGTERM"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=25,
)


ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=30)


def judge(text: str) -> None:
    lines = text.count("\n") + 1
    try:
        parse(text, "f.yaml", BASE)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.message
            if problem.file == "f.yaml":
                assert 1 <= problem.line <= lines + 1
                assert problem.column >= 1


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_any_value_anywhere_is_read_or_refused(value: object) -> None:
    import yaml

    judge(yaml.safe_dump(value, allow_unicode=True))


@settings(max_examples=150, deadline=None)
@given(body=st.dictionaries(st.sampled_from(keys_of(Service)), VALUES, max_size=6))
def test_any_value_in_a_service_is_read_or_refused(body: object) -> None:
    import yaml

    judge(yaml.safe_dump({"services": {"web": body, "db": {"command": "x"}}}))


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(st.text(alphabet=st.sampled_from(list("ab:-[]{}&*<!|>'\"#\n\t ,?%@0.")), max_size=60), ANY_TEXT))
def test_any_text_is_read_or_refused(text: str) -> None:
    judge(text)
