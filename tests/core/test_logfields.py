import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.logfields import Condition, parse

KEYS = st.text("abcxyz_.", min_size=1, max_size=6).filter(lambda key: key[0] != "." and ".." not in key)
SCALARS = st.one_of(st.text(max_size=8), st.integers(-1000, 1000), st.booleans(), st.none())

WRITTEN = [
    ('{"level":"info","ts":1.5,"msg":"up","port":80}', "up", {"port": 80}),  # zap
    ('{"level":"warning","msg":"slow","time":"2026-01-01T00:00:00Z","took":"2s"}', "slow", {"took": "2s"}),  # logrus
    ('{"time":"2026-01-01T00:00:00Z","level":"ERROR","msg":"no","err":{"code":5}}', "no", {"err.code": 5}),  # slog
    ('{"event":"in","level":"info","timestamp":"t","user":"ann"}', "in", {"user": "ann"}),  # structlog
    ('{"name":"a","pid":1,"level":30,"msg":"hi","time":"t","v":0}', "hi", {"name": "a", "pid": 1, "v": 0}),  # bunyan
    ('{"level":30,"time":1531171074631,"msg":"hello","pid":657}', "hello", {"pid": 657}),  # pino
    ('{"@timestamp":"t","log.level":"info","message":"m","http":{"status":200}}', "m", {"http.status": 200}),  # ECS
    ('level=info msg="cannot connect" port=5432 ok=', "cannot connect", {"port": "5432", "ok": ""}),
    ('I0102 15:04:05.0 1 a.go:12] "Up" pod="a/b"', 'I0102 15:04:05.0 1 a.go:12] "Up" pod="a/b"', {"pod": "a/b"}),
    ("GET /x status=500 took=3ms", "GET /x status=500 took=3ms", {"status": "500", "took": "3ms"}),
]


@pytest.mark.parametrize(("line", "message", "rest"), WRITTEN)
def test_what_the_common_libraries_write(line, message, rest):
    found = parse(line)
    assert found is not None
    assert (found.message, found.rest) == (message, rest)


@pytest.mark.parametrize(
    "line", ["", "plain words", "{broken", "[1, 2]", "a == b", "{" * 5000, "1=2", '{"a":' * 100_000]
)
def test_a_line_that_names_nothing(line):
    assert parse(line) is None


@given(st.text())
def test_any_text_is_read(line):
    parse(line)


@given(st.dictionaries(KEYS, SCALARS, max_size=5))
def test_every_value_of_an_object_is_found(values):
    found = parse(json.dumps(values))
    assert found is not None
    assert dict(found.values) == values
    for key, value in values.items():
        if isinstance(value, str):
            assert Condition(key, "=", value).holds(found.values)
            assert not Condition(key, "!=", value).holds(found.values)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("status=500", True), ("status=500.0", True), ("status!=500", False), ("status>499", True),
        ("status>=500", True),
        ("status<500", False), ("status~^5", True), ("path=/a b", True), ("path~b$", True), ("none=1", False),
        ("none!=1", True), ("none<1", False), ("ok=true", True), ("ok=1", False), ("nothing=null", True),
        ("path>3", False),
    ],
)  # fmt: skip
def test_conditions(condition, holds):
    found = parse('{"status":500,"path":"/a b","ok":true,"nothing":null}')
    assert found is not None
    assert Condition.read(condition).holds(found.values) is holds


@pytest.mark.parametrize(
    ("text", "why"), [("status", "KEY=VALUE"), ("=5", "KEY=VALUE"), ("a~(", "regular expression"), ("a>b", "number")]
)
def test_conditions_that_cannot_be_read(text, why):
    with pytest.raises(ValueError, match=why):
        Condition.read(text)
