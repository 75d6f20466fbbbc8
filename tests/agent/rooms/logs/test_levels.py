import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.levels import detect, rank
from bhtui.core.logs import LEVELS

LINES = {
    # JSON: zap, logrus, slog, structlog, bunyan and pino, syslog numbers
    '{"level":"info","ts":1.5,"msg":"started"}': "info",
    '{"time":"x","level":"ERROR","msg":"failed"}': "error",
    '{"event": "x", "level": "warning"}': "warning",
    '{"severity":"CRITICAL","message":"x"}': "fatal",
    '{"lvl":"dbug"}': "",
    '{"name":"app","level":30,"msg":"x"}': "info",
    '{"level":50,"msg":"x"}': "error",
    '{"level":60}': "fatal",
    '{"level":3}': "error",
    '{"msg":"an error happened"}': "",
    # logfmt
    'time=2026-01-02T03:04:05Z level=warn msg="slow"': "warning",
    "ts=1 lvl=eror msg=x": "error",
    'level="debug" x=1': "debug",
    # klog
    "E0102 03:04:05.678901    1234 server.go:12] it broke": "error",
    "W0102 03:04:05.678901 1 a.go:1] hm": "warning",
    # words
    "2026-01-02 03:04:05,678 - app - ERROR - it broke": "error",
    "2026/01/02 03:04:05 [warn] 12#12: upstream": "warning",
    "2026/01/02 03:04:05 [error] 12#12: connect() failed": "error",
    "2026-01-02 03:04:05.678 UTC [77] LOG:  database system is ready": "info",
    "2026-01-02 03:04:05.678 UTC [77] FATAL:  role does not exist": "fatal",
    "1:M 02 Jan 2026 03:04:05.678 # Warning: no config file": "warning",
    "error: no such file": "error",
    "INFO:     Application startup complete.": "info",
    "WARNING:root:low disk": "warning",
    "[CRITICAL] WORKER TIMEOUT": "fatal",
    "<info> hello": "info",
    # nothing to see
    "": "",
    "the errors were counted": "",
    "GET /error/info 200": "",
    "ERROR_COUNT=3": "",
    "LOGGED in": "",
}


@pytest.mark.parametrize(("text", "level"), LINES.items())
def test_the_forms_people_write(text, level):
    assert detect(text.encode()) == level


@given(st.binary(max_size=300))
def test_any_bytes_give_a_known_level_or_none(text):
    assert detect(text) in ("", *LEVELS)


def test_levels_are_ordered_and_none_is_below_all():
    assert [rank(level) for level in ("", *LEVELS)] == [-1, 0, 1, 2, 3, 4, 5]
