"""The table of `logs outputs`."""

from __future__ import annotations

from bhtui.cli.verbs.logs.outputs import render
from bhtui.core.outputs import OutputStatus
from bhtui.rpc.convert.logs import output_from_message, output_to_message
from bhtui.rpc.convert.sending import sending_to_json

NOW = 1_767_323_045_000_000_000
BAD = OutputStatus(
    "central",
    "syslog",
    "udp syslog:514",
    "failing",
    sent=1_234_567,
    retried=12,
    dropped=3,
    dead_lettered=4,
    behind_bytes=2048,
    behind_lines=20,
    behind_seconds=75.0,
    last_error="cannot reach it\x1b[31m",
    last_error_ns=NOW,
    failing_since_ns=NOW - 90 * 10**9,
)


def test_what_is_shown_fits_a_terminal_and_drives_none():
    text = render([("", OutputStatus("loki", "loki", "", "idle")), ("", BAD)], NOW, hosts=False)
    assert "central" in text and "1.2 M" in text and "20 2.0 K" in text and "1 min" in text
    assert "for 1 min: cannot reach it\\x1b[31m" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_an_error_that_is_over_is_said_to_be():
    over = OutputStatus("loki", "loki", "x", "ok", last_error="400 no", last_error_ns=NOW - 5 * 10**9)
    assert "5 s ago: 400 no" in render([("", over)], NOW, hosts=False)


def test_none_is_said_too():
    assert render([], NOW, hosts=False).startswith("no outputs are declared")


def test_the_message_carries_everything_and_the_object_has_fixed_keys():
    assert output_from_message(output_to_message(BAD)) == BAD
    assert list(sending_to_json(BAD, "web-1")) == [
        "host", "name", "type", "target", "state", "sent", "sent_bytes", "retried", "dropped", "dead_lettered",
        "behind_bytes", "behind_lines", "behind_seconds", "last_sent", "last_error", "last_error_time", "failing_since",
    ]  # fmt: skip
    assert sending_to_json(BAD)["last_sent"] is None and sending_to_json(BAD)["last_error"] == "cannot reach it\x1b[31m"
