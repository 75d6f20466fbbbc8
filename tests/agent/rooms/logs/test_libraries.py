"""Lines in the shapes that the common logging libraries write by default: level, message and fields of each."""

import json

import pytest

from bhtui.agent.rooms.logs.levels import Detector, detect
from bhtui.core.logfields import parse

SAMPLES = {
    "zap": (
        '{"level":"info","ts":1525294364.332839,"caller":"app/main.go:43","msg":"cannot fetch","url":"http://a","attempt":3}',
        "info", "cannot fetch", {"caller": "app/main.go:43", "url": "http://a", "attempt": 3},
    ),
    "zap, most serious": ('{"level":"dpanic","ts":1.5,"msg":"x"}', "fatal", "x", {}),
    "zap for development": (
        '2018-05-02T13:52:44.332-0700\tWARN\tapp/main.go:30\tslow answer\t{"region": "us-west", "id": 2}',
        "warning", "slow answer", {"region": "us-west", "id": 2},
    ),
    "logrus": (
        '{"animal":"walrus","level":"warning","msg":"the number grew","number":122,"time":"2015-03-26T01:27:38-04:00"}',
        "warning", "the number grew", {"animal": "walrus", "number": 122},
    ),
    "logrus as text": (
        'time="2015-03-26T01:27:38-04:00" level=fatal msg="the ice breaks" number=100 omg=true',
        "fatal", "the ice breaks", {"number": "100", "omg": "true"},
    ),
    "slog": (
        '{"time":"2022-11-08T15:28:26.000000000-05:00","level":"ERROR","source":{"function":"main.main","line":7},"msg":"oops"}',
        "error", "oops", {"source.function": "main.main", "source.line": 7},
    ),
    "slog, between two levels": ('{"time":"2022-11-08T15:28:26-05:00","level":"WARN+2","msg":"x"}', "warning", "x", {}),
    "slog as text": (
        'time=2022-11-08T15:28:26.000-05:00 level=ERROR+4 msg="oh no" req.method=GET',
        "error", "oh no", {"req.method": "GET"},
    ),
    "structlog": (
        '{"path": "/var", "used": 0.97, "event": "disk is full", "level": "critical", "timestamp": "2026-11-24"}',
        "fatal", "disk is full", {"path": "/var", "used": 0.97},
    ),
    "structlog as logfmt": (
        'path="/var lib" used=0.97 event="disk is full" level=warning timestamp=2026-11-24T14:08:50.425531Z',
        "warning", "disk is full", {"path": "/var lib", "used": "0.97"},
    ),
    "structlog on a console": (
        "2026-11-24 14:08:50 [error    ] disk is full                   path=/var used=0.97",
        "error", None, {"path": "/var", "used": "0.97"},
    ),
    "bunyan": (
        '{"name":"app","hostname":"banana.local","pid":40161,"level":40,"msg":"hi","time":"2013-01-04T18:46:23.851Z","v":0}',
        "warning", "hi", {"name": "app", "hostname": "banana.local", "pid": 40161, "v": 0},
    ),
    "pino": (
        '{"level":50,"time":1531171074631,"pid":657,"hostname":"h","err":{"type":"Error","message":"kaboom"},"msg":"kaboom"}',
        "error", "kaboom", {"pid": 657, "hostname": "h", "err.type": "Error", "err.message": "kaboom"},
    ),
    "klog": (
        'E0102 10:20:30.123456    1234 controller.go:114] "Failed to sync" err="timeout" pod="ns/name"',
        "error", None, {"err": "timeout", "pod": "ns/name"},
    ),
    "zerolog": ('{"level":"debug","time":1516134303,"message":"hello"}', "debug", "hello", {}),
    "Serilog, compact": (
        '{"@t":"2016-06-07T03:44:57.8532799Z","@mt":"Hello, {User}","@l":"Warning","User":"n"}',
        "warning", "Hello, {User}", {"User": "n"},
    ),
    "Monolog": (
        '{"message":"x","context":{"a":1},"level":400,"level_name":"ERROR","channel":"app","datetime":"2020-01-01T00:00:00+00:00"}',
        "error", "x", {"context.a": 1, "channel": "app"},
    ),
    "Python's logging as JSON": (
        '{"asctime": "2026-11-24 14:08:50,427", "levelname": "WARNING", "name": "x", "message": "disk is full"}',
        "warning", "disk is full", {"name": "x"},
    ),
    "ECS": (
        '{"@timestamp":"2020-01-01T00:00:00Z","log.level":"error","message":"m","ecs.version":"1.2.0"}',
        "error", "m", {"ecs.version": "1.2.0"},
    ),
    "GELF": (
        '{"version":"1.1","host":"h","short_message":"m","level":3}', "error", "m", {"version": "1.1", "host": "h"},
    ),
}  # fmt: skip

PLAIN = {
    "2022/11/08 15:28:26 ERROR oops": "error",
    "2026-11-24 14:08:50.559 | WARNING  | __main__:<module>:13 - disk is full": "warning",
    "\x1b[2m2026-11-24 14:08:50\x1b[0m [\x1b[31m\x1b[1merror    \x1b[0m] \x1b[1mdisk is full\x1b[0m": "error",
    "\x1b[33mWARN\x1b[0m[0004] the number grew": "warning",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_shapes_of_libraries(name):
    line, level, message, fields = SAMPLES[name]
    detector = Detector()
    assert [detector.of(line.encode()), detector.of(line.encode()), detect(line.encode())] == [level] * 3
    found = parse(line)
    assert found.message == (line if message is None else message)
    assert found.rest == fields or json.dumps(fields) == json.dumps(found.rest)


@pytest.mark.parametrize("line", PLAIN)
def test_plain_text(line):
    assert Detector().of(line.encode()) == detect(line.encode()) == PLAIN[line]
