"""Syslog messages hold to RFC 5424, whatever a service writes and whatever it is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.outputs.sinks.rfc5424 import BOM, Format

from .lines import record, shown
from .receivers import SYSLOG, UdpReceiver

OPTIONS = {"facility": "local0", "sd_id": "blackhole@32473", "data": {}, "max_message": 8192, "bom": True}


def only(record_, **options):
    (message,) = Format({**OPTIONS, **options}, "web-1").messages(record_)
    return message


def test_a_message_as_the_document_has_it():
    assert only(record(text="served", level="error", time_ns=1_767_323_045_123_456_789)) == (
        b"<131>1 2026-01-02T03:04:05.123456Z web-1 api api-1 stdout "
        b'[blackhole@32473 service="api" instance="api-1" level="error"] served'
    )


def test_severities_are_those_of_the_levels():
    said = {
        level: only(record(level=level)).split(b">")[0] for level in ("fatal", "error", "warning", "info", "debug", "")
    }
    assert said == {
        "fatal": b"<130", "error": b"<131", "warning": b"<132", "info": b"<134", "debug": b"<135", "": b"<134",
    }  # fmt: skip


def test_the_mark_stands_before_what_is_not_ascii_and_only_there():
    assert BOM not in only(record(text="plain"))
    assert only(record(text="grün")).endswith(b"] " + BOM + "grün".encode())
    assert BOM not in only(record(text="grün"), bom=False)
    assert only(record(text=b"raw \xff")).endswith(b"] raw \\xff")


def test_values_are_escaped_and_names_made_printable():
    message = only(record(service='a "]\\', instance="ä 1"), data={"env": 'x"]', "a b": "1"}, hostname="my host")
    assert b' my_host a_"]\\ _1 stdout ' in message
    assert rb'service="a \"\]\\" instance="' in message and b' env="x\\"\\]" a_b="1"]' in message
    assert SYSLOG.fullmatch(message)


@given(st.binary(max_size=3000) | st.text(max_size=2000).map(str.encode), st.integers(480, 2048), st.booleans())
def test_any_line_arrives_whole_in_messages_that_are_not_too_long(text, longest, bom):
    receiver = UdpReceiver()
    messages = Format({**OPTIONS, "max_message": longest, "bom": True}, "web-1").messages(record()._replace(text=text))
    assert all(len(message) <= longest for message in messages)
    for message in messages:
        receiver.take(message)
    assert receiver.texts == [shown(text)]
